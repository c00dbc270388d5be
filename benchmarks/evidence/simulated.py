"""Simulated tables: images of patients, scored by backbones that are truly equal.

The log odds of the right class are normal; their parts are a patient's difficulty (shared by all
backbones), how a backbone takes to a patient, what retraining changes as a whole, class by class
and patient by patient, and the image. All backbones have the same expected recall of each class,
which is known in closed form, so that coverage and false verdicts can be counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from benchmarks.evidence.quick_metric import quick_metric
from mritk.evaluate.run_values import Scored

# Means of recalls, which are all the same.
RECALLS = ("balanced_accuracy", "accuracy")
MANY, RUNS = 40_000, 40
Table = dict[str, list[Scored]]  # of each row the trials


@dataclass(frozen=True)
class World:
    """What is simulated.

    Attributes:
        patients: Number of patients; each is of one class.
        images: Images per patient: the mean, if they are unequal.
        classes: Number of classes.
        backbones: Number of backbones.
        runs: Runs (seeds) per backbone.
        of_patient: Standard deviation of a patient's difficulty.
        of_backbone: Of how a backbone takes to a patient.
        of_run: Of what retraining changes as a whole.
        of_run_and_class: Of what it changes class by class.
        of_run_and_patient: Of what it changes patient by patient.
        mean: Mean log odds of the right class.
        largest: Share of the patients who are of the first class; 0: classes are equally frequent.
        unequal: Whether the numbers of images per patient are geometric.
        harder: How much lower the odds are for e times as many images.
        unstable: How much more the runs of the first backbone differ.
        draws: How often training samples are drawn, each time for all runs.
        of_draw: What another draw changes as a whole, if there are several.
    """

    patients: int = 100
    images: int = 5
    classes: int = 4
    backbones: int = 3
    runs: int = 3
    of_patient: float = 1.0
    of_backbone: float = 0.5
    of_run: float = 0.05
    of_run_and_class: float = 0.0
    of_run_and_patient: float = 0.5
    mean: float = 1.0
    largest: float = 0.0
    unequal: bool = False
    harder: float = 0.0
    unstable: float = 1.0
    draws: int = 1
    of_draw: float = 0.0

    @property
    def recall(self) -> float:
        """The expected recall of each class: P(N(mean, 1 + Σ sd²) > 0), a mean over images."""
        images, probability = self._sizes
        mean = self.mean - self.harder * (np.log(images) - np.log(images) @ probability)
        found = [0.5 * math.erfc(-odds / math.sqrt(2) / self._spread(1.0)) for odds in mean]
        return float(np.average(found, weights=images * probability))

    def truth(self, metric: str) -> float:
        """Return the expected value: of recalls as it is known, else of many patients and runs."""
        if metric in RECALLS:
            return self.recall
        many = replace(self, patients=MANY // self.images, backbones=1, runs=RUNS, unstable=1.0)
        (trials,) = many.table(MANY).values()
        found = quick_metric(metric)
        return float(np.mean([found.compute(t.target, t.score).value for t in trials]))

    @property
    def _sizes(self) -> tuple[np.ndarray, np.ndarray]:
        """How many images a patient may have, and the probability of each."""
        if not self.unequal:
            return np.array([self.images]), np.ones(1)
        images = np.arange(1, 40 * self.images)
        probability = (1 - 1 / self.images) ** (images - 1)
        return images, probability / probability.sum()

    def _spread(self, unstable: float) -> float:
        """Return the standard deviation of the odds."""
        of_run = self.of_run * unstable
        parts = (self.of_patient, self.of_backbone, of_run, self.of_run_and_class, self.of_draw)
        return math.sqrt(1.0 + self.of_run_and_patient**2 + sum(sd**2 for sd in parts))

    def _labels(self) -> np.ndarray:
        first = round(self.largest * self.patients)
        rest = np.arange(self.patients - first)
        if not first:
            return rest % self.classes
        return np.r_[np.zeros(first, dtype=np.int64), 1 + rest % (self.classes - 1)]

    def table(self, seed: int) -> Table:
        """Return one draw of the table: the trials of each backbone."""
        rng = np.random.default_rng(seed)
        label = self._labels()
        sizes, probability = self._sizes
        images = rng.choice(sizes, self.patients, p=probability)
        patient = np.repeat(np.arange(self.patients), images)
        names = [f"p{number}" for number in patient]
        difficulty = self.of_patient * rng.normal(size=self.patients)
        difficulty -= self.harder * (np.log(images) - np.log(sizes) @ probability)
        rows: Table = {}
        for backbone in range(self.backbones):
            unstable = self.unstable if backbone == 0 else 1.0
            # The same recall in spite of odds that spread more.
            mean = self.mean * self._spread(unstable) / self._spread(1.0)
            liking = self.of_backbone * rng.normal(size=self.patients)
            rows[f"net{backbone}"] = []
            # From a generator of its own, so that other worlds stay what they are.
            drawn = np.random.default_rng([seed, backbone]).normal(size=self.draws)
            for draw, run in product(range(self.draws), range(self.runs)):
                of_patient = self.of_run_and_patient * rng.normal(size=self.patients)
                of_class = self.of_run_and_class * rng.normal(size=self.classes)
                odds = mean + unstable * self.of_run * rng.normal() + rng.normal(size=len(patient))
                odds += (difficulty + liking + of_patient + of_class[label])[patient]
                odds += self.of_draw * drawn[draw]
                score = self._logits(odds, label[patient], rng)
                trial = Scored((run, draw), draw, label[patient], score, names)
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


def by_rows(table: Table) -> Table:
    """Return the same table with every image as a unit of its own, as a row bootstrap has it."""
    return {
        name: [replace(trial, unit=list(map(str, range(len(trial.target))))) for trial in trials]
        for name, trials in table.items()
    }
