"""Simulated tables: images of patients, scored by backbones that are truly equal.

The log odds of the right class are normal; their parts are a patient's difficulty (shared by all
backbones), how a backbone takes to a patient, what retraining changes as a whole and patient by
patient, and the image. All backbones have the same expected accuracy, which is known in closed
form, so that coverage and false verdicts can be counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mritk.results.run_values import Scored


@dataclass(frozen=True)
class World:
    """What is simulated.

    Attributes:
        patients: Number of patients; each is of one class, and classes are equally frequent.
        images: Images per patient.
        classes: Number of classes.
        backbones: Number of backbones.
        runs: Runs (seeds) per backbone.
        of_patient: Standard deviation of a patient's difficulty.
        of_backbone: Of how a backbone takes to a patient.
        of_run: Of what retraining changes as a whole.
        of_run_and_patient: Of what it changes patient by patient.
        mean: Mean log odds of the right class.
    """

    patients: int = 100
    images: int = 5
    classes: int = 4
    backbones: int = 3
    runs: int = 3
    of_patient: float = 1.0
    of_backbone: float = 0.5
    of_run: float = 0.05
    of_run_and_patient: float = 0.5
    mean: float = 1.0

    @property
    def accuracy(self) -> float:
        """The expected accuracy, and recall of each class: P(N(mean, 1 + Σ sd²) > 0)."""
        parts = (self.of_patient, self.of_backbone, self.of_run, self.of_run_and_patient, 1.0)
        return 0.5 * math.erfc(-self.mean / math.sqrt(2 * sum(sd**2 for sd in parts)))

    def table(self, seed: int) -> dict[str, list[Scored]]:
        """Return one draw of the table: the trials of each backbone."""
        rng = np.random.default_rng(seed)
        label = np.arange(self.patients) % self.classes
        patient = np.repeat(np.arange(self.patients), self.images)
        names = [f"p{number}" for number in patient]
        difficulty = self.of_patient * rng.normal(size=self.patients)
        rows: dict[str, list[Scored]] = {}
        for backbone in range(self.backbones):
            liking = self.of_backbone * rng.normal(size=self.patients)
            rows[f"net{backbone}"] = []
            for run in range(self.runs):
                of_patient = self.of_run_and_patient * rng.normal(size=self.patients)
                odds = self.mean + self.of_run * rng.normal() + rng.normal(size=len(patient))
                odds += (difficulty + liking + of_patient)[patient]
                score = self._logits(odds, label[patient], rng)
                trial = Scored((run, 0), 0, label[patient], score, names)
                rows[f"net{backbone}"].append(trial)
        return rows

    def _logits(self, odds: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return logits (N, classes): ``odds`` for the right class, 0 for the best wrong one."""
        score = -1.0 - rng.random((len(odds), self.classes))
        wrong = (target + rng.integers(1, self.classes, len(odds))) % self.classes
        rows = np.arange(len(odds))
        score[rows, wrong] = 0.0
        score[rows, target] = odds
        return score.astype(np.float32)


def by_rows(table: dict[str, list[Scored]]) -> dict[str, list[Scored]]:
    """Return the same table with every image as a unit of its own, as a row bootstrap has it."""
    return {
        name: [
            Scored(t.run, t.fold, t.target, t.score, [f"{i}" for i in range(len(t.target))])
            for t in trials
        ]
        for name, trials in table.items()
    }
