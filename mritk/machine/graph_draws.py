"""The random draws of a CUDA graph.

A replay reads seed and offset from memory that belongs to the state of a generator. Graphs that
shared the state of torch's generator would overwrite it for each other when they are replayed on
several streams; so each graph has a state of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from mritk.machine.seeding import generator_of


class GraphDraws:
    """What the computation of one graph draws from."""

    def __init__(self, device: torch.device) -> None:
        self._usual = self._own = None
        if device.type == "cuda":
            self._usual = generator_of(device)
            self._own = self._usual.clone_state()

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Let draws inside the block be those of the graph."""
        if self._usual is None or self._own is None:
            yield
            return
        before = self._usual.graphsafe_get_state()
        self._usual.graphsafe_set_state(self._own)
        try:
            yield
        finally:
            self._usual.graphsafe_set_state(before)

    def seed(self, seed: int) -> None:
        """Seed the draws of the next replay."""
        if self._own is None:
            torch.manual_seed(seed)
        else:
            self._own.manual_seed(seed)
