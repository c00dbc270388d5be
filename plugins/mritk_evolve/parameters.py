"""The parameters of ``evolve``."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

SHAPES_NOTHING = {"fingerprint": False}


@dataclass(frozen=True)
class Evolution:
    """Parameters of the method ``evolve``.

    Attributes:
        epochs: How often the parent is scored on the validation set.
        report_every: Generations between two scores; there are ``epochs · report_every`` in all.
        population: Children of each generation.
        elite: How many of the fittest children give the mean mutation.
        sigma: Standard deviation of a mutation of each weight, in the first generation.
        final_sigma: In the last generation, for ``exponential``.
        schedule: ``constant``, or ``exponential`` from ``sigma`` to ``final_sigma``.
        fitness: The training ``accuracy`` of a child, or its training ``loss``.
        tie_break: Which of equally accurate children is fitter: that of the lower ``loss``; or
            ``none``: that of the lower number.
        acceptance: ``fittest``: the next parent is the fittest of the parent, the parent with the
            mean mutation of the elite, and the fittest child. ``random``: the elite is drawn, and
            its mean mutation always accepted; the control that selects nothing.
        home_site: Whose samples are not from outside, for the notes; empty: the site with most
            training samples.
        eval_batch_size: Images times networks in one pass at most; affects fitness by rounding.
    """

    epochs: int = 5
    report_every: int = 10
    population: int = 40
    elite: int = 4
    sigma: float = 0.1
    final_sigma: float = 0.02
    schedule: Literal["constant", "exponential"] = "exponential"
    fitness: Literal["accuracy", "loss"] = "accuracy"
    tie_break: Literal["loss", "none"] = "loss"
    acceptance: Literal["fittest", "random"] = "fittest"
    home_site: str = field(default="", metadata=SHAPES_NOTHING)
    eval_batch_size: int = field(default=4096, metadata=SHAPES_NOTHING)

    def __post_init__(self) -> None:
        """Refuse what cannot evolve."""
        for name in ("epochs", "report_every", "population", "elite", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if self.elite > self.population:
            raise ValueError("elite must not be larger than population")
        if not all(0 < value < math.inf for value in (self.sigma, self.final_sigma)):
            raise ValueError("sigma and final_sigma must be positive")

    @property
    def generations(self) -> int:
        """Number of generations."""
        return self.epochs * self.report_every

    def sigma_of(self, generation: int) -> float:
        """Return the standard deviation of the mutations of a generation, counted from 1."""
        if self.schedule == "constant":
            return self.sigma
        share = (generation - 1) / max(1, self.generations - 1)
        return self.sigma * (self.final_sigma / self.sigma) ** share
