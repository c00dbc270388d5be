"""The parameters of ``domain_unet``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

AT_LEAST_ONE = ("epochs", "width", "batch_size", "latent", "latent_hidden", "rank_voxels")


@dataclass(frozen=True)
class UNetRecipe:
    """Parameters of the method ``domain_unet``.

    Attributes:
        regulariser: ``erm`` or ``lddg``, as of ``domain_finetune``.
        reparameterisation: Likewise.
        kl_weight: Likewise.
        rank_weight: Likewise.
        latent: Dimensions of the latent space of each voxel.
        latent_hidden: Channels before it.
        rank_voxels: Voxels of a batch, drawn at random, whose latent matrix the rank term takes.
        epochs: Number of epochs.
        width: Channels of the first level.
        batch_size: Samples of a batch; equally many of each site.
        learning_rate: Of Adam, at its peak; a half cosine to zero.
        weight_decay: Of Adam.
        background_weight: Weight of the background in the cross-entropy; other labels have 1.
    """

    regulariser: Literal["erm", "lddg"] = "erm"
    reparameterisation: Literal["standard", "published"] = "standard"
    kl_weight: float = 0.01
    rank_weight: float = 1e-3
    latent: int = 8
    latent_hidden: int = 64
    rank_voxels: int = 2000
    epochs: int = 10
    width: int = 16
    batch_size: int = 8
    learning_rate: float = 3e-3
    weight_decay: float = 1e-8
    background_weight: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("kl_weight", "rank_weight", "weight_decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative")
        for name in ("learning_rate", "background_weight"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive")
