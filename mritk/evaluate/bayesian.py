"""How probable it is that one is worse, practically equal, or better, given the data.

Differences inside a *region of practical equivalence* (ROPE), from -rope to +rope, do not matter
in practice. Unlike a p-value these probabilities can also say that two are equal. Benavoli,
Corani, Demšar & Zaffalon 2017, Time for a change: a tutorial for comparing multiple classifiers
through Bayesian analysis, J. Mach. Learn. Res. 18 (77), 1–36.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mritk.errors import import_extra
from mritk.evaluate.corrected_t import NO_SPREAD
from mritk.evaluate.distributions import student_tail
from mritk.evaluate.resampling import SEED
from mritk.evaluate.rounding import one_value, subtracted


@dataclass(frozen=True)
class Probabilities:
    """What is believed of the first against the second; the three sum to 1.

    Attributes:
        worse: Probability that the first is worse by more than the ROPE.
        equal: Probability that the difference lies inside the ROPE.
        better: Probability that the first is better by more than the ROPE.
        reason: Why they are unknown (NaN), or empty.
    """

    worse: float
    equal: float
    better: float
    reason: str = ""

    @classmethod
    def unknown(cls, reason: str) -> Probabilities:
        """Return probabilities that do not exist."""
        return cls(math.nan, math.nan, math.nan, reason)


def student_probabilities(
    difference: float,
    standard_error: float,
    dof: float,
    rope: float,
    *,
    higher_is_better: bool = True,
) -> Probabilities:
    """Return the probabilities from a difference and its standard error.

    Under a flat prior the posterior of the true difference is Student's distribution at the
    difference, with the standard error as its scale.

    Args:
        difference: First minus second.
        standard_error: Of the difference.
        dof: Degrees of freedom of the standard error; infinite: the normal distribution.
        rope: Half the width of the ROPE, in the unit of the metric; 0: there is none.
        higher_is_better: Direction of the metric.

    Raises:
        ValueError: The ROPE is negative.
    """
    _require_rope(rope)
    if not (math.isfinite(difference) and standard_error > 0 and dof > 0):
        return Probabilities.unknown("the difference has no standard error")
    below = student_tail((rope + difference) / standard_error, dof)
    above = student_tail((rope - difference) / standard_error, dof)
    return _directed(below, above, higher_is_better=higher_is_better)


def fold_probabilities(
    first: np.ndarray,
    second: np.ndarray,
    rope: float,
    repeats: int = 1,
    *,
    higher_is_better: bool = True,
) -> Probabilities:
    """Return the probabilities from (repeated) k-fold cross-validation.

    The Bayesian correlated t-test of baycomp, with the correlation 1 / k between folds. Corani &
    Benavoli 2015, A Bayesian approach for comparing cross-validated algorithms on multiple data
    sets, Mach. Learn. 100, 285–304.

    Args:
        first: (repeats · k,) scores of the first, fold by fold.
        second: Those of the second, on the same folds.
        rope: Half the width of the ROPE, in the unit of the metric; 0: there is none.
        repeats: How often the k folds were drawn.
        higher_is_better: Direction of the metric.

    Raises:
        Unavailable: baycomp is not installed.
        ValueError: The ROPE is negative, or the scores do not make ``repeats`` times k folds.
    """
    _require_rope(rope)
    if len(first) != len(second) or len(first) % repeats:
        raise ValueError(f"{len(first)} and {len(second)} scores are not {repeats} times k folds")
    if len(first) < 2 * repeats:
        return Probabilities.unknown("it requires at least two folds")
    if not np.isfinite(first - second).all():
        return Probabilities.unknown("the metric is undefined in some folds")
    differences = subtracted(first, second)
    if differences.any() and one_value(differences):
        return Probabilities.unknown(NO_SPREAD)
    # baycomp subtracts the other way round.
    found = _baycomp().two_on_single(
        np.zeros_like(differences), differences, rope=rope, runs=repeats
    )
    return _directed(float(found[0]), float(found[-1]), higher_is_better=higher_is_better)


def dataset_probabilities(
    first: np.ndarray,
    second: np.ndarray,
    rope: float,
    *,
    higher_is_better: bool = True,
    draws: int = 20_000,
) -> Probabilities:
    """Return the probabilities for a further dataset, from the scores on D datasets.

    The Bayesian signed-rank test of baycomp: shares of draws from the posterior in which each of
    the three is the most probable. Benavoli, Corani, Mangili, Zaffalon & Ruggeri 2014, A Bayesian
    Wilcoxon signed-rank test based on the Dirichlet process, ICML, 1026–1034.

    Args:
        first: (D,) scores of the first, one per dataset.
        second: Those of the second.
        rope: Half the width of the ROPE, in the unit of the metric; 0: there is none.
        higher_is_better: Direction of the metric.
        draws: Number of draws; they are the same in every call.

    Raises:
        Unavailable: baycomp is not installed.
        ValueError: The ROPE is negative, or the two have other numbers of datasets.
    """
    _require_rope(rope)
    if len(first) != len(second):
        raise ValueError(f"{len(first)} scores of the first, {len(second)} of the second")
    if len(first) < 2:
        return Probabilities.unknown("it requires at least two datasets")
    if not np.isfinite(first - second).all():
        return Probabilities.unknown("the metric is undefined on some datasets")
    if rope == 0 and np.array_equal(first, second):
        return _directed(0.5, 0.5, higher_is_better=higher_is_better)
    test = _baycomp().SignedRankTest
    posterior = test(second, first, rope=rope, nsamples=draws, random_state=SEED)
    found = posterior.probs(with_rope=rope > 0)
    return _directed(float(found[0]), float(found[-1]), higher_is_better=higher_is_better)


def _directed(below: float, above: float, *, higher_is_better: bool) -> Probabilities:
    """Return probabilities of worse and better from those of lower and higher."""
    worse, better = (below, above) if higher_is_better else (above, below)
    return Probabilities(worse, max(1 - worse - better, 0.0), better)


def _require_rope(rope: float) -> None:
    if not 0 <= rope < math.inf:
        raise ValueError(f"the region of practical equivalence is {rope}; it must not be negative")


def _baycomp() -> ModuleType:
    return import_extra(
        "baycomp", "Bayesian tests over folds or datasets need baycomp", extra="stats"
    )
