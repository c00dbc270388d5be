"""A class that is all right is not known to be right: it may have the spread of half a patient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from mritk.evaluate.resampling import Units
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
