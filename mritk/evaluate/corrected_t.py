"""The corrected resampled t-test: differences between folds whose training parts overlap."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.interval import Interval
from mritk.evaluate.rounding import one_value

LEVEL = 0.95
NO_SPREAD = "all folds give the same difference, so its variance is unknown"


@dataclass(frozen=True)
class CorrectedT:
    """The mean difference over folds.

    Attributes:
        difference: Mean over the folds.
        interval: Of the difference.
        t: Difference in units of its corrected standard error.
        dof: Degrees of freedom: folds minus 1.
        p: Two-sided; NaN if there is a ``reason``.
        reason: Why there is no p, or empty.
    """

    difference: float
    interval: Interval
    t: float
    dof: int
    p: float
    reason: str = ""


def corrected_t(differences: np.ndarray, test_to_train: float) -> CorrectedT:
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
    from scipy.stats import t as student

    if not 0 < test_to_train < math.inf:
        raise ValueError(f"n_test / n_train is {test_to_train}; it must be positive")
    folds = len(differences)
    mean = float(np.mean(differences)) if folds else math.nan
    dof = max(folds - 1, 0)

    def without(reason: str) -> CorrectedT:
        return CorrectedT(mean, Interval.undefined(reason), math.nan, dof, math.nan, reason)

    if folds < 2:
        return without(
            f"there {'is one fold' if folds else 'are no folds'}; at least two are required"
        )
    if not np.isfinite(differences).all():
        return without("the metric is undefined in some folds")
    if one_value(differences):
        if mean == 0:
            return CorrectedT(0.0, Interval(0.0, 0.0, 0.0, LEVEL), 0.0, dof, 1.0)
        return without(NO_SPREAD)
    error = math.sqrt((1 / folds + test_to_train) * float(np.var(differences, ddof=1)))
    t = mean / error
    reach = float(student.ppf((1 + LEVEL) / 2, dof)) * error
    interval = Interval(mean - reach, mean + reach, error, LEVEL)
    return CorrectedT(mean, interval, t, dof, float(2 * student.sf(abs(t), dof)))
