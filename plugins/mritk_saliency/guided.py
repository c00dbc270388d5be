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


def guided_backpropagation(
    network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor
) -> torch.Tensor:
    """Return the guided gradient (N, C, *spatial); Springenberg et al. (2015), section 3.4.

    Every ReLU counts, whether it is a module or a function, in place or not: those that a network
    calls as functions, as DenseNet does, cannot be found among its modules.

    Raises:
        UsageError: The network calls no ReLU.
    """
    with _Guiding() as guiding:
        found = gradient(network, batch, outputs)
    if not guiding.relus:
        raise UsageError(
            "guided_backpropagation is defined for networks with ReLUs, and this one calls none; "
            "use saliency or integrated_gradients"
        )
    return found


class _Guiding(TorchFunctionMode):
    """Lets no negative gradient through the ReLUs that are called inside the block."""

    relus = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        output = func(*args, **named)
        if _is_relu(func, args, named) and output.requires_grad:
            self.relus += 1
            output.register_hook(lambda passed: passed.clamp(min=0))
        return output


def _is_relu(func: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> bool:
    # torch.nn.ReLU6 is a hard tanh from 0 to 6.
    lowest = args[1] if len(args) > 1 else named.get("min_val")
    return func in RELUS or (func is functional.hardtanh and lowest == 0.0)
