"""An exponential moving average of a network's tensors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class MovingAverage:
    """The average of a network's floating-point tensors, BatchNorm statistics included.

    After step n an averaged tensor is ``d · average + (1 - d) · tensor`` with
    ``d = min(decay, (1 + n) / (10 + n))``, so that the random beginning is soon forgotten.
    Whole numbers (BatchNorm's counters) are taken as they are.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._decay, self._steps = decay, 0
        own = {name: t for name, t in network.state_dict().items() if t.is_floating_point()}
        self._own = list(own.values())
        self._averaged = {name: tensor.detach().clone() for name, tensor in own.items()}

    def update(self) -> None:
        """Take the network's present tensors in."""
        self._steps += 1
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        with torch.no_grad():
            torch._foreach_lerp_(list(self._averaged.values()), self._own, 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Let the network hold the average inside the block."""
        kept = [tensor.detach().clone() for tensor in self._own]
        self.hand_over()
        try:
            yield
        finally:
            _copy(self._own, kept)

    def hand_over(self) -> None:
        """Put the average into the network."""
        _copy(self._own, list(self._averaged.values()))

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return {"steps": self._steps, "tensors": self._averaged}

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a :meth:`state`."""
        self._steps, tensors = state["steps"], state["tensors"]
        _copy(list(self._averaged.values()), [tensors[name] for name in self._averaged])


def _copy(targets: list[torch.Tensor], sources: list[torch.Tensor]) -> None:
    with torch.no_grad():
        for target, source in zip(targets, sources, strict=True):
            target.copy_(source)
