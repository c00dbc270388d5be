"""Classifiers that are really trained on the folds of a cohort; two rows of them are equal.

Patients have six measurements, of which two rows see the same three and an equally noisy version
each of the other three. The classifier takes the class of the nearest mean or, which depends far
more on the training samples, of the nearest neighbour; what a seed changes is a bootstrap of the
training samples. The folds share training samples, as folds do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.evidence.quick_metric import quick_metric
from benchmarks.evidence.simulated import Table
from mritk.evaluate.run_values import Scored

DRAWS, FRESH = 1000, 300
Parts = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Cohort:
    """Patients of one image each.

    Attributes:
        patients: Number of patients.
        classes: Number of classes, equally frequent but for a rare one.
        folds: Number of folds.
        seeds: Runs per row.
        repeats: How often the patients are divided.
        nearest: ``mean`` or ``neighbour``.
        apart: Distance of the classes.
        rare: Patients of the last class; 0: as many as of the others. Folds lack it if it has fewer
            patients than there are folds.
        drawn: Whether a part of the size of a fold is drawn ``repeats`` times (repeated hold-out),
            instead of folds.
    """

    patients: int
    classes: int
    folds: int
    seeds: int = 1
    repeats: int = 1
    nearest: str = "mean"
    apart: float = 1.1
    rare: int = 0
    drawn: bool = False

    def table(self, seed: int) -> Table:
        """Return one draw of two rows that are equally good."""
        rng = np.random.default_rng(seed)
        target, shared = self._drawn(self.patients, rng, self.rare)
        divisions = self._divisions(target, rng)
        rows: Table = {}
        for name in ("one", "other"):
            seen = self._seen(shared, rng)
            rows[name] = [
                self._trial((run, number), len(division) * number + fold, seen, target, parts, rng)
                for run in range(self.seeds)
                for number, division in enumerate(divisions)
                for fold, parts in enumerate(division)
            ]
        return rows

    def _divisions(self, target: np.ndarray, rng: np.random.Generator) -> list[list[Parts]]:
        """Return the training and test patients of each fold of each division."""
        from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

        if self.drawn:
            draws = StratifiedShuffleSplit(
                self.repeats, test_size=1 / self.folds, random_state=int(rng.integers(2**31))
            )
            return [list(draws.split(target, target))]
        return [
            list(StratifiedKFold(self.folds, shuffle=True, random_state=draw).split(target, target))
            for draw in rng.integers(2**31, size=self.repeats)
        ]

    def truth(self, metric: str) -> float:
        """Return the expected value: of many trainings, on patients never seen."""
        found = quick_metric(metric)
        rng = np.random.default_rng(2**31)
        fitted = self.patients - self.patients // self.folds
        values = []
        for _ in range(DRAWS):
            ours = self._drawn(fitted, rng, self.rare - round(self.rare / self.folds))
            theirs = self._drawn(FRESH * self.classes, rng)
            score = self._scores(self._seen(ours[1], rng), ours[0], self._seen(theirs[1], rng), rng)
            values.append(found.compute(theirs[0], score).value)
        return float(np.mean(values))

    def _drawn(
        self, patients: int, rng: np.random.Generator, rare: int = 0
    ) -> tuple[np.ndarray, np.ndarray]:
        target = np.arange(patients) % self.classes
        if rare:
            frequent = np.arange(patients - rare) % (self.classes - 1)
            target = np.r_[frequent, np.full(rare, self.classes - 1)]
        return target, self.apart * np.eye(self.classes, 6)[target] + rng.normal(size=(patients, 6))

    @staticmethod
    def _seen(shared: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        seen = shared.copy()
        seen[:, 3:] += rng.normal(size=(len(shared), 3))
        return seen

    def _trial(
        self,
        run: tuple[int, int],
        fold: int,
        seen: np.ndarray,
        target: np.ndarray,
        parts: Parts,
        rng: np.random.Generator,
    ) -> Scored:
        train, test = parts
        score = self._scores(seen[train], target[train], seen[test], rng)
        names = [f"p{patient}" for patient in test]
        return Scored(run, fold, target[test], score.astype(np.float32), names)

    def _scores(
        self, seen: np.ndarray, target: np.ndarray, fresh: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return logits (N, classes) of N patients by a classifier trained on others."""
        drawn = rng.choice(len(seen), len(seen))
        seen, target = seen[drawn], target[drawn]
        if self.nearest == "neighbour":
            distance = (fresh**2).sum(axis=1)[:, None] - 2 * fresh @ seen.T + (seen**2).sum(axis=1)
            return np.asarray(np.eye(self.classes)[target[distance.argmin(axis=1)]])
        means = np.stack(
            [
                seen[target == k].mean(axis=0) if k in target else np.zeros(6)
                for k in range(self.classes)
            ]
        )
        return np.asarray(-((fresh[:, None] - means) ** 2).sum(axis=2) / 2)
