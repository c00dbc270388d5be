"""What training again could change: the spread between the runs of a row, and of its table.

Part of the spread between runs is the patients' doing, since runs err on different ones; drawing
patients and runs together would count this part three times (Owen 2007, The pigeonhole bootstrap,
Ann. Appl. Stat. 1, 386–411). For scores it is taken off. For differences it is left in: what is
taken off is itself uncertain, and a false verdict is worse than a missed one (measured in
docs/statistics.md).

Two or three runs may agree by luck, so the variance of a row is taken to be no smaller than that of
all rows (or pairs of rows) of its table together. But a row may also be less stable than the
others. So what it rests on goes with what it is: the d degrees of freedom of its own runs where
these spread as the table's or more; up to the D of the table as they spread less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.fold_overlap import inflation
from mritk.evaluate.rounding import one_value


@dataclass(frozen=True)
class Training:
    """What training again could change of a mean.

    Attributes:
        variance: Of the mean.
        dof: Degrees of freedom that it rests on.
    """

    variance: float
    dof: float

    @classmethod
    def over_folds(cls, values: np.ndarray, folds: int) -> Training | None:
        """Return the variance of the mean of J values, one per fold, as the folds show it.

        Folds share training samples: :mod:`mritk.evaluate.fold_overlap`. None: it is unknown.

        Args:
            values: (J,) means over seeds.
            folds: Number k of folds that divide the samples; J = k, or a multiple for repeats.
        """
        if folds < 2 or len(values) < 2 or not np.isfinite(values).all():
            return None
        alone = float(np.var(values, ddof=1)) / len(values)
        return cls(inflation(folds) * alone, len(values) - 1)


@dataclass(frozen=True)
class RunSpread:
    """How much the runs of a table differ.

    Attributes:
        variance: Mean variance between the runs of a row (n - 1); 0 if none has two runs.
        dof: Degrees of freedom that it rests on.
        cautious: Whether what patients add to it is left in.
        ignored: Whether the runs are taken as they are, as if nobody trained again.
        folds: What the folds show of the variance of the mean, patients included: the least that
            there is.
    """

    variance: float = 0.0
    dof: int = 0
    cautious: bool = False
    ignored: bool = False
    folds: Training | None = None

    @classmethod
    def over(
        cls, rows: Sequence[tuple[np.ndarray, np.ndarray]], most: int, *, cautious: bool
    ) -> RunSpread:
        """Return the spread over several rows.

        Args:
            rows: The runs of each row: their values (S,), and those in the resamples (S, R).
            most: Degrees of freedom at most; differences of the same rows are not independent.
            cautious: Whether to leave in what patients add to it.
        """
        several = [row for row in rows if len(row[0]) > 1 and np.isfinite(row[0]).all()]
        if not several:
            return cls(cautious=cautious)
        dof = [len(points) - 1 for points, _ in several]
        found = [between_runs(*row, cautious=cautious) for row in several]
        variance = float(np.average(found, weights=dof))
        return cls(max(0.0, variance), min(sum(dof), most), cautious)

    def training(self, points: np.ndarray, values: np.ndarray) -> Training | None:
        """Return what training again could change of the mean of S runs; None: it is unknown.

        Args:
            points: (S,) value of each run.
            values: (S, R) value of each run in each resample of the patients.
        """
        own = between_runs(points, values, cautious=self.cautious) if len(points) > 1 else 0.0
        return self.of_row(own, len(points))

    def of_row(self, own: float, runs: int, groups: int = 1) -> Training | None:
        """Return what training again could change of the mean of S runs; None: it is unknown.

        Args:
            own: Variance between them.
            runs: Number S of runs.
            groups: Over how many groups of samples that variance is a mean.
        """
        if self.ignored:
            return Training(0.0, math.inf)
        if runs < 2:
            return Training(self.variance, self.dof) if self.dof else None
        variance, alone = max(own, self.variance), runs - 1
        known = groups * alone * self.variance / own if own > 0 else math.inf
        return Training(variance / runs, min(max(known, alone), max(alone, self.dof)))


def between_runs(points: np.ndarray, values: np.ndarray, *, cautious: bool) -> float:
    """Return the variance between runs (n - 1).

    Less what patients add to it, it may be below 0: runs agree better than different patients
    would let them.

    Args:
        points: (S,) value of each run.
        values: (S, R) value of each run in each resample of the patients.
        cautious: Whether to leave in what patients add to it.
    """
    variance = 0.0 if one_value(points) else float(points.var(ddof=1))
    known = values[:, np.isfinite(values).all(axis=0)]
    if cautious or not known.size:
        return variance
    of_patients = (known - known.mean(axis=0)).var(axis=1).sum() / (len(points) - 1)
    return float(variance - of_patients)
