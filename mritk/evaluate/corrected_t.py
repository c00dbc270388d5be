"""The corrected resampled t-test: differences between folds whose training parts overlap."""

from __future__ import annotations

import math

import numpy as np

from mritk.evaluate.difference import Difference
from mritk.evaluate.distributions import student_tail
from mritk.evaluate.interval import Interval
from mritk.evaluate.rounding import one_value

NO_SPREAD = "all folds give the same difference, so its variance is unknown"


def corrected_t(differences: np.ndarray, test_to_train: float) -> Difference:
    """Test whether the mean of the differences of J folds is zero.

    Folds share training samples, so their differences are correlated, and s² / J is too small a
    variance of their mean. It is replaced by ``(1 / J + n_test / n_train) · s²``: that of a
    correlation of n_test / (n_test + n_train). Nadeau & Bengio 2003, Inference for the
    generalization error, Mach. Learn. 52, 239–281, section 3; for repeated folds: Bouckaert &
    Frank 2004, Evaluating the replicability of significance tests for comparing learning
    algorithms, PAKDD, 3–12.

    Args:
        differences: (J,) first minus second, one per fold of each repeat.
        test_to_train: n_test / n_train; 1 / (k - 1) for k folds.

    Raises:
        ValueError: The ratio is not a positive number.
    """
    if not 0 < test_to_train < math.inf:
        raise ValueError(f"n_test / n_train is {test_to_train}; it must be positive")
    folds = len(differences)
    mean = float(np.mean(differences)) if folds else math.nan
    dof = folds - 1
    if folds < 2:
        there = "is one fold" if folds else "are no folds"
        return Difference.untested(mean, f"there {there}; at least two are required")
    if not np.isfinite(differences).all():
        return Difference.untested(mean, "the metric is undefined in some folds")
    if one_value(differences):
        if mean == 0:
            return Difference(0.0, Interval(0.0, 0.0, 0.0), 1.0, 0.0, dof)
        return Difference.untested(mean, NO_SPREAD)
    error = math.sqrt((1 / folds + test_to_train) * float(np.var(differences, ddof=1)))
    t = mean / error
    interval = Interval.around(mean, error, dof)
    return Difference(mean, interval, 2 * student_tail(abs(t), dof), t, dof)
