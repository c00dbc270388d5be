"""Maps and lesions compared at the area of the lesion, by closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mritk.evaluate.cases import dice
from mritk.evaluate.localisation import from_the_top, matched_dice, matched_iou, pointing

LESION = np.zeros((10, 10), dtype=bool)
LESION[2:4, 2:5] = True  # six places


def test_the_dice_of_disjoint_masks_is_zero_however_much_background_agrees():
    values = np.zeros((10, 10))
    values[7:9, 6:9] = 1.0
    assert matched_dice(values, LESION) == 0
    assert matched_iou(values, LESION) == 0


def test_a_map_of_the_lesion_scores_one_whatever_its_scale():
    assert matched_dice(7.5 * LESION, LESION) == 1
    assert matched_iou(0.1 * LESION, LESION) == 1
    assert pointing(LESION + 0.0, LESION) == 1


def test_a_map_cannot_gain_by_being_large():
    """Its six highest places count, of which three are in the lesion."""
    values = np.ones((10, 10))
    values[2, 2:5] = 3.0
    values[9, :3] = 2.0
    assert matched_dice(values, LESION) == pytest.approx(3 / 6)
    assert matched_iou(values, LESION) == pytest.approx(3 / 9)


def test_equal_values_are_taken_from_anywhere_not_from_the_first_row():
    assert 100 < from_the_top(np.zeros((20, 20)))[:40].mean() < 300


def test_of_equal_places_the_share_in_the_lesion_counts():
    assert pointing(np.zeros((10, 10)), LESION) == LESION.mean()
    assert matched_dice(np.zeros((10, 10)), LESION) == LESION.mean()
    # Two places of the lesion are the highest; of the others in the upper half, 4 more of 48.
    values = np.zeros((10, 10))
    values[:5] = 1.0
    values[2, 2:4] = 2.0
    assert matched_dice(values, LESION) == pytest.approx((2 + 4 * 4 / 48) / 6)


def test_without_equal_places_it_is_the_dice_of_two_masks():
    values = np.random.default_rng(0).random((10, 10))
    top = values >= np.sort(values, axis=None)[-6]
    assert matched_dice(values, LESION) == dice(top, LESION, ())


def test_without_a_lesion_there_is_no_value():
    nothing = np.zeros((4, 4), dtype=bool)
    values = np.arange(16.0).reshape(4, 4)
    for measure in (pointing, matched_dice, matched_iou):
        assert math.isnan(measure(values, nothing))


def test_it_is_the_same_in_three_dimensions():
    lesion = np.zeros((5, 6, 7), dtype=bool)
    lesion[1:3, 2:4, 3:5] = True
    assert matched_dice(lesion + 0.0, lesion) == 1
