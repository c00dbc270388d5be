"""A linear head whose features drop out, also when it predicts."""

from __future__ import annotations

import math

import torch
from torch import nn

# Of the relaxed draws, as in Gal, Hron and Kendall 2017.
TEMPERATURE = 0.1
# Keeps logarithms finite.
EPSILON = 1e-7


class ConcreteDropout(nn.Module):
    """Dropout with a rate that is learned: masks are relaxed to be differentiable in it.

    A feature is kept with sigmoid((logit(1 − p) + logit(u)) / t), u uniform in (0, 1).
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(math.log(rate / (1 - rate))))

    @property
    def p(self) -> torch.Tensor:
        """The rate, a scalar in (0, 1)."""
        return torch.sigmoid(self.logit)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return thinned features (N, D) in training, the same features in evaluation mode."""
        if not self.training:
            return features
        uniform = torch.rand_like(features).clamp(EPSILON, 1 - EPSILON)
        kept = torch.sigmoid((torch.logit(uniform) - self.logit) / TEMPERATURE)
        return features * kept / (1 - self.p)

    def negative_entropy(self) -> torch.Tensor:
        """Return p · log p + (1 − p) · log (1 − p)."""
        p = self.p
        return p * torch.log(p + EPSILON) + (1 - p) * torch.log(1 - p + EPSILON)


class ThinnedHead(nn.Module):
    """Dropout of the features, then a linear layer."""

    def __init__(self, features: int, outputs: int, dropout: str, rate: float) -> None:
        """Build it.

        Args:
            features: Values in.
            outputs: Values out.
            dropout: ``none``, ``mc`` or ``concrete``.
            rate: Share of the features left out, at first if it is learned.
        """
        super().__init__()
        made = {"mc": nn.Dropout, "concrete": ConcreteDropout}.get(dropout)
        self.dropout = nn.Identity() if made is None else made(rate)
        self.outputs = nn.Linear(features, outputs)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, features) to (N, outputs)."""
        return self.outputs(self.dropout(features))

    @property
    def rate(self) -> float:
        """Share of the features left out; 0 without dropout."""
        rate = getattr(self.dropout, "p", 0.0)
        return float(rate.detach() if isinstance(rate, torch.Tensor) else rate)

    def penalty(self, samples: int, length: float) -> torch.Tensor:
        """Return what concrete dropout adds to a mean negative log-likelihood; 0 for other kinds.

        That is the divergence from the prior per sample, KL / N, with Gal, Hron and Kendall's
        (2017, equations 3 and 4) KL = l² · (1 − p) / 2 · ‖M‖² − D · H(p), up to a constant; H is
        the entropy of a mask. Features that are kept are divided by 1 − p, so M = W / (1 − p):
        KL = l² · ‖W‖² / (2 · (1 − p)) + D · (p · log p + (1 − p) · log (1 − p)).

        Args:
            samples: N, in the training part.
            length: l, the length scale of the prior.
        """
        if not isinstance(self.dropout, ConcreteDropout):
            return self.outputs.weight.new_zeros(())
        squared = self.outputs.weight.square().sum()
        weights = length**2 * squared / (2 * (1 - self.dropout.p))
        entropy = self.outputs.in_features * self.dropout.negative_entropy()
        return (weights + entropy) / samples

    @torch.inference_mode()
    def drawn(self, features: torch.Tensor, generator: torch.Generator, draws: int) -> torch.Tensor:
        """Return outputs (draws, N, outputs) of heads that lack a random part of the features.

        A draw is one mask for all samples, so that the outputs for a sample do not depend on
        which others there are.

        Args:
            features: (N, D).
            generator: On the CPU.
            draws: How many; without dropout there is one.
        """
        if not self.rate:
            return self.outputs(features)[None]
        masks = torch.rand(draws, self.outputs.in_features, generator=generator) >= self.rate
        masks = masks.to(features) / (1 - self.rate)
        return torch.stack([self.outputs(features * mask) for mask in masks])
