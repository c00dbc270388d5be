"""Penalised multinomial logistic regression: all penalties in one batched, convex solve.

The model is scikit-learn's ``LogisticRegression(C=1 / penalty)`` on standardised features: the sum
of the (weighted) cross-entropies plus ``penalty / 2`` times the squared weights, the intercepts
free. For two classes scikit-learn penalises the difference of the two weight vectors, and so do
we: with opposite vectors that is twice the penalty.

One eigendecomposition of the features' scatter matrix serves all penalties; see
:mod:`mritk.probe.logistic_search` for what is done in its axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from mritk.errors import DataError
from mritk.model.objective import balanced_weights
from mritk.probe.logistic_search import Coordinates, Search


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """One linear model per penalty (P), in terms of the original features.

    Attributes:
        weight: (P, classes, D) float64.
        bias: (P, classes) float64. The logits of a sample sum to zero.
        iterations: Steps of the solver for each penalty.
        converged: Whether the tolerance was reached, for each penalty.
    """

    weight: torch.Tensor
    bias: torch.Tensor
    iterations: tuple[int, ...]
    converged: tuple[bool, ...]

    def logits(self, features: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Return float64 logits (P, N, classes) for features (N, D)."""
        values = torch.as_tensor(features, dtype=torch.float64, device=self.weight.device)
        return values @ self.weight.transpose(1, 2) + self.bias[:, None]


def fit_logistic(
    features: torch.Tensor | np.ndarray,
    targets: torch.Tensor | np.ndarray,
    classes: int,
    penalties: Sequence[float],
    *,
    balanced: bool = False,
) -> LogisticFit:
    """Fit one model per penalty on standardised features.

    Args:
        features: (N, D) floats; for a tensor, models are fitted on its device, in float64.
        targets: (N,) class indices.
        classes: Number of classes.
        penalties: Strengths of the L2 penalty, positive.
        balanced: Weight each sample by N / (classes · samples of its class).

    Raises:
        DataError: A class has no sample, or some features are NaN or infinite.
    """
    x = torch.as_tensor(features).double()
    if not x.isfinite().all():
        raise DataError(
            "some training features are NaN or infinite, so logistic regression has no solution; "
            "check the network that they come from"
        )
    y = torch.as_tensor(targets).to(x.device)
    counts = np.bincount(y.cpu().numpy(), minlength=classes)
    if not counts.all():
        raise DataError(
            f"class number {int(np.argmin(counts))} has no sample in the training set, so "
            "logistic regression has no finite solution; use another split or method"
        )
    weights = x.new_ones(len(x))
    if balanced:
        per_class = balanced_weights(y.cpu().numpy(), classes)
        weights = torch.as_tensor(per_class, dtype=x.dtype, device=x.device)[y]
    mean, scale = _standardisation(x)
    x = (x - mean) / scale
    centre = (weights @ x) / weights.sum()
    axes, coordinates = _principal(x - centre, weights)
    is_class = y[:, None] == torch.arange(classes, device=x.device)
    factor = 2.0 if classes == 2 else 1.0
    penalty = x.new_tensor(list(penalties)) * factor
    search = Search(coordinates, is_class, penalty)
    solution = search.run()
    weight = (axes @ solution[:, :-1]).transpose(1, 2) / scale
    bias = solution[:, -1] - weight @ (mean + centre * scale)
    return LogisticFit(weight, bias, tuple(search.iterations), tuple(search.converged))


def _standardisation(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation (D,); 1 where a feature does not vary but by rounding."""
    mean = x.mean(0)
    variance = (x - mean).square().mean(0)
    epsilon = torch.finfo(x.dtype).eps * len(x)
    constant = variance <= epsilon * variance + (epsilon * mean) ** 2
    return mean, torch.where(constant, 1.0, variance.sqrt())


def _principal(centred: torch.Tensor, weights: torch.Tensor) -> tuple[torch.Tensor, Coordinates]:
    """Return the principal axes (D, R) of weighted, centred features, and their coordinates.

    Directions in which the features do not vary are left out: there the weights are zero. The axes
    are orthonormal and together lose nothing; only those along which features vary least are not
    quite principal, because the eigenvalues of a product round to those of its largest.
    """
    count, width = centred.shape
    root = weights.sqrt()[:, None]
    scaled, space = root * centred, None
    if count < width:
        space, triangle = torch.linalg.qr(scaled.T)
        scaled = triangle.T
    _, axes = torch.linalg.eigh(scaled.T @ scaled)
    table = scaled @ axes
    scatter = table.square().sum(0)
    rounding = max(count, width) * torch.finfo(scatter.dtype).eps
    kept = scatter > rounding**2 * scatter.max()
    axes, table, scatter = axes[:, kept], table[:, kept] / root, scatter[kept]
    if space is not None:
        axes = space @ axes
    table = torch.cat([table, torch.ones_like(root)], dim=1)
    scatter = torch.cat([scatter, weights.sum()[None]])
    return axes, Coordinates(table, scatter, weights)
