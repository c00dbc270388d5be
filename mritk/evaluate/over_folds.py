"""One value for all folds of a run, also where a fold tests no sample of a class.

A mean over classes is, for each class, the mean over the folds that test it; then the mean over the
classes. Where every fold tests every class this is the mean of the folds. In a resample a fold
counts for a class as much as what was drawn of it: units of a class may be drawn across folds, and
a fold may be left without any.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mritk.evaluate.metric import Metric, Undefined, Value
from mritk.evaluate.resamples import Resamples

# A metric of one fold: the value of each class in each weighting, (R, classes), NaN where
# undefined; and what was drawn of the class, relative to what the fold tests of it, (R, classes).
FoldClasses = tuple[np.ndarray, np.ndarray]


def run_value(
    metric: Metric, folds: Sequence[tuple[np.ndarray, np.ndarray]], *, partial: bool = False
) -> Value:
    """Return the value of one run, by targets and scores of each fold; NaN has a reason.

    ``partial`` lets a mean over classes leave out those that no fold tests.
    """
    found = [metric.compute(*fold, leave_out_absent=partial) for fold in folds]
    undefined = next((value for value in found if math.isnan(value.value)), None)
    mean = undefined or Value(float(np.mean([value.value for value in found])))
    if not metric.per_class or (undefined is None and not partial):
        return mean
    if not all(np.isfinite(scores).all() for _, scores in folds):
        return mean
    try:
        parts = [classes_of(metric, *fold) for fold in folds if len(fold[0])]
    except Undefined as why:
        return Value(math.nan, str(why))
    tested = sum((shares[0] for _, shares in parts), np.zeros(folds[0][1].shape[1])) > 0
    if not tested.all() and not (partial and tested.any()):
        return Value(math.nan, f"class number {int(np.argmin(tested))} has no sample in any fold")
    return Value.of(over_folds(parts, np.flatnonzero(tested))[0])


def classes_of(metric: Metric, targets: np.ndarray, scores: np.ndarray) -> FoldClasses:
    """Return the values of one fold as it is, (1, classes).

    Raises:
        Undefined: For another reason than that the fold tests one class only.
    """
    tested = np.bincount(targets, minlength=scores.shape[1]) > 0
    try:
        values = np.asarray(metric.function(targets, scores, np.ones(len(targets))), dtype=float)
    except Undefined:
        if tested.sum() > 1:
            raise
        values = np.full(len(tested), math.nan)
    return _usable(np.where(tested, values, math.nan)[None], tested[None].astype(float))


def fold_classes(metric: Metric, samples: Resamples) -> FoldClasses:
    """Return a metric ``per_class`` of one fold in every weighting of its samples."""
    tested = np.bincount(samples.targets, minlength=samples.scores.shape[1])
    drawn = samples.confusion.sum(axis=2)
    return _usable(metric.resample_classes(samples), drawn / np.maximum(tested, 1))


def per_fold(differences: np.ndarray) -> np.ndarray:
    """Return what each fold says of the mean over classes, (J,), where some lack a class.

    Their mean is that of the run, and their spread that of the folds: residuals of each class,
    which count as much as in the run, with the variance of so many folds as test it. Where all
    folds test all classes these are the means over classes. All NaN if a class is tested in one
    fold only, which shows no spread.

    Args:
        differences: (J, classes) of two rows, NaN where a fold does not test the class.
    """
    tested = np.isfinite(differences)
    differences = differences[:, tested.any(axis=0)]
    tested, folds = np.isfinite(differences), len(differences)
    counts = tested.sum(axis=0)
    if not differences.size or (counts < 2).any():
        return np.full(folds, math.nan)
    means = np.nanmean(differences, axis=0)
    unbiased = np.sqrt(counts / (counts - 1) * (folds - 1) / folds)
    residuals = np.where(tested, differences - means, 0.0) * unbiased * folds / counts
    return np.asarray(means.mean() + residuals.mean(axis=1))


def _usable(values: np.ndarray, shares: np.ndarray) -> FoldClasses:
    """Let a fold in which one class is alone not count where that leaves the value undefined."""
    alone = (shares > 0).sum(axis=1, keepdims=True) < 2
    return values, np.where(alone & np.isnan(values), 0.0, shares)


def over_folds(folds: Sequence[FoldClasses], classes: np.ndarray) -> np.ndarray:
    """Return the value of a run in every weighting, (R,): the mean over these classes."""
    values = np.stack([values for values, _ in folds])
    shares = np.stack([shares for _, shares in folds])
    # An undefined value counts only where something of its class was drawn.
    products = np.where(shares > 0, shares * values, 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: np.ndarray = (products / shares.sum(axis=0))[:, classes].mean(axis=1)
    return mean
