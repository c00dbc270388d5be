"""Resampled ratios, made linear in what they are ratios of.

R² divides by the variance of the targets. Of 2,000 resamples of ten patients some draw nearly the
same patient ten times: one value of -100 among them would set the variance of all.
"""

from __future__ import annotations

import numpy as np

from mritk.evaluate.metric import Metric
from mritk.evaluate.resamples import Resamples


def linearised(metric: Metric, values: np.ndarray, at: float, samples: Resamples) -> np.ndarray:
    """Return values (R,) of a metric, of a ratio as its numerator and denominator vary alone.

    The difference of S / V from S₀ / V₀ = q is nearly (S - q V) / V₀ (Cochran 1977, Sampling
    Techniques, section 2.11), which is their difference times V / V₀.

    Args:
        metric: Without ``divided_by`` the values stay as they are.
        values: In each of R weightings; NaN where undefined.
        at: The value with all weights equal.
        samples: The weightings.
    """
    if metric.divided_by is None:
        return values
    whole = Resamples.of_one(samples.targets, samples.scores, np.ones(len(samples.targets)))
    return at + (values - at) * metric.divided_by(samples) / metric.divided_by(whole)[0]
