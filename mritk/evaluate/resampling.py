"""Resamples of units for the clustered bootstrap: which unit counts how much.

Samples of one patient, and copies of each other, are no independent witnesses. So whole units are
drawn, within strata. Of a stratum of n units, n - 1 are drawn with replacement and weighted by
n / (n - 1), which makes the variance of the resamples that of the estimate also where n is small
(Rao & Wu 1988, Resampling inference with complex survey data, JASA 83, 231–241; n draws
underestimate it by the factor (n - 1) / n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SEED = 20_260_101


@dataclass(frozen=True, eq=False)
class Units:
    """U units and the strata in which they are drawn.

    Attributes:
        stratum: (U,) int64 number of each unit's stratum, from 0.
    """

    stratum: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Number of units per stratum, (strata,)."""
        return np.bincount(self.stratum)

    def weights(self, resamples: int, seed: int = SEED) -> np.ndarray:
        """Return how much each unit counts in each resample, (resamples, U) float32.

        The weights of a stratum sum to its size. A stratum of one unit always counts once.
        """
        rng = np.random.default_rng(seed)
        weights = np.ones((resamples, len(self.stratum)), dtype=np.float32)
        for number, size in enumerate(self.sizes):
            if size < 2:
                continue
            drawn = rng.integers(0, size, (resamples, size - 1))
            drawn += size * np.arange(resamples)[:, None]
            counts = np.bincount(drawn.ravel(), minlength=resamples * size)
            columns = np.flatnonzero(self.stratum == number)
            weights[:, columns] = counts.reshape(resamples, size) * (size / (size - 1))
        return weights

    def leave_one_out(self) -> np.ndarray:
        """Return the weights of the jackknife, (U, U) float32: row i leaves out unit i.

        The other units of its stratum take over its weight.
        """
        same = self.stratum[:, None] == self.stratum[None, :]
        size = self.sizes[self.stratum][:, None]
        weights = np.where(same, size / np.maximum(size - 1, 1), 1.0)
        np.fill_diagonal(weights, np.where(size[:, 0] > 1, 0.0, 1.0))
        return weights.astype(np.float32)


def strata_of(unit: np.ndarray, label: np.ndarray) -> Units:
    """Return the units, each in the stratum of the label that most of its samples have.

    Args:
        unit: (N,) int64, number of each sample's unit, from 0 and without gaps.
        label: (N,) int64, what strata are made by: the class, say. Equally frequent labels: the
            smallest.
    """
    counts = np.zeros((int(unit.max()) + 1, int(label.max()) + 1), dtype=np.int64)
    np.add.at(counts, (unit, label), 1)
    _, stratum = np.unique(counts.argmax(axis=1), return_inverse=True)
    return Units(stratum.astype(np.int64))


def strata_of_folds(unit: np.ndarray, label: np.ndarray, fold: np.ndarray) -> Units:
    """Return the units in strata of class and fold; each unit is in one fold.

    One unit alone in its stratum would never vary. So a class of which some fold has a single unit
    is drawn over all folds together.

    Args:
        unit: (N,) int64, number of each sample's unit, from 0 and without gaps.
        label: (N,) int64, class of each sample.
        fold: (N,) int64, fold of each sample.
    """
    by_class = strata_of(unit, label).stratum
    of_unit = np.zeros(len(by_class), dtype=np.int64)
    of_unit[unit] = fold
    cells, where, sizes = np.unique(
        np.stack([by_class, of_unit]), axis=1, return_inverse=True, return_counts=True
    )
    where, alone = where.ravel(), np.unique(cells[0][sizes < 2])
    merged = np.where(np.isin(by_class, alone), -1 - by_class, where)
    _, stratum = np.unique(merged, return_inverse=True)
    return Units(stratum.astype(np.int64))


def numbered(names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Return the number of each name, (N,) int64, and the distinct names in that order."""
    distinct, numbers = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    return numbers.astype(np.int64), distinct.tolist()
