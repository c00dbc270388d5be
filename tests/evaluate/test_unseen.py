"""A class that is all right is not known to be right: it may have the spread of half a patient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from mritk.evaluate.evidence import Evidence
from mritk.evaluate.map_metrics import COLUMNS, MAP_METRICS
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.resampling import Units
from mritk.evaluate.run_values import Scored
from mritk.evaluate.scale import Scale
from mritk.evaluate.unseen import unseen_variance

CLASSES = Units(np.repeat([0, 1], [40, 10]))
NONE, SECOND = np.array([0.1, 0.1]), np.array([0.1, 0.0])


def added(changes, bounds=(0.0, 1.0), *, per_label=True, units=CLASSES):
    return unseen_variance(units, np.asarray(changes), bounds, per_label=per_label)


def test_the_variance_is_that_of_a_share_by_jeffreys():
    """Ten of ten right: (10 + 1/2) / 11.

    Of a mean over two classes they are half, and four fifths of its variance if all patients are
    alike: 1 / 10 of 1 / 10 + 1 / 40. Of one over all patients they are a fifth, and a fifth.
    """
    share = 10.5 / 11
    variance = share * (1 - share) / 10
    assert added(SECOND) == pytest.approx(variance / 4 * 4 / 5)
    assert added(SECOND, per_label=False) == pytest.approx(variance / 25 / 5)
    assert added(SECOND, (-1.0, 1.0)) == pytest.approx(4 * added(SECOND))


def test_only_the_class_that_could_matter_most_is_added():
    assert added([0.0, 0.0]) == added(SECOND)


def test_it_is_little_where_other_classes_make_up_for_it():
    few = unseen_variance(Units(np.arange(60) % 6), np.zeros(6), (0.0, 1.0), per_label=True)
    of_ten = 10.5 / 11 / 22 / 10
    assert few == pytest.approx(of_ten / 36 / 6)


def test_nothing_is_added_where_every_class_has_spread_or_no_bound_tells_how_much():
    assert added(NONE) == 0
    assert added(SECOND, (0.0, math.inf)) == 0
    assert added([math.nan, math.nan]) == 0


def test_folds_of_a_class_share_its_part_of_the_mean():
    units = Units(np.repeat([0, 1, 2], 10), label=np.repeat([0, 1, 1], 10))
    np.testing.assert_allclose(units.shares(per_label=True), [0.5, 0.25, 0.25])
    np.testing.assert_allclose(units.shares(per_label=False), 1 / 3)


def test_with_it_intervals_cover_where_a_small_class_is_mostly_all_right():
    """Balanced accuracy of 200 and 10 patients, each right with 0.95, over all that can come out.

    Without it, six of ten tables would have an interval that knows of the large class alone.
    """
    k, m = (grid.ravel() for grid in np.meshgrid(np.arange(201), np.arange(11)))
    chance = binom.pmf(k, 200, 0.95) * binom.pmf(m, 10, 0.95)
    some = (k < 200) | (m < 10)
    first, second = k / 200, m / 10
    variance = (first * (1 - first) / 199 + second * (1 - second) / 9) / 4
    units = Units(np.repeat([0, 1], [200, 10]))
    more = np.where(m == 10, added([0.1, 0.0], units=units), 0)
    covered = []
    for total in (variance, variance + more):
        reach = norm.ppf(0.975) * np.sqrt(total)
        ends = [Scale(0, 1).ends(*one) for one in zip((first + second) / 2, reach, strict=True)]
        covered.append(chance[some] @ [low <= 0.95 <= high for low, high in np.array(ends)[some]])
    assert covered[0] < 0.65
    assert covered[1] > 0.93


# Half of one class each; the first class varies by this much, the second by as little as is told.
TARGET, VARIES = np.repeat([0, 1], 10), np.tile([-0.02, 0.02], 5)


def standard_error(metric, scores):
    trial = Scored((0, 0), 0, TARGET, scores, [f"p{number}" for number in range(20)])
    evidence = Evidence({"row": [trial]}, [metric], given_these_models=True)
    return evidence.interval("row", metric).standard_error


def of_maps(name, values):
    scores = np.full((20, len(COLUMNS)), 0.5)
    scores[:, COLUMNS.index(name)] = values
    return standard_error(MAP_METRICS[name], scores)


def brier(probability):
    """Of two classes, the true one of this probability: 2 (1 - p)² for each."""
    p = np.stack([probability, 1 - probability], axis=1)
    p[10:] = p[10:, ::-1]
    return standard_error(find_metric("brier"), np.log(p))


@pytest.mark.parametrize("little", [0.0, 1e-9, 1e-6, 1e-4])
@pytest.mark.parametrize("name", ["deletion", "insertion", "similarity"])
def test_means_of_probabilities_have_the_variance_that_they_show(name, little):
    """The stratified mean's, of 1/2 times the variance of each class over 10 (Cochran 1977)."""
    values = 0.7 + np.r_[VARIES, VARIES / 0.02 * little]
    variance = sum(part.var(ddof=1) / 10 / 4 for part in np.split(values, 2))
    assert of_maps(name, values) == pytest.approx(math.sqrt(variance), rel=0.05)


@pytest.mark.parametrize("little", [0.0, 1e-9, 1e-4])
def test_a_brier_score_has_the_variance_that_it_shows(little):
    probability = 0.7 + np.r_[VARIES, VARIES / 0.02 * little]
    of_each = 2 * (1 - probability) ** 2
    variance = sum(part.var(ddof=1) / 10 / 4 for part in np.split(of_each, 2))
    assert brier(probability) == pytest.approx(math.sqrt(variance), rel=0.05)


def test_shares_of_cases_that_are_right_have_it():
    """Of ten of ten as above; the second class is a half, and all patients are alike."""
    of_first = np.r_[np.zeros(5), np.ones(5)].var(ddof=1) / 10 / 4
    half = 10.5 / 11 / 22 / 10 / 4 / 2
    right = np.r_[np.zeros(5), np.ones(15)]
    assert of_maps("kept", right) == pytest.approx(math.sqrt(of_first + half), rel=0.05)
