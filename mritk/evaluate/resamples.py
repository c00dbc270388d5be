"""Metrics of many weightings of the same samples at once.

A resample of the bootstrap is a weight per unit. What a metric needs of it is mostly a sum over
samples, so that one matrix product serves all resamples; ranks (AUROC, average precision) need the
samples in order of their scores, and cumulative sums along them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from mritk.evaluate.ranks import odds_ranks
from mritk.evaluate.rounding import ROUNDING, SINGLE_PRECISION

CHUNK = 256  # resamples at a time, so that the arrays of one chunk stay in the cache


def read_only(values: np.ndarray) -> np.ndarray:
    """Return a view that cannot be written to, of what several metrics are given."""
    view = values.view()
    view.setflags(write=False)
    return view


class Resamples:
    """N samples of one trial in R weightings of U units, which no metric can write to.

    Attributes:
        targets: (N,) class indices or values.
        scores: (N, classes) logits, or (N,) values.
        unit: (N,) int64 number of each sample's unit.
        weights: (R, U) how much each unit counts in each resample, float32 or float64, as which
            sums over units are computed.
    """

    def __init__(
        self, targets: np.ndarray, scores: np.ndarray, unit: np.ndarray, weights: np.ndarray
    ) -> None:
        # Units of other trials (of other folds) have no part in this one.
        used, number = np.unique(unit, return_inverse=True)
        if weights.dtype.kind != "f":  # whole numbers
            weights = weights.astype(np.float64)
        self.unit, self.targets, self.scores = map(read_only, (number, targets, scores))
        self.weights = read_only(weights if len(used) == weights.shape[1] else weights[:, used])

    @classmethod
    def of_one(cls, targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Resamples:
        """Return samples in one weighting (N,), in double precision; weight 0 leaves one out."""
        some = weights > 0
        worth, unit = np.unique(weights[some].astype(np.float64), return_inverse=True)
        return cls(targets[some], scores[some], unit, worth[None])

    def sample_weights(self) -> Iterator[np.ndarray]:
        """Yield the weights of the samples in each resample, (N,) float64."""
        for weights in self.weights:
            yield weights[self.unit].astype(np.float64)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted sums over the samples, (R, F) float64, of values (N, F)."""
        per_unit = np.zeros((self.weights.shape[1], values.shape[1]))
        np.add.at(per_unit, self.unit, values)
        return self._weighted(per_unit)

    def _weighted(self, per_unit: np.ndarray) -> np.ndarray:
        """Return the weighted sums over the units, (R, F) float64, of values (U, F)."""
        return (self.weights @ per_unit.astype(self.weights.dtype)).astype(np.float64)

    @property
    def rounding(self) -> float:
        """What a variance that rounding makes of none may be, relative to the squared range."""
        return SINGLE_PRECISION if self.weights.dtype == np.float32 else ROUNDING

    @cached_property
    def total(self) -> np.ndarray:
        """Total weight, (R,) float64."""
        return read_only(self.sums(np.ones((len(self.targets), 1)))[:, 0])

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted mean (R,) of one value per sample (N,)."""
        # From their middle, or single precision sets apart the means of values that are all alike.
        middle = values.mean() if self.weights.dtype == np.float32 else 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            return middle + self.sums((values - middle)[:, None])[:, 0] / self.total

    # -- classes -------------------------------------------------------------------------------

    @cached_property
    def confusion(self) -> np.ndarray:
        """Weight of the samples of class i that are taken for class j, (R, classes, classes)."""
        classes = self.scores.shape[1]
        cell = self.targets.astype(np.int64) * classes + self.scores.argmax(axis=1)
        counts = np.zeros((self.weights.shape[1], classes * classes))
        np.add.at(counts, (self.unit, cell), 1)
        return read_only(self._weighted(counts).reshape(-1, classes, classes))

    # -- ranks ---------------------------------------------------------------------------------

    @cached_property
    def ranked(self) -> tuple[np.ndarray, np.ndarray]:
        """AUROC and average precision of each class against the rest, (R, classes) each.

        NaN where the class, or the rest, has no weight.
        """
        classes = self.scores.shape[1]
        shape = (len(self.weights), classes)
        auroc, precision = np.full(shape, np.nan), np.full(shape, np.nan)
        for k in range(classes):
            positive = self.targets == k
            if positive.any() and not positive.all():
                odds = odds_ranks(self.scores, k)
                auroc[:, k], precision[:, k] = self._of_ranks(odds, positive)
        return read_only(auroc), read_only(precision)

    @cached_property
    def _by_unit(self) -> np.ndarray:
        """The weights with resamples along the rows, (U, R), so that sums run over vectors."""
        return np.ascontiguousarray(self.weights.T)

    def _of_ranks(self, odds: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return AUROC and average precision (R,) of one class.

        With samples in descending order of score, let p and q be the weight of the class and of
        the rest among those of one score, P and Q what they add up to down to there. Then
        AUROC = 1 - Σ p (Q - q / 2) / (ΣP ΣQ) and AP = Σ p · P / (P + Q) / ΣP. Only scores of
        samples of the class enter the sums.
        """
        order = np.argsort(-odds, kind="stable")
        ranked, unit, is_positive = odds[order], self.unit[order], positive[order]
        values, first = np.unique(-ranked[is_positive], return_index=True)
        ends = np.searchsorted(-ranked, values, side="right")
        starts = np.r_[0, ends[:-1]]
        rest = len(ranked) > ends[-1]
        # Samples of other classes with the score of one of this class.
        tied = np.flatnonzero(~is_positive & np.isin(ranked, -values))
        tied_to = np.searchsorted(values, -ranked[tied])
        auroc, precision = [], []
        for at in range(0, self._by_unit.shape[1], CHUNK):
            weights = self._by_unit[:, at : at + CHUNK]
            p = np.add.reduceat(weights[unit[is_positive]], first, axis=0)
            every = np.cumsum(np.add.reduceat(weights[unit[: ends[-1]]], starts, axis=0), axis=0)
            upto = np.cumsum(p, axis=0)
            below = weights[unit[ends[-1] :]].sum(axis=0) if rest else 0.0
            above = every - upto
            all_rest = (above[-1] + below).astype(np.float64)
            if len(tied):
                np.subtract.at(above, tied_to, weights[unit[tied]] / 2)
            of_class = upto[-1].astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                lost = np.einsum("nr,nr->r", p, above) / (of_class * all_rest)
                auroc.append(1 - lost)
                share = np.divide(upto, every, out=np.zeros_like(upto), where=every > 0)
                precision.append(np.einsum("nr,nr->r", p, share) / of_class)
        return np.concatenate(auroc), np.concatenate(precision)
