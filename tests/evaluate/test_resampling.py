"""Units are drawn whole, within strata, so that the variance is right even for few of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mritk.evaluate.resampling import Units, numbered, strata_of

STRATA = st.lists(st.integers(0, 3), min_size=1, max_size=30).map(
    lambda labels: Units(np.unique(labels, return_inverse=True)[1].astype(np.int64))
)


@given(STRATA, st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_every_stratum_keeps_its_total_weight_in_every_resample(units, seed):
    weights = units.weights(20, seed)
    for number, size in enumerate(units.sizes):
        total = weights[:, units.stratum == number].sum(axis=1)
        np.testing.assert_allclose(total, size, rtol=1e-5)
    assert (weights >= 0).all()


@given(STRATA)
@settings(deadline=None, max_examples=50)
def test_the_jackknife_leaves_out_one_unit_and_keeps_the_weight_of_its_stratum(units):
    weights = units.leave_one_out()
    several = units.sizes[units.stratum] > 1
    np.testing.assert_array_equal(np.diag(weights), np.where(several, 0, 1))
    for number, size in enumerate(units.sizes):
        total = weights[:, units.stratum == number].sum(axis=1)
        np.testing.assert_allclose(total, size, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3, 5, 40])
def test_the_variance_of_a_mean_is_that_of_the_textbook(size):
    """s² / n with n - 1 in s², which the plain bootstrap misses by (n - 1) / n."""
    values = np.random.default_rng(1).normal(size=size)
    weights = Units(np.zeros(size, dtype=np.int64)).weights(200_000)
    means = weights @ values / size
    assert means.var() == pytest.approx(values.var(ddof=1) / size, rel=0.02)
    assert means.mean() == pytest.approx(values.mean(), abs=0.01)


def test_a_seed_gives_the_same_resamples_and_another_seed_others():
    units = Units(np.zeros(9, dtype=np.int64))
    np.testing.assert_array_equal(units.weights(10), units.weights(10))
    assert (units.weights(10, seed=1) != units.weights(10, seed=2)).any()


def test_a_unit_alone_in_its_stratum_always_counts_once():
    weights = Units(np.array([0, 1, 1])).weights(50)
    np.testing.assert_array_equal(weights[:, 0], 1)


def test_a_unit_is_of_the_stratum_that_most_of_its_samples_are_of():
    unit = np.array([0, 0, 0, 1, 1, 2, 3, 3, 4])
    label = np.array([1, 1, 0, 0, 1, 2, 0, 1, 1])
    np.testing.assert_array_equal(strata_of(unit, label).stratum, [1, 0, 2, 0, 1])


@pytest.mark.parametrize(
    ("labels", "strata"),
    [
        ([[0, 0, 1], [1, 1, 0], [1, 1, 0]], [0, 0, 0]),
        ([[0, 0, 0], [1, 1, 0], [1, 1, 1]], [0, 0, 0]),  # all of its samples are of the label
        ([[0, 0, 1], [1, 1, 0]], [0, 0]),  # either is alone
        ([[2, 2, 1], [0, 0, 2], [0, 0, 1], [1, 1, 1], [1, 1, 1]], [0, 0, 0, 1, 1]),
        ([[0, 0, 1], [1, 1, 1], [1, 1, 1]], [0, 1, 1]),  # nobody else has the label
    ],
)
def test_a_unit_alone_with_the_label_of_most_of_its_samples_joins_others_that_have_it(
    labels, strata
):
    unit = np.repeat(np.arange(len(labels)), 3)
    np.testing.assert_array_equal(strata_of(unit, np.ravel(labels)).stratum, strata)


def test_strata_are_numbered_without_gaps():
    np.testing.assert_array_equal(strata_of(np.array([0, 1]), np.array([5, 2])).stratum, [1, 0])


def test_names_are_numbered_in_their_order():
    np.testing.assert_array_equal(numbered(["b", "a", "b"]), [1, 0, 1])


def test_units_of_unequal_size_are_worth_fewer():
    units = Units(np.repeat([0, 1], [5, 4]), np.array([50, 1, 1, 1, 1, 7, 7, 7, 7]))
    np.testing.assert_allclose(units.effective, [54**2 / 2504, 4])
    np.testing.assert_allclose(units.dof, [1, 3])


def test_the_degrees_of_freedom_are_those_of_a_weighted_sum_of_squares():
    """Σ w² z² of standard normal z has the variance of a scaled χ² with that many of them."""
    sizes = np.array([1.0, 2, 3, 4, 5, 6])
    squares = (sizes**2 * np.random.default_rng(0).normal(size=(200_000, 6)) ** 2).sum(axis=1)
    expected = 2 * squares.mean() ** 2 / squares.var()
    units = Units(np.zeros(6, dtype=np.int64), sizes)
    assert units.dof[0] + 1 == pytest.approx(expected, rel=0.02)


@given(STRATA)
@settings(deadline=None, max_examples=50)
def test_each_probe_changes_one_stratum_and_keeps_its_weight(units):
    probes = units.probes()
    for number, weights in enumerate(probes):
        inside = units.stratum == number
        np.testing.assert_array_equal(weights[~inside], 1)
        np.testing.assert_allclose(weights[inside].sum(), inside.sum(), rtol=1e-5)
        assert len(np.unique(weights[inside])) == inside.sum()
