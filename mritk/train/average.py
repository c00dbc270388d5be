"""An exponential moving average of a network's tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from mritk.model.unchanged import write


class MovingAverage:
    """The average of a network's floating-point tensors, BatchNorm statistics included.

    After step n an averaged tensor is ``d · average + (1 - d) · tensor`` with
    ``d = min(decay, (1 + n) / (10 + n))``, so that the random beginning is soon forgotten.
    Whole numbers (BatchNorm's counters) are taken as they are.

    A pass may assign another tensor to a buffer's name, so that buffers are looked up each time.
    One that was not there, or had another shape, is averaged from its present value on.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay, self._steps = decay, 0
        named = network.named_modules(remove_duplicate=False)
        self._modules = [(f"{name}." if name else "", module) for name, module in named]
        buffers = {name for name, *_ in self._buffers()}
        state = network.state_dict().items()
        self._parameters = {
            name: t for name, t in state if name not in buffers and t.is_floating_point()
        }
        self._averaged = {name: t.detach().clone() for name, t in self._own().items()}

    def update(self) -> None:
        """Take the network's present tensors in."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        own = self._own()
        self._begin(own)
        with torch.no_grad():
            torch._foreach_lerp_([self._averaged[n] for n in own], list(own.values()), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network hold the average inside the block."""
        buffers = [(table, name, buffer) for _, table, name, buffer in self._buffers()]
        kept = [(tensor, tensor.detach().clone()) for tensor in self._own().values()]
        self.hand_over()
        try:
            yield
        finally:
            for table, name, buffer in buffers:
                if table[name] is not buffer:
                    table[name] = buffer
            _write_all(kept)

    def hand_over(self) -> None:
        """Put the average into the network."""
        own = self._own()
        self._begin(own)
        _write_all((tensor, self._averaged[name]) for name, tensor in own.items())

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return {"steps": self._steps, "tensors": self._averaged}

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a :meth:`state`, once the network has the tensors that it had then."""
        self._steps, tensors = state["steps"], state["tensors"]
        self._averaged = {
            name: tensors[name].to(tensor.device, copy=True)
            for name, tensor in self._own().items()
            if name in self._parameters or name in tensors
        }

    def _buffers(self) -> Iterator[tuple[str, dict[str, Any], str, torch.Tensor | None]]:
        """Yield the full name of each buffer of the state, its table and name there, and itself."""
        for prefix, module in self._modules:
            for name, buffer in module._buffers.items():
                if name not in module._non_persistent_buffers_set:
                    yield prefix + name, module._buffers, name, buffer

    def _own(self) -> dict[str, torch.Tensor]:
        """Return the tensors that the network has at present, of those that are averaged."""
        buffers = {name: b for name, _, _, b in self._buffers() if b is not None}
        return self._parameters | {n: b for n, b in buffers.items() if b.is_floating_point()}

    def _begin(self, own: Mapping[str, torch.Tensor]) -> None:
        """Begin the averages of buffers that have none yet, and none of their shape and type."""
        for name, tensor in own.items():
            if name in self._parameters:
                continue
            average = self._averaged.get(name)
            if average is None or average.shape != tensor.shape or average.dtype != tensor.dtype:
                self._averaged[name] = tensor.detach().clone()
        for name in self._averaged.keys() - own.keys():
            del self._averaged[name]


def _write_all(values: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
    with torch.no_grad():
        for tensor, value in values:
            write(tensor, value)
