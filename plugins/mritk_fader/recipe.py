"""The parameters of ``fader``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

AT_LEAST_ONE = ("epochs", "width", "levels")
POSITIVE = ("learning_rate", "adversary_rate")


@dataclass(frozen=True)
class FaderRecipe:
    """Parameters of the method ``fader``.

    Attributes:
        epochs: Epochs of the autoencoder.
        width: Channels of its first level; each level has twice those of the one before.
        levels: Number of levels; each halves the sides.
        features: What adversary and logistic regression see: the ``mean`` of each latent channel,
            or the latent ``grid``.
        adversary_weight: Weight λ of the adversary in the last step; it rises from 0 in equal
            steps. 0: there is no adversary.
        adversary_steps: Steps of the adversary before each step of the autoencoder.
        dropout: Of the adversary.
        batch_size: Samples of a batch.
        learning_rate: Of the autoencoder's Adam.
        adversary_rate: Of the adversary's.
        penalties: Of the logistic regression, chosen by the selection rule; with ``last``, the
            first.
    """

    epochs: int = 100
    width: int = 32
    levels: int = 4
    features: Literal["mean", "grid"] = "mean"
    adversary_weight: float = 0.01
    adversary_steps: int = 5
    dropout: float = 0.3
    batch_size: int = 64
    learning_rate: float = 1e-4
    adversary_rate: float = 3e-5
    penalties: tuple[float, ...] = (0.01, 0.1, 1.0, 10.0, 100.0, 1000.0)

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive")
        if self.batch_size < 2:
            raise ValueError("batch_size must be at least 2, for the statistics of a batch")
        if not 0 <= self.adversary_weight < math.inf:
            raise ValueError("adversary_weight must not be negative")
        if self.adversary_steps < 1:
            raise ValueError(
                "adversary_steps must be at least 1; without an adversary set adversary_weight = 0"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout must be in [0, 1)")
        if not self.penalties or not all(0 < penalty < math.inf for penalty in self.penalties):
            raise ValueError("penalties must be positive numbers, at least one")
