"""Cross-entropy, its gradient and its dual, precise however certain a model is of its classes.

Of a sample whose class is nearly certain the loss is far below the rounding of its logits, and so
is one minus its probability. Weak penalties on separable classes lead there; so everything is
computed from the other classes' probabilities, whose relative error stays that of rounding.
"""

from __future__ import annotations

import torch


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


def duality_gap(
    value: torch.Tensor,
    residual: torch.Tensor,
    moment: torch.Tensor,
    labels: torch.Tensor,
    penalty: torch.Tensor,
    is_class: torch.Tensor,
    weights: torch.Tensor,
) -> torch.Tensor:
    """Return how far objectives are above their minimum at most, (A,).

    Probabilities of all samples whose weighted sums are those of the classes give a lower bound
    of the minimum: their entropy minus the square of their features' moment over twice the penalty
    (the dual problem; Yu, Huang, Lin, 2011, Machine Learning 85:41). The predicted ones, mixed with
    one and the same distribution for all samples, are such; the intercepts are thereby free.
    Without a slope in the intercepts the gap is that of strong convexity: the squared gradient
    over twice the penalty.

    Args:
        value: (A,) of the objective.
        residual: (A, N, classes), as :func:`residuals` returns them.
        moment: (A, R, classes) weighted sums of residuals times features, which are centred.
        labels: (R, classes) weighted sums of the features of each class.
        penalty: (A,) positive.
        is_class: (N, classes), True at each sample's class.
        weights: (N,) of the samples.
    """
    of_classes = weights @ is_class.to(weights.dtype)
    slope = torch.einsum("n,ank->ak", weights, residual)
    # The share to be mixed in, and the distribution: the least share for which there is one.
    odds = (slope / of_classes).amax(1, keepdim=True).clamp(min=torch.finfo(weights.dtype).tiny)
    share = (odds / (1 + odds))[:, :, None]
    common = ((of_classes - slope / odds) / of_classes.sum()).clamp(min=0)[:, None]
    others = (1 - share) * residual + share * common
    others = others.masked_fill(is_class, 0)
    missing = others.sum(2).clamp(max=1)
    own = torch.special.xlog1py(1 - missing, -missing)
    entropy = (torch.special.entr(others).sum(2) - own) @ weights
    moved = moment - share * (moment + labels)
    return value - entropy + moved.square().sum((1, 2)) / (2 * penalty)
