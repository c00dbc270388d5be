"""The parameters of ``domain_finetune``: those of ``finetune``, and a regulariser over sites."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from mritk.train import Recipe

POSITIVE = ("mixup_alpha", "groupdro_rate")
NOT_NEGATIVE = ("kl_weight", "rank_weight", "coral_weight", "irm_weight", "irm_anneal")


@dataclass(frozen=True)
class DomainRecipe(Recipe):
    """Parameters of the method ``domain_finetune``; those of ``finetune`` hold too.

    Every batch holds equally many samples of each site. Features go through a latent space to a
    linear layer, whatever the regulariser, so that networks are the same.

    Attributes:
        regulariser: ``erm``: the loss alone, on balanced batches. ``lddg``: Li et al. 2020;
            ``coral``: Sun and Saenko 2016; ``mixup``: between sites, Yan et al. 2020; ``irm``:
            Arjovsky et al. 2019; ``groupdro``: Sagawa et al. 2020.
        latent: Dimension of the latent space.
        latent_hidden: Width of the hidden layer before it; 0: none.
        reparameterisation: How ``lddg`` draws latent values from mean μ and standard deviation σ.
            ``standard``: μ + σ · ε. ``published``: as in the authors' code, which draws from
            N(μ, σ) and then multiplies by σ and adds μ again. Scores use μ.
        kl_weight: β of ``lddg``: weight of the divergence from a standard normal distribution.
        rank_weight: γ of ``lddg``: weight of the K-th singular value of the latent matrix of a
            batch, with K sites.
        coral_weight: Weight of the distance of means and covariances of the sites.
        mixup_alpha: Parameter of the Beta distribution of ``mixup``.
        irm_weight: Weight of the gradient penalty of ``irm`` after ``irm_anneal`` steps; before
            that it is 1.
        irm_anneal: See ``irm_weight``.
        groupdro_rate: Step size of the weights of sites.
    """

    last_batch: Literal["drop", "keep", "rollover"] = field(
        default="drop", metadata={"fingerprint": "unless default"}
    )
    regulariser: Literal["erm", "lddg", "coral", "mixup", "irm", "groupdro"] = "erm"
    latent: int = 8
    latent_hidden: int = 64
    reparameterisation: Literal["standard", "published"] = "standard"
    kl_weight: float = 0.01
    rank_weight: float = 1e-3
    coral_weight: float = 1.0
    mixup_alpha: float = 0.2
    irm_weight: float = 100.0
    irm_anneal: int = 500
    groupdro_rate: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what does not belong together."""
        super().__post_init__()
        if self.latent < 1 or self.latent_hidden < 0:
            raise ValueError("latent must be at least 1, and latent_hidden not negative")
        for name in POSITIVE:
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive")
        for name in NOT_NEGATIVE:
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must not be negative")
        if self.head != type(self.head)() or self.head_start != "random":
            raise ValueError(
                "domain_finetune has a head of its own: set latent and latent_hidden in place of "
                "head and head_start"
            )
        if self.mixup or self.cutmix:
            raise ValueError("use regulariser = 'mixup' and mixup_alpha in place of mixup, cutmix")
        if self.last_batch != "drop":
            raise ValueError("batches hold equally many samples of each site: last_batch is 'drop'")
        if self.regulariser == "mixup" and self.class_weights_per == "sample":
            raise ValueError("a mixed sample has two classes: class_weights_per must be 'term'")

    @property
    def mixing(self) -> tuple[float, float]:
        """The parameters of MixUp, for that regulariser, and of CutMix, which is off."""
        return (self.mixup_alpha if self.regulariser == "mixup" else 0.0), 0.0
