"""Ridge regression on standardised features, for several penalties."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch


def fit_ridge(
    features: np.ndarray, targets: np.ndarray, penalties: Sequence[float]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Fit scikit-learn's ``Ridge(alpha=penalty)`` for each penalty.

    Args:
        features: (N, D) floats.
        targets: (N,) values.
        penalties: Strengths of the L2 penalty, positive.

    Returns:
        Weights (P, 1, D) and biases (P, 1), float64, in terms of the original features.
    """
    from sklearn.linear_model import Ridge
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    standardised = scaler.fit_transform(features.astype(np.float64))
    weights, biases = [], []
    for penalty in penalties:
        model = Ridge(alpha=penalty).fit(standardised, targets)
        weights.append(model.coef_ / scaler.scale_)
        biases.append(model.intercept_ - weights[-1] @ scaler.mean_)
    return torch.tensor(np.array(weights))[:, None], torch.tensor(np.array(biases))[:, None]
