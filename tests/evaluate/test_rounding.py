"""What differs by rounding alone is the same."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import rankdata

from mritk.evaluate.rounding import one_value, rounded, subtracted


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_what_rounds_otherwise_is_one_value_and_no_difference(size):
    values = size * np.array([0.1, 0.3 - 0.2, 0.7 - 0.6])
    assert len(set(values)) > 1
    assert one_value(values)
    assert not subtracted(values, values[::-1]).any()
    assert not one_value(values * [1, 1, 1 + 1e-6])


def test_other_differences_stay_as_they_are():
    assert subtracted(np.array([1.0, 0.0]), np.array([1 - 1e-6, 0.0])) == pytest.approx([1e-6, 0])
    assert np.isnan(subtracted(np.array([np.nan]), np.array([1.0]))).all()


def test_ranks_of_what_is_the_same_tie():
    scores = np.array([[0.1, 0.3 - 0.2, 0.7 - 0.6, 0.2], [0.0, 0.0, 0.0, 0.0]])
    assert rankdata(rounded(scores), axis=1).tolist() == [[2, 2, 2, 4], [2.5] * 4]
    assert rounded(scores) == pytest.approx(scores, rel=1e-12)
