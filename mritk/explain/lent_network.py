"""A network that an explainer is lent comes back as it was: others explain the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

# Where torch keeps them: hooks of modules and of tensors (there it may be None), and layers.
MODULE_HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")
TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
LAYERS = ("_modules", "_parameters")


class LentNetwork:
    """Remembers weights, gradients, layers, hooks and training mode of a network.

    What else a pass may leave in it, such as positions computed for a size, is none of that.
    """

    def __init__(self, network: nn.Module) -> None:
        self._modules = [
            (one, one.training, {kind: dict(vars(one)[kind]) for kind in (*LAYERS, *MODULE_HOOKS)})
            for one in network.modules()
        ]
        self._buffers = [(one, dict(vars(one)["_buffers"])) for one in network.modules()]
        self._tensors = [
            (
                *(one, one.detach().clone(), one.requires_grad, one.grad),
                {kind: dict(getattr(one, kind, None) or {}) for kind in TENSOR_HOOKS},
            )
            for one in network.state_dict(keep_vars=True).values()
        ]

    def restore(self) -> list[str]:
        """Undo all changes; return what was changed, in words."""
        changed = list(
            dict.fromkeys([*self._restored_modules(), *self._restored_tensors(), *self._replaced()])
        )
        if changed:  # else what differs are passing values, which any pass may renew
            for module, before in self._buffers:
                _put_back(vars(module)["_buffers"], before)
        return changed

    def _restored_modules(self) -> Iterator[str]:
        for module, training, kept in self._modules:
            if module.training != training:
                module.training = training
                yield "training mode"
            for kind, before in kept.items():
                if _put_back(vars(module)[kind], before):
                    yield "layers" if kind in LAYERS else "hooks"

    def _restored_tensors(self) -> Iterator[str]:
        for tensor, value, requires_grad, gradient, kept in self._tensors:
            if not _same(tensor, value):
                tensor.data = value
                yield "weights"
            if tensor.requires_grad != requires_grad or tensor.grad is not gradient:
                tensor.requires_grad_(requires_grad).grad = gradient
                yield "gradients"
            for kind, before in kept.items():
                now = getattr(tensor, kind, None)
                if now is not None and _put_back(now, before):
                    yield "hooks"

    def _replaced(self) -> Iterator[str]:
        for module, before in self._buffers:
            stored = before.keys() - module._non_persistent_buffers_set
            if any(vars(module)["_buffers"].get(name) is not before[name] for name in stored):
                yield "weights"


def _put_back(now: dict[Any, Any], before: Mapping[Any, Any]) -> bool:
    """Let a dictionary hold the very objects that it held; return whether it did not."""
    differs = [(key, id(value)) for key, value in now.items()] != [
        (key, id(value)) for key, value in before.items()
    ]
    if differs:
        now.clear()
        now.update(before)
    return differs


def _same(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    alike = tensor.dtype == value.dtype and tensor.device == value.device
    return alike and torch.equal(tensor, value)
