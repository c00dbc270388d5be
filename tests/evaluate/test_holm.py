"""Holm's correction: the chance of any false difference in a family stays at the level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from mritk.evaluate.holm import holm

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.asarray)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3, 10, 45])
def test_it_is_that_of_statsmodels(count):
    """Rounded, so that some are equal; small, so that not all end at 1."""
    p = np.round(np.random.default_rng(count).uniform(size=count) ** 3, 2)
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)


def test_the_smallest_of_three_counts_three_times():
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])


@given(P_VALUES, st.integers(0, 40))
@settings(deadline=None, max_examples=50)
def test_what_is_unknown_stays_unknown_and_is_not_counted(p, where):
    position = min(where, len(p))
    corrected = holm(np.insert(p, position, np.nan))
    assert np.isnan(corrected[position])
    np.testing.assert_array_equal(np.delete(corrected, position), holm(p))


@pytest.mark.parametrize("p", [[], [np.nan, np.nan]])
def test_nothing_known_is_nothing_corrected(p):
    np.testing.assert_array_equal(holm(np.array(p, dtype=float)), p)


def test_the_p_values_are_left_as_they_are():
    p = np.array([0.04, 0.01])
    holm(p)
    np.testing.assert_array_equal(p, [0.04, 0.01])


def test_a_family_without_differences_seldom_shows_one():
    """Of 2,000 families of 10 true nulls about 5 % show any at 5 %; uncorrected it is 40 %."""
    families = np.random.default_rng(0).uniform(size=(2000, 10))
    shown = np.mean([holm(family).min() < 0.05 for family in families])
    assert shown == pytest.approx(0.05, abs=0.015)
    assert (families.min(axis=1) < 0.05).mean() > 0.35
