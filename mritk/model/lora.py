"""LoRA: a trainable update of low rank on each frozen linear layer (Hu et al., 2022).

``W' = W + alpha / rank · B A`` with A drawn and B zero, so that training begins where the
pretrained network stands. Updates are parametrisations of torch's own kind; merged, they leave a
network of the shape that it had.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from mritk.errors import MritkError, UsageError


class LowRankUpdate(nn.Module):
    """``weight + scale · up @ down``."""

    def __init__(self, weight: torch.Tensor, rank: int, alpha: float, seed: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        # The initialisation of torch's linear layers, as the authors' code uses for A.
        bound = 1 / math.sqrt(columns)
        generator = torch.Generator().manual_seed(seed)
        down = torch.empty(rank, columns).uniform_(-bound, bound, generator=generator)
        self.down = nn.Parameter(down.to(weight.device))
        self.up = nn.Parameter(torch.zeros(rows, rank, device=weight.device))
        self.scale = alpha / rank

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the updated weight (out, in)."""
        return torch.addmm(weight, self.up, self.down, alpha=self.scale)


def add_adapters(
    network: nn.Module, tensors: frozenset[str], *, rank: int, alpha: float, seed: int
) -> None:
    """Freeze ``network`` and put an update on each linear layer whose weight is in ``tensors``.

    Raises:
        UsageError: There is none.
    """
    layers = linear_layers(network, tensors)
    network.requires_grad_(False)
    for number, layer in enumerate(layers):
        update = LowRankUpdate(layer.weight, rank, alpha, seed + number)
        parametrize.register_parametrization(layer, "weight", update)


def linear_layers(network: nn.Module, tensors: frozenset[str]) -> list[nn.Linear]:
    """Return the linear layers whose weight is in ``tensors``.

    Raises:
        UsageError: There is none.
    """
    layers = [
        module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and f"{name}.weight" in tensors
    ]
    if not layers:
        raise UsageError(
            "tune = 'lora' updates linear layers, but the trained layers of the backbone have "
            "none; use tune = 'all' or 'biases', or a transformer"
        )
    return layers


def merge_adapters(network: nn.Module) -> None:
    """Add each update to its weight, and leave plain layers."""
    for _, layer in _adapted(network):
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
        # The weight comes back behind the bias; optimisers know parameters by their order.
        bias = layer._parameters.pop("bias")
        layer.register_parameter("bias", bias)


def merged_state(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return the tensors as they would be after :func:`merge_adapters`.

    Those without an update are the network's own, not copies.

    Raises:
        MritkError: A module has other state than tensors, which no file of tensors can hold.
    """
    state = {name: _tensor(name, value) for name, value in network.state_dict().items()}
    for name, layer in _adapted(network):
        prefix = f"{name}.parametrizations.weight."
        for key in [key for key in state if key.startswith(prefix)]:
            del state[key]
        state[f"{name}.weight"] = layer.weight.detach()
    return state


def _tensor(name: str, value: Any) -> torch.Tensor:
    if not isinstance(value, torch.Tensor):
        raise MritkError(
            f"{name} in the network's state_dict is a {type(value).__name__}; a state that is no "
            "tensor is not supported: register a buffer, or let get_extra_state return a tensor"
        )
    return value.detach()


def _adapted(network: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.Linear) and parametrize.is_parametrized(module, "weight"):
            # A network may have parametrisations of its own, such as a spectral norm.
            updates = module.get_submodule("parametrizations.weight").children()
            if any(isinstance(update, LowRankUpdate) for update in updates):
                yield name, module
