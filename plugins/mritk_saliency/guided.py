"""Guided backpropagation: gradients that pass ReLUs only where they are positive."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mritk import UsageError
from mritk_saliency.gradients import gradient

RELUS = frozenset(
    {
        *(functional.relu, functional.relu6, torch.relu, torch.relu_),
        *(torch.Tensor.relu, torch.Tensor.relu_),
    }
)

# Activations that are no ReLU: a network with these on its feature maps is refused.
OTHERS = frozenset({"gelu", "silu", "hardswish", "mish", "leaky_relu", "elu", "selu", "celu"})


def guided_backpropagation(
    network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor
) -> torch.Tensor:
    """Return the guided gradient (N, C, *spatial); Springenberg et al. (2015), section 3.4.

    Every ReLU counts, whether it is a module or a function, in place or not: those that a network
    calls as functions, as DenseNet does, cannot be found among its modules.

    Raises:
        UsageError: The network has no ReLU on its feature maps, or another activation.
    """
    with _Guiding() as guiding:
        found = gradient(network, batch, outputs)
    if guiding.others or not guiding.relus:
        has = " and ".join(sorted(guiding.others)) or "none on its feature maps"
        raise UsageError(
            f"guided_backpropagation is defined for networks with ReLUs, and this one has {has}; "
            "use saliency or integrated_gradients"
        )
    return found


class _Guiding(TorchFunctionMode):
    """Lets no negative gradient through the ReLUs that are called inside the block."""

    def __init__(self) -> None:
        """Count the ReLUs on feature maps, and note other activations there."""
        super().__init__()
        self.relus, self.others = 0, set[str]()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        output = func(*args, **named)
        on_maps = isinstance(output, torch.Tensor) and any(side > 1 for side in output.shape[2:])
        if _is_relu(func, args, named) and output.requires_grad:
            self.relus += on_maps
            output.register_hook(lambda passed: passed.clamp(min=0))
        name = getattr(func, "__name__", "").rstrip("_")
        if on_maps and name in OTHERS:
            self.others.add(name)
        return output


def _is_relu(func: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    # torch.nn.ReLU6 is a hard tanh from 0 to 6.
    lowest = args[1] if len(args) > 1 else named.get("min_val")
    return func in RELUS or (func is functional.hardtanh and lowest == 0.0)
