"""A network that an explainer is lent comes back as it was: others explain the same one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import nn

# Where torch keeps them: hooks of modules and of tensors (there it may be None), and layers.
MODULE_HOOKS = (
    *("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"),
    *("_forward_pre_hooks_with_kwargs", "_forward_hooks_with_kwargs"),
    "_forward_hooks_always_called",
)
TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
LAYERS = ("_modules", "_parameters")


class LentNetwork:
    """Remembers weights, gradients, layers, hooks and training mode of a network.

    What else a pass may leave in it, such as positions computed for a size, is none of that.

    Attributes:
        network: The network. It may be lent again after each :meth:`restore`.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        # Layers of TorchScript are no dictionaries of Python: only their weights are remembered.
        plain = [one for one in network.modules() if not isinstance(one, torch.jit.ScriptModule)]
        names = [(one, _names_of(one)) for one in plain]
        self._kinds = [(one, type(one), known, _shadowing(one, known)) for one, known in names]
        self._modules = [
            (
                *(one, one.training, one._is_full_backward_hook),
                {kind: dict(vars(one)[kind]) for kind in (*LAYERS, *MODULE_HOOKS)},
            )
            for one in plain
        ]
        self._buffers = [(one, dict(vars(one)["_buffers"])) for one in plain]
        self._tensors = [
            (
                *(one, one.detach().clone(), one.requires_grad, one.grad),
                {kind: dict(getattr(one, kind, None) or {}) for kind in TENSOR_HOOKS},
            )
            for one in network.state_dict(keep_vars=True).values()
            if isinstance(one, torch.Tensor)  # what a module adds may be anything
        ]

    def restore(self) -> list[str]:
        """Undo all changes; return what was changed, in words."""
        parts = (self._kinds_restored, self._modules_restored, self._tensors_restored)
        changed = list(dict.fromkeys(told for part in (*parts, self._replaced) for told in part()))
        if changed:  # else what differs are passing values, which any pass may renew
            for module, before in self._buffers:
                _put_back(vars(module)["_buffers"], before)
        return changed

    def _kinds_restored(self) -> Iterator[str]:
        for module, kind, names, before in self._kinds:
            if type(module) is not kind:
                module.__class__ = kind
                yield "layers"
            if _put_back(_shadowing(module, names), before):
                for name in names:
                    vars(module).pop(name, None)
                vars(module).update(before)
                yield "layers"

    def _modules_restored(self) -> Iterator[str]:
        for module, training, full, kept in self._modules:
            module._is_full_backward_hook = full  # else it outlives hooks that are removed
            if module.training != training:
                module.training = training
                yield "training mode"
            for kind, before in kept.items():
                if _put_back(vars(module)[kind], before):
                    yield "layers" if kind in LAYERS else "hooks"

    def _tensors_restored(self) -> Iterator[str]:
        for tensor, value, requires_grad, gradient, kept in self._tensors:
            if not _same(tensor, value):
                tensor.data = value.clone()  # the network may be lent again
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


def _names_of(module: nn.Module) -> list[str]:
    """Return the names that an attribute of the module would hide if it had one of them."""
    tables = (*LAYERS, "_buffers")
    return ["forward", *(name for table in tables for name in vars(module)[table])]


def _shadowing(module: nn.Module, names: Sequence[str]) -> dict[str, object]:
    return {name: vars(module)[name] for name in names if name in vars(module)}


def _same(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    """Return whether values and their type and place are equal; NaN equals NaN."""
    if (tensor.shape, tensor.dtype, tensor.device) != (value.shape, value.dtype, value.device):
        return False
    if torch.equal(tensor, value):
        return True
    return bool(((tensor == value) | (tensor.isnan() & value.isnan())).all())
