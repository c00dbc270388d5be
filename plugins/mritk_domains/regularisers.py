"""What is added to a loss so that a network does not tell sites apart, as functions of tensors."""

from __future__ import annotations

from itertools import combinations

import torch
from torch.nn import functional


def kth_singular_value(latent: torch.Tensor, k: int) -> torch.Tensor:
    """Return the k-th largest singular value, from 1, of latent values (N, L) with k ≤ min(N, L).

    Its gradient is u · vᵀ of that singular pair. With K sites, k = K (Li et al. 2020, section 3.2):
    if it vanishes, the latent values span K - 1 dimensions.
    """
    values: torch.Tensor = torch.linalg.svdvals(latent.float())
    return values[k - 1]


def normal_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return KL(N(μ, σ²) ‖ N(0, 1)), the mean over samples and dimensions, in nats."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()


def coral_distance(latent: torch.Tensor) -> torch.Tensor:
    """Return the mean over pairs of sites of their distance in the first two moments.

    The distance is the mean squared difference of means, and that of covariances (Sun and Saenko
    2016; the mean as in DomainBed).

    Args:
        latent: (M, K, L): M samples of each of K sites.
    """
    means = latent.mean(dim=0)
    centred = (latent - means).movedim(1, 0)
    covariances = centred.mT @ centred / (len(latent) - 1)
    pairs = list(combinations(range(latent.shape[1]), 2))
    distances = [
        (means[i] - means[j]).square().mean() + (covariances[i] - covariances[j]).square().mean()
        for i, j in pairs
    ]
    return torch.stack(distances).mean()


def irm_penalty(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the squared gradient by a factor of the logits, an unbiased estimate over K sites.

    Arjovsky et al. 2019, section 3.1 and appendix D: the product of the gradients on two halves.

    Args:
        logits: (M, K, classes): M samples of each of K sites.
        targets: (M, K) classes.
    """
    penalties = []
    for site in range(logits.shape[1]):
        factor = torch.ones((), device=logits.device, requires_grad=True)
        losses = [
            functional.cross_entropy(logits[half::2, site] * factor, targets[half::2, site])
            for half in (0, 1)
        ]
        one, other = (torch.autograd.grad(x, factor, create_graph=True)[0] for x in losses)
        penalties.append(one * other)
    return torch.stack(penalties).mean()


def reweighted(weights: torch.Tensor, losses: torch.Tensor, rate: float) -> torch.Tensor:
    """Return weights (K,) that sum to 1 after a step towards the sites of larger loss (K,).

    Exponentiated gradient ascent (Sagawa et al. 2020, algorithm 1).
    """
    return (weights.log() + rate * losses.detach()).softmax(dim=0)
