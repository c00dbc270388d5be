"""Which intervals may be wider than 95 % require, as simulated tables show (docs/statistics.md).

A score of decisions that rests on few errors has few possible values, and an interval on the scale
of log odds covers more than it must (Brown, Cai & DasGupta 2001, Interval estimation for a binomial
proportion, Stat. Sci. 16, 101–133). Where classes count alike, an error in a small one weighs more:
errors of weight w are worth (Σ w)² / Σ w² (Kish 1965, Survey Sampling). In small cohorts, folds are
less correlated than is assumed (:mod:`mritk.evaluate.fold_overlap`), and so are few draws of a
hold-out part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mritk.evaluate.calibration import one_hot
from mritk.evaluate.metric import Metric
from mritk.evaluate.run_values import Scored

LEAST_ERRORS = 8
LEAST_IN_FOLDS, LEAST_PER_FOLD = 50, 10
LEAST_TIMES = 2  # that a patient is tested by repeated hold-out


def why_conservative(trials: Sequence[Scored], metric: Metric) -> str:
    """Say in a few words why Student's interval of a row may cover more than 95 %; or nothing."""
    return _few_in_folds(trials) or _few_errors(trials, metric)


def _few_in_folds(trials: Sequence[Scored]) -> str:
    units = {trial.fold: set(trial.unit) for trial in trials}
    every = len(set().union(*units.values()))
    again = every < sum(len(tested) for tested in units.values())
    divisions = len({trial.run[1] for trial in trials})
    # Several divisions make up for it, and an official test part is no fold.
    if len(units) < 2 or divisions > 1:
        return ""
    if again:  # a hold-out part, drawn several times
        times = sum(map(len, units.values())) / every
        return "few draws of the hold-out part" if times < LEAST_TIMES else ""
    if every < LEAST_IN_FOLDS:
        return f"fewer than {LEAST_IN_FOLDS} patients (or duplicate groups) in folds"
    if every < LEAST_PER_FOLD * len(units):
        return f"fewer than {LEAST_PER_FOLD} patients (or duplicate groups) per fold"
    return ""


def _few_errors(trials: Sequence[Scored], metric: Metric) -> str:
    if metric.task != "classification":
        return ""
    target = np.concatenate([trial.target for trial in trials])
    score = np.concatenate([trial.score for trial in trials])
    right = score.argmax(axis=1) == target
    tested = [set(trial.unit) for trial in trials]
    times = sum(map(len, tested)) / len(set().union(*tested))  # each unit is tested, on average
    weight = 1 / np.bincount(target)[target] if metric.per_class else np.ones(len(target))
    for of, what in ((~right, "wrong"), (right, "correct")):
        few = _worth(weight[of]) / times < LEAST_ERRORS
        if few and _of_decisions(metric, target, score):
            return f"fewer than {LEAST_ERRORS} {what} predictions"
    return ""


def _worth(weight: np.ndarray) -> float:
    """Return how many samples of one weight those of these weights, (N,), are worth."""
    return float(weight.sum() ** 2 / np.square(weight).sum()) if len(weight) else 0.0


def _of_decisions(metric: Metric, target: np.ndarray, score: np.ndarray) -> bool:
    """Return whether a metric is the same where all that is known are the predicted classes."""
    decided = one_hot(score.argmax(axis=1), score.shape[1])
    values = [metric.compute(target, x, leave_out_absent=True).value for x in (score, decided)]
    return math.isclose(*values, rel_tol=1e-6, abs_tol=1e-9)
