"""Resamples of units for the clustered bootstrap: which unit counts how much.

Samples of one patient, and copies of each other, are no independent witnesses. So whole units are
drawn, within strata. Of a stratum of n units, n - 1 are drawn with replacement and weighted by
n / (n - 1), which makes the variance of the resamples that of the estimate also where n is small
(Rao & Wu 1988, Resampling inference with complex survey data, JASA 83, 231–241; n draws
underestimate it by the factor (n - 1) / n).

Units of unequal size are worth fewer: a class of one patient with 50 images and four with 1 each is
known about as well as from one patient. Kish 1965, Survey Sampling, counts them as (Σ m)² / Σ m²
for sizes m; the variance that they show has Satterthwaite's degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

SEED = 20_260_101


@dataclass(frozen=True, eq=False)
class Units:
    """U units and the strata in which they are drawn.

    Attributes:
        stratum: (U,) int64 number of each unit's stratum, from 0.
        samples: (U,) how many samples each has, up to a common factor; None: all alike.
        label: (U,) int64 what strata are made by: the class, say; None: the stratum.
    """

    stratum: np.ndarray
    samples: np.ndarray | None = None
    label: np.ndarray | None = None

    @property
    def sizes(self) -> np.ndarray:
        """Number of units per stratum, (strata,)."""
        return np.bincount(self.stratum)

    @property
    def effective(self) -> np.ndarray:
        """Number of units of equal size that those of each stratum are worth, (strata,)."""
        return self._power(1) ** 2 / self._power(2)

    @property
    def dof(self) -> np.ndarray:
        """Degrees of freedom of the variance that each stratum shows, (strata,).

        Satterthwaite's for a weighted mean of units of equal variance: (Σ m²)² / Σ m⁴, less one.
        """
        return np.maximum(self._power(2) ** 2 / self._power(4) - 1, 1.0)

    def shares(self, *, per_label: bool) -> np.ndarray:
        """Return what share of a mean each stratum is, (strata,).

        Args:
            per_label: Whether it is a mean over labels of what those of the label are.
        """
        samples = self._power(1)
        if not per_label:
            return np.asarray(samples / samples.sum())
        of_stratum = np.arange(len(samples))
        if self.label is not None:
            of_stratum = np.zeros(len(samples), dtype=np.int64)
            of_stratum[self.stratum] = self.label
        _, of_stratum = np.unique(of_stratum, return_inverse=True)
        of_label = np.bincount(of_stratum, samples)
        return np.asarray(samples / of_label[of_stratum] / len(of_label))

    def _power(self, exponent: int) -> np.ndarray:
        """Return the sum over each stratum of a power of the sizes of its units."""
        samples = np.ones(len(self.stratum)) if self.samples is None else self.samples
        return np.bincount(self.stratum, np.asarray(samples, dtype=np.float64) ** exponent)

    def probes(self, seed: int = SEED + 3) -> np.ndarray:
        """Return weights that differ from 1 within one stratum each, (strata, U) float32.

        What does not change when the units of a stratum weigh otherwise has no spread there. The
        weights of a stratum sum to its size.
        """
        drawn = np.random.default_rng(seed).exponential(size=len(self.stratum)) + 0.1
        drawn *= (self.sizes / np.bincount(self.stratum, drawn))[self.stratum]
        inside = np.arange(len(self.sizes))[:, None] == self.stratum
        return np.where(inside, drawn, 1.0).astype(np.float32)

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
        weights = np.ones((len(self.stratum), len(self.stratum)), dtype=np.float32)
        for number, size in enumerate(self.sizes):
            if size < 2:
                continue
            inside = np.flatnonzero(self.stratum == number)
            weights[np.ix_(inside, inside)] = size / (size - 1)
            weights[inside, inside] = 0.0
        return weights


def strata_of(unit: np.ndarray, label: np.ndarray) -> Units:
    """Return the units, each in the stratum of the label that most of its samples have.

    One unit alone in its stratum would never vary. If other units have samples of its label too, it
    is drawn with them: in the stratum that most of them are in.

    Args:
        unit: (N,) int64, number of each sample's unit, from 0 and without gaps.
        label: (N,) int64, what strata are made by: the class, say. Equally frequent labels: the
            smallest.
    """
    counts = np.zeros((int(unit.max()) + 1, int(label.max()) + 1), dtype=np.int64)
    np.add.at(counts, (unit, label), 1)
    most = counts.argmax(axis=1)
    for name in range(counts.shape[1]):
        inside = most == name
        others = (counts[:, name] > 0) & ~inside
        if inside.sum() == 1 and others.any():
            most[inside] = np.bincount(most[others]).argmax()
    _, stratum = np.unique(most, return_inverse=True)
    return Units(stratum.astype(np.int64), counts.sum(axis=1), most)


def strata_of_folds(unit: np.ndarray, label: np.ndarray, fold: np.ndarray) -> Units:
    """Return the units in strata of class and fold; each unit is in one fold.

    One unit alone in its stratum would never vary. So a class of which some fold has a single unit
    is drawn over all folds together.

    Args:
        unit: (N,) int64, number of each sample's unit, from 0 and without gaps.
        label: (N,) int64, class of each sample.
        fold: (N,) int64, fold of each sample.
    """
    whole = strata_of(unit, label)
    by_class = whole.stratum
    of_unit = np.zeros(len(by_class), dtype=np.int64)
    of_unit[unit] = fold
    cells, where, sizes = np.unique(
        np.stack([by_class, of_unit]), axis=1, return_inverse=True, return_counts=True
    )
    where, alone = where.ravel(), np.unique(cells[0][sizes < 2])
    merged = np.where(np.isin(by_class, alone), -1 - by_class, where)
    _, stratum = np.unique(merged, return_inverse=True)
    return replace(whole, stratum=stratum.astype(np.int64))


def numbered(names: Sequence[str]) -> np.ndarray:
    """Return the number of each name among the distinct ones in their order, (N,) int64."""
    _, numbers = np.unique(np.asarray(names, dtype=str), return_inverse=True)
    return numbers.astype(np.int64)
