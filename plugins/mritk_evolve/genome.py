"""A network's weights as one vector, and back."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mritk import Backbone, UsageError


class Genome:
    """The trainable parameters of a network, in order, as a vector of D numbers.

    Attributes:
        length: D.
    """

    def __init__(self, network: nn.Module, fixed: frozenset[str] = frozenset()) -> None:
        """Take the parameters of ``network`` but those whose names are ``fixed``."""
        self._network = network
        self._parameters = {n: p for n, p in network.named_parameters() if n not in fixed}
        self.length = sum(p.numel() for p in self._parameters.values())

    def read(self) -> torch.Tensor:
        """Return the network's weights, (D,) float32, where the network is."""
        return torch.cat([p.detach().reshape(-1) for p in self._parameters.values()]).float()

    def write(self, vector: torch.Tensor) -> None:
        """Put weights (D,) into the network."""
        with torch.no_grad():
            for name, values in self.named(vector[None]).items():
                self._parameters[name].copy_(values[0])

    def named(self, vectors: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return weights (P, D) as parameters (P, *shape) by name."""
        sizes = [math.prod(p.shape) for p in self._parameters.values()]
        parts = vectors.split(sizes, dim=1)
        return {
            name: part.unflatten(1, parameter.shape) if parameter.ndim else part[:, 0]
            for (name, parameter), part in zip(self._parameters.items(), parts, strict=True)
        }


def require_evolvable(backbone: Backbone) -> None:
    """Refuse a backbone that needs statistics of batches.

    Raises:
        UsageError: It has BatchNorm, or another layer with running statistics.
    """
    with torch.random.fork_rng(devices=()):
        network = backbone.architecture.build()
    layer = measured_layer(network)
    if layer is not None:
        raise UsageError(
            f"evolve cannot train {backbone.name}: its layer {layer[0]} ({layer[1]}) needs "
            "statistics of batches, which no mutation learns; use a backbone without BatchNorm, "
            "such as plain_cnn"
        )


def measured_layer(network: nn.Module) -> tuple[str, str] | None:
    """Return name and kind of the first layer that needs statistics of batches; None without."""
    for name, module in network.named_modules():
        if isinstance(module, _BatchNorm) or getattr(module, "running_mean", None) is not None:
            return name, type(module).__name__
    return None
