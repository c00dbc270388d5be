"""Tails and quantiles are those of scipy.stats, bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm, t

from mritk.evaluate.distributions import (
    normal_quantile,
    normal_tail,
    student_quantile,
    student_tail,
)

VALUES = (-math.inf, -40.0, -1.96, -1e-9, 0.0, 1e-300, 0.3, 1.96, 8.0, 1e9, math.inf, math.nan)
SHARES = (1e-300, 1e-16, 0.025, 0.3, 0.5, 0.8, 0.975, 1 - 1e-9)


@pytest.mark.parametrize("dof", [0.3, 1.0, 2.0, 4.7, 29.99, 1e4, 1e15, math.inf, math.nan])
def test_students_distribution(dof):
    tails = [student_tail(value, dof) for value in VALUES]
    np.testing.assert_array_equal(tails, t.sf(VALUES, dof))
    quantiles = [student_quantile(share, dof) for share in SHARES]
    np.testing.assert_array_equal(quantiles, t.ppf(SHARES, dof))


def test_the_normal_distribution():
    np.testing.assert_array_equal([normal_tail(value) for value in VALUES], norm.sf(VALUES))
    shares = (0.0, *SHARES, 1.0, math.nan)
    np.testing.assert_array_equal([normal_quantile(share) for share in shares], norm.ppf(shares))
