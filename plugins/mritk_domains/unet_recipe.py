"""The parameters of ``domain_unet``."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from mritk_segmentation.unet_recipe import MapRecipe

AT_LEAST_ONE = ("latent", "latent_hidden", "rank_voxels")


@dataclass(frozen=True)
class UNetRecipe(MapRecipe):
    """Parameters of the method ``domain_unet``.

    Attributes:
        regulariser: ``erm`` or ``lddg``, as of ``domain_finetune``.
        reparameterisation: Likewise.
        kl_weight: Likewise.
        rank_weight: Likewise.
        latent: Dimensions of the latent space of each voxel.
        latent_hidden: Channels before it.
        rank_voxels: Voxels of a batch, drawn at random, whose latent matrix the rank term takes.
    """

    regulariser: Literal["erm", "lddg"] = "erm"
    reparameterisation: Literal["standard", "published"] = "standard"
    kl_weight: float = 0.01
    rank_weight: float = 1e-3
    latent: int = 8
    latent_hidden: int = 64
    rank_voxels: int = 2000

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        super().__post_init__()
        for name in AT_LEAST_ONE:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        for name in ("kl_weight", "rank_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative")
