"""Cross-entropy, its gradient and its dual, precise however certain a model is of its classes.

Of a sample whose class is nearly certain the loss is far below the rounding of its logits, and so
is one minus its probability. Weak penalties on separable classes lead there; so everything is
computed from the other classes' probabilities, whose relative error stays that of rounding.
"""

from __future__ import annotations

import torch

# Newton steps of the intercepts with which a lower bound is looked for.
BALANCING = 3


def losses(logits: torch.Tensor, is_class: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each sample, (A, N).

    Args:
        logits: (A, N, classes) float64.
        is_class: (N, classes), True at each sample's class.
    """
    own = logits.masked_fill(~is_class, 0).sum(2, keepdim=True)
    others = (logits - own).masked_fill(is_class, -torch.inf).logsumexp(2)
    return torch.logaddexp(others, torch.zeros_like(others))


def residuals(logits: torch.Tensor, is_class: torch.Tensor) -> torch.Tensor:
    """Return probability minus indicator of the class, (A, N, classes), the losses' gradient."""
    others = logits.softmax(2).masked_fill(is_class, 0)
    return torch.where(is_class, -others.sum(2, keepdim=True), others)


def lower_bound(
    table: torch.Tensor,
    logits: torch.Tensor,
    penalty: torch.Tensor,
    is_class: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Return what the objectives are above at every point, (A,); near the optimum, their minimum.

    The bound is that of the dual problem (Yu, Huang, Lin, 2011, Machine Learning 85:41): the
    entropy of probabilities of all samples minus the square of their features' moment over twice
    the penalty, if they give each class its weight in all. Probabilities predicted near the optimum
    nearly do; they do when they have been mixed with some one distribution for all samples.

    Args:
        table: (N, R) float64 features, whose weighted mean is zero.
        logits: (A, N, classes).
        penalty: (A,) positive.
        is_class: (N, classes), True at each sample's class.
        weights: (N,) of the samples.
    """
    of_classes = weights @ is_class.to(weights.dtype)
    for _ in range(BALANCING):
        logits = logits + _balancing(logits, is_class, weights)[:, None]
    residual = residuals(logits, is_class)
    excess = torch.einsum("n,ank->ak", weights, residual)
    # The least share for which such a distribution is there, and the distribution.
    odds = (excess / of_classes).amax(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    share = (odds / (1 + odds))[:, :, None]
    common = ((of_classes - excess / odds) / of_classes.sum()).clamp(min=0)[:, None]
    # As with losses, all is computed from the classes that a sample is not of.
    others = ((1 - share) * residual + share * common).masked_fill(is_class, 0)
    missing = others.sum(2).clamp(max=1)
    own = torch.special.xlog1py(1 - missing, -missing)
    entropy = (torch.special.entr(others).sum(2) - own) @ weights
    mixed = torch.where(is_class, -missing[:, :, None], others)
    moment = products(table.T, mixed * weights[:, None])
    return entropy - moment.square().sum((1, 2)) / (2 * penalty)


def _balancing(logits: torch.Tensor, is_class: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the Newton step (A, classes) of the intercepts alone."""
    chances = logits.softmax(2)
    excess = torch.einsum("n,ank->ak", weights, residuals(logits, is_class))
    curvature = -torch.einsum("n,ank,anl->akl", weights, chances, chances)
    diagonal = curvature.diagonal(dim1=1, dim2=2)
    diagonal -= curvature.sum(2)  # rows sum to zero, precisely
    # To move all classes alike changes nothing; so any curvature will do for it.
    curvature += diagonal.mean(1)[:, None, None]
    return -torch.linalg.solve_ex(curvature, excess)[0]


def products(matrix: torch.Tensor, stacked: torch.Tensor) -> torch.Tensor:
    """Return ``matrix`` (M, R) times each of ``stacked`` (A, R, K), (A, M, K), as one product."""
    total, width, columns = stacked.shape
    flat = matrix @ stacked.transpose(0, 1).reshape(width, -1)
    return flat.reshape(-1, total, columns).transpose(0, 1).contiguous()
