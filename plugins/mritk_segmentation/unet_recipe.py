"""The parameters of ``unet3d``."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class MapRecipe:
    """What every training of label maps has.

    Attributes:
        epochs: Number of epochs.
        width: Channels of the first level.
        batch_size: Samples of a batch.
        learning_rate: Of Adam, at its peak; a half cosine to zero.
        weight_decay: Of Adam.
        background_weight: Weight of the background in the cross-entropy; other labels have 1.
    """

    epochs: int = 10
    width: int = 16
    batch_size: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 1e-8
    background_weight: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name in ("epochs", "width", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError("weight_decay must not be negative")
        for name in ("learning_rate", "background_weight"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive")


@dataclass(frozen=True)
class UNetRecipe(MapRecipe):
    """Parameters of the method ``unet3d``.

    Attributes:
        patch: Voxels along each axis that the first level takes as one place.
        mirror: Whether training samples are mirrored along each axis, at random.
        steps: Batches of an epoch, so that trainings on more samples are not longer; 0: as many as
            the training set has.
    """

    epochs: int = 30
    batch_size: int = 2
    patch: int = 2
    mirror: bool = True
    steps: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        super().__post_init__()
        if not 1 <= self.patch <= 8:
            raise ValueError("patch must be from 1 to 8")
        if self.steps < 0:
            raise ValueError("steps must not be negative")
