"""A network that an explainer is lent comes back as it was: others explain the same one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn

from mritk.model.unchanged import put_back

# Where torch keeps them: hooks of modules and of tensors (there it may be None), and layers.
MODULE_HOOKS = (
    *("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"),
    *("_forward_pre_hooks_with_kwargs", "_forward_hooks_with_kwargs"),
    "_forward_hooks_always_called",
)
TENSOR_HOOKS = ("_backward_hooks", "_post_accumulate_grad_hooks")
LAYERS = ("_modules", "_parameters")

# What was changed, in words, and where.
Change = tuple[str, object]


class LentNetwork:
    """Remembers weights, gradients, layers, hooks, training mode and attributes of a network.

    Attributes:
        network: The network. It may be lent again after each :meth:`restore`.
    """

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        # Layers of TorchScript are no dictionaries of Python: only their weights are remembered.
        plain = [one for one in network.modules() if not isinstance(one, torch.jit.ScriptModule)]
        self._modules = [
            (
                *(one, type(one), dict(vars(one))),
                {kind: dict(vars(one)[kind]) for kind in (*LAYERS, *MODULE_HOOKS)},
                dict(vars(one)["_buffers"]),
            )
            for one in plain
        ]
        stored = network.state_dict(keep_vars=True).values()
        values = [one for one in stored if isinstance(one, torch.Tensor)]  # beside extra states
        self._weights = {id(one) for one in values}
        self._tensors = [
            (
                *(one, one.detach().clone(), one.requires_grad, one.grad),
                {kind: dict(getattr(one, kind, None) or {}) for kind in TENSOR_HOOKS},
            )
            for one in dict.fromkeys((*values, *network.buffers()))
        ]

    def restore(self) -> list[Change]:
        """Undo all changes; return them.

        What else a pass may leave in a network, such as positions computed for a size, is undone
        as well, but is none of them.
        """
        return [*self._modules_restored(), *self._tensors_restored()]

    def beyond_a_pass(self, changes: Sequence[Change], batch: torch.Tensor) -> list[str]:
        """Return which changes are none that a pass on a batch makes by itself, in words."""
        own: list[Change] = []
        if changes:  # a network may count its passes, or keep what it computes in the first
            self.network(batch.clone())
            own = self.restore()
        return list(dict.fromkeys(change[0] for change in changes if change not in own))

    def _modules_restored(self) -> Iterator[Change]:
        for module, kind, attributes, tables, buffers in self._modules:
            if type(module) is not kind:
                module.__class__ = kind
                yield "layers", module
            now = vars(module)
            names = ["forward", *(name for table in LAYERS for name in tables[table]), *buffers]
            if any(now.get(name) is not attributes.get(name) for name in names):
                yield "layers", module  # one of these is hidden by an attribute
            if module.training != attributes["training"]:
                yield "training mode", module
            put_back(now, attributes)
            for table, before in tables.items():
                if put_back(now[table], before):
                    yield "layers" if table in LAYERS else "hooks", module
            for name in buffers.keys() - module._non_persistent_buffers_set:
                if now["_buffers"].get(name) is not buffers[name]:
                    yield "weights", (module, name)
            put_back(now["_buffers"], buffers)

    def _tensors_restored(self) -> Iterator[Change]:
        for tensor, value, requires_grad, gradient, kept in self._tensors:
            if not _same(tensor, value):
                tensor.data = value.clone()  # the network may be lent again
                if id(tensor) in self._weights:
                    yield "weights", id(tensor)
            if tensor.requires_grad != requires_grad or tensor.grad is not gradient:
                tensor.requires_grad_(requires_grad).grad = gradient
                yield "gradients", id(tensor)
            for kind, before in kept.items():
                now = getattr(tensor, kind, None)
                if now is not None and put_back(now, before):
                    yield "hooks", id(tensor)


def _same(tensor: torch.Tensor, value: torch.Tensor) -> bool:
    """Return whether values and their type and place are equal; NaN equals NaN."""
    if (tensor.shape, tensor.dtype, tensor.device) != (value.shape, value.dtype, value.device):
        return False
    if torch.equal(tensor, value):
        return True
    return bool(((tensor == value) | (tensor.isnan() & value.isnan())).all())
