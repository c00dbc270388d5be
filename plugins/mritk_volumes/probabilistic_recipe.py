"""The parameters of the method ``probabilistic_finetune``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mritk.train import Recipe


@dataclass(frozen=True)
class ProbabilisticRecipe(Recipe):
    """Those of ``finetune``, with a linear head, and what is predicted beside a value or class.

    Attributes:
        likelihood: Of values: ``gaussian``: mean and variance are predicted, the loss is the
            negative log-likelihood; ``squared`` and ``absolute`` errors have no variance. Values
            are standardised in all of them. Classes have the cross-entropy.
        dropout: Of the features, before the linear layer. ``mc``: with ``dropout_rate``, in
            training and prediction (Gal and Ghahramani 2016); ``concrete``: with a learned rate
            (Gal, Hron and Kendall 2017), which ``dropout_rate`` begins; ``none``.
        dropout_rate: Share of the features that are left out.
        draws: How many thinned heads a prediction is the mixture of; each sample meets the same.
        prior_length: Length scale of the prior of ``concrete`` weights.
    """

    likelihood: Literal["gaussian", "squared", "absolute"] = "gaussian"
    dropout: Literal["none", "mc", "concrete"] = "none"
    dropout_rate: float = 0.1
    draws: int = 20
    prior_length: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what does not belong together."""
        super().__post_init__()
        if self.head != type(self.head)() or self.head_start != "random":
            raise ValueError(
                "probabilistic_finetune has a head of its own: set dropout and dropout_rate in "
                "place of head and head_start"
            )
        if self.test_time != "none":
            raise ValueError(
                "probabilistic_finetune has no views of test time: leave out test_time"
            )
        if not 0 < self.dropout_rate < 1:
            raise ValueError("dropout_rate must be in (0, 1)")
        if self.draws < 1:
            raise ValueError("draws must be at least 1")
        if not self.prior_length > 0:
            raise ValueError("prior_length must be positive")
