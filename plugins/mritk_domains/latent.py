"""The head of ``domain_finetune``: features to a latent space, and from there to outputs."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn


class Latent(NamedTuple):
    """What the head gives in training.

    Attributes:
        outputs: (N, K) outputs for latent values that were drawn.
        drawn: (N, L) those values; the means, if nothing is drawn.
        mean: (N, L).
        log_variance: (N, L); None if nothing is drawn.
    """

    outputs: torch.Tensor
    drawn: torch.Tensor
    mean: torch.Tensor
    log_variance: torch.Tensor | None


class LatentHead(nn.Module):
    """Means and log variances of latent values, and a linear layer behind.

    In training it gives all of :class:`Latent` side by side, in evaluation mode the outputs for the
    means.
    """

    def __init__(
        self, features: int, outputs: int, *, latent: int, hidden: int, drawn: str | None
    ) -> None:
        """Build it.

        Args:
            features: Values in.
            outputs: Values out.
            latent: Dimension of the latent space.
            hidden: Width of the hidden layer before means and log variances; 0: none.
            drawn: ``standard`` or ``published``, see ``DomainRecipe.reparameterisation``; None:
                nothing is drawn.
        """
        super().__init__()
        self.mean = _layers(features, hidden, latent)
        self.outputs = nn.Linear(latent, outputs)
        self.log_variance = _layers(features, hidden, latent) if drawn else None
        self._drawn, self._latent = drawn, latent

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map (N, features) to (N, outputs), in training to more; see the class."""
        mean = self.mean(features)
        if not self.training:
            found: torch.Tensor = self.outputs(mean)
            return found
        if self.log_variance is None:
            return torch.cat([self.outputs(mean), mean], dim=1)
        log_variance = self.log_variance(features)
        drawn = draw(mean, log_variance, published=self._drawn == "published")
        return torch.cat([self.outputs(drawn), drawn, mean, log_variance], dim=1)

    def split(self, given: torch.Tensor) -> Latent:
        """Take apart what :meth:`forward` gives in training."""
        size, width = self._latent, self.outputs.out_features
        if self.log_variance is None:
            outputs, mean = given.split([width, size], dim=1)
            return Latent(outputs, mean, mean, None)
        return Latent(*given.split([width, size, size, size], dim=1))

    def plain(self) -> nn.Sequential:
        """Return the head of evaluation as plain layers, which a file can describe."""
        return nn.Sequential(*self.mean, self.outputs)

    def plain_name(self, name: str) -> str:
        """Return the name of a tensor in :meth:`plain`; empty for one that it has not."""
        if name.startswith("log_variance."):
            return ""
        return name.removeprefix("mean.").replace("outputs.", f"{len(self.mean)}.")


def draw(mean: torch.Tensor, log_variance: torch.Tensor, *, published: bool) -> torch.Tensor:
    """Return latent values (N, L) drawn by torch's global generator.

    ``published`` is what the authors' code does: a draw from N(μ, σ), times σ, plus μ.
    """
    deviation = (log_variance / 2).exp()
    drawn = mean + deviation * torch.randn_like(mean)
    return drawn * deviation + mean if published else drawn


def _layers(features: int, hidden: int, latent: int) -> nn.Sequential:
    if not hidden:
        return nn.Sequential(nn.Linear(features, latent))
    return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, latent))
