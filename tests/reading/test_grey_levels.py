"""Intensities without a unit become grey levels by their values alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mritk import grey_levels

INTEGERS = (np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32)


def expected(values):
    """The rule in the words of numpy, with all in memory at once."""
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    found = finite[finite != 0]
    if found.size:
        background = np.abs(np.percentile(found, (0.5, 99.5))).max() / 510
        found = found[np.abs(found) > background]
    limits = np.percentile(found, (0.5, 99.5)) if found.size else np.zeros(2)
    if limits[0] == limits[1]:
        limits = (finite.min(), finite.max()) if finite.size else np.zeros(2)
    if limits[0] == limits[1]:
        return np.zeros(values.shape)
    return np.interp(np.where(np.isfinite(values), values, limits[0]), limits, (0, 255))


def head(background=0.0, side=24, seed=0):
    """A ball of tissue in a background of this deviation."""
    rng = np.random.default_rng(seed)
    grid = np.meshgrid(*[np.linspace(-1.3, 1.3, side)] * 3, indexing="ij")
    inside = sum(axis**2 for axis in grid) < 1
    tissue = 500 + 80 * rng.normal(size=inside.shape)
    return np.where(inside, tissue, background * rng.normal(size=inside.shape))


numbers = st.one_of(
    *[
        arrays(dtype, array_shapes(max_dims=3, max_side=6))
        for dtype in (*INTEGERS, ">i2", ">u2", "<u4")
    ],
    arrays(
        np.float32,
        array_shapes(max_dims=3, max_side=6),
        elements=st.floats(-(2.0**20), 2.0**20, width=32, allow_subnormal=False)
        | st.just(float("nan")),
    ),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(numbers)
def test_grey_levels_are_those_between_the_percentiles_of_the_foreground(values):
    shown = grey_levels(values)
    assert (shown.dtype, shown.shape) == (np.uint8, values.shape)
    np.testing.assert_allclose(shown, expected(values), atol=0.5 + 1e-6)


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.int16, (4, 5), elements=st.integers(-900, 900)),
    st.sampled_from([-2.0, -0.25, 0.5, 3.0]),
    st.sampled_from([-1000.0, 0.0, 12.5]),
)
def test_slope_and_intercept_count_as_if_they_had_been_applied(values, slope, intercept):
    applied = values.astype(np.float64) * slope + intercept
    shown = grey_levels(values, slope=slope, intercept=intercept)
    # Halfway between two levels, rounding decides.
    np.testing.assert_allclose(shown.astype(int), grey_levels(applied).astype(int), atol=1)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(arrays(np.uint8, array_shapes(max_dims=3, max_side=6)), st.sampled_from(INTEGERS[3:]))
def test_the_dtype_does_not_count(values, dtype):
    wanted = grey_levels(values)
    for kind in (dtype, np.float32, np.float64, np.dtype(dtype).newbyteorder(">")):
        np.testing.assert_array_equal(grey_levels(values.astype(kind)), wanted)


def test_neither_does_the_layout_in_memory():
    values = head()
    np.testing.assert_array_equal(grey_levels(values[::2].T), grey_levels(values[::2].copy()).T)


def test_a_large_array_is_scaled_as_one_and_not_piece_by_piece(monkeypatch):
    values = head(background=4)
    whole = grey_levels(values)
    monkeypatch.setattr("mritk.reading.grey_levels.CHUNK", 1000)
    np.testing.assert_array_equal(grey_levels(values), whole)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1.0])
def test_a_background_of_nearly_zero_is_one_of_zero(scale):
    """As resampling, rounding and storage with slope and intercept leave it."""
    wanted = grey_levels(head())
    found = grey_levels(head(background=0.2) * scale)
    assert np.abs(found.astype(int) - wanted).max() <= 1


def test_the_share_of_background_does_not_count():
    values = head()
    wider = grey_levels(np.pad(values, 9))[9:-9, 9:-9, 9:-9]
    np.testing.assert_array_equal(wider, grey_levels(values))


def test_a_background_that_is_not_zero_is_black_and_takes_levels_from_the_head():
    inside = head() != 0
    shown = grey_levels(np.where(inside, head() - 1000, -2000))
    assert not shown[~inside].any()
    assert np.ptp(shown[inside].astype(int)) < np.ptp(grey_levels(head())[inside].astype(int))


def test_values_from_0_to_255_have_no_background_but_0():
    values = np.arange(256).reshape(16, 16)
    low, high = np.percentile(np.arange(1, 256), (0.5, 99.5))
    np.testing.assert_array_equal(
        grey_levels(values), np.rint(np.interp(values, [low, high], [0, 255]))
    )


@pytest.mark.parametrize("value", [0, 7, -3])
def test_one_value_is_black(value):
    assert not grey_levels(np.full((3, 3), value)).any()


def test_a_mask_is_black_and_white():
    mask = np.eye(5)
    np.testing.assert_array_equal(grey_levels(mask * 0.3), mask * 255)


def test_what_was_not_measured_is_black_even_among_negative_values():
    values = head() - 700
    values[0] = np.nan
    values[1] = np.inf
    shown = grey_levels(values)
    assert not shown[:2].any()
    np.testing.assert_array_equal(shown[2:], grey_levels(values[2:]))


def test_large_floats_do_not_overflow():
    values = np.array([-3e38, 0, 3e38], dtype=np.float32)
    np.testing.assert_allclose(grey_levels(values), expected(values), atol=0.51)
