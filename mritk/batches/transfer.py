"""Send batches to a GPU while it computes, through two host buffers in turn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

BUFFERS = 2


class Link(Protocol):
    """A way from the host to a device."""

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Return an uninitialised tensor on the host from which :meth:`send` can send."""

    def send(self, host: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event]:
        """Start to send ``host``, wait for nothing, and return what will be its copy there.

        The event tells when ``host`` is no longer read. Work that the caller gives to the device
        afterwards finds the copy complete.
        """


class DoubleBuffer:
    """Two buffers on the host: one is filled while the other travels."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._buffers: list[torch.Tensor | None] = [None] * BUFFERS
        self._sent: list[torch.cuda.Event | None] = [None] * BUFFERS
        self._turn = 0

    def send(
        self, fill: Callable[[torch.Tensor], object], shape: Sequence[int], dtype: torch.dtype
    ) -> torch.Tensor:
        """Let ``fill`` write a tensor of this shape and return its copy on the device."""
        turn, self._turn = self._turn, (self._turn + 1) % BUFFERS
        if (sent := self._sent[turn]) is not None:
            sent.synchronize()
        host = self._room(turn, shape, dtype)
        fill(host)
        there, self._sent[turn] = self._link.send(host)
        return there

    def _room(self, turn: int, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        buffer = self._buffers[turn]
        fits = buffer is not None and buffer.dtype == dtype and buffer.shape[1:] == tuple(shape[1:])
        if buffer is None or not fits or len(buffer) < shape[0]:
            # Made while evaluating, it could not be written to while training.
            with torch.inference_mode(mode=False):
                buffer = self._buffers[turn] = self._link.buffer(shape, dtype)
        return buffer[: shape[0]]


class CudaLink:
    """From page-locked memory to a GPU, on a stream beside that of the network."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device)

    def buffer(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Return a page-locked tensor."""
        return torch.empty(tuple(shape), dtype=dtype, pin_memory=True)

    def send(self, host: torch.Tensor) -> tuple[torch.Tensor, torch.cuda.Event]:
        """Start a copy that the device's current stream waits for, and the host does not."""
        with torch.cuda.stream(self._stream):
            there = host.to(self._device, non_blocking=True)
            sent = torch.cuda.Event()
            sent.record(self._stream)
        current = torch.cuda.current_stream(self._device)
        current.wait_event(sent)
        # The memory belongs to the side stream; it may be reused once the network has read it.
        there.record_stream(current)
        return there, sent
