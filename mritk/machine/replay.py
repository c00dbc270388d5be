"""Replay a computation as one CUDA graph: a launch in place of hundreds.

https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch

from mritk.machine.out_of_memory import ran_out_of_memory

Compute = Callable[[torch.Tensor], torch.Tensor]


def recording(
    graph: torch.cuda.CUDAGraph, stream: torch.cuda.Stream
) -> AbstractContextManager[None]:
    """Record what is computed inside the block; other threads may use the GPU meanwhile."""
    return torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local")


@contextmanager
def beside(stream: torch.cuda.Stream, device: torch.device) -> Iterator[None]:
    """Compute inside the block on the stream on which it will be recorded."""
    usual = torch.cuda.current_stream(device)
    stream.wait_stream(usual)
    with torch.cuda.stream(stream):
        yield
    usual.wait_stream(stream)


def why_not_recorded(error: RuntimeError, device: torch.device) -> str:
    """Return the reason of a recording that failed, once the device has left it behind."""
    torch.cuda.synchronize(device)
    lines = str(error).splitlines() or [type(error).__name__]
    return "out of memory" if ran_out_of_memory(error) else lines[0]


class Replayed:
    """A computation without random draws that is recorded at its second call, then replayed.

    The first call builds what libraries keep; recording cannot. If recording fails, all calls go
    the usual way.

    Attributes:
        failure: Why the computation could not be recorded; empty if it could, or was not yet.
    """

    def __init__(self, device: str | torch.device) -> None:
        self.failure = ""
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._places: tuple[int, ...] = ()
        self._shape: torch.Size | None = None

    @property
    def recorded(self) -> bool:
        """True once calls are replayed."""
        return self._graph is not None

    def reads(self, tensors: Iterable[torch.Tensor]) -> None:
        """Name what the computation reads beside the batch: a graph reads their memory.

        If they are not where they were, it is recorded anew.
        """
        places = tuple(tensor.data_ptr() for tensor in tensors)
        if places != self._places:
            self._graph, self._shape, self._places = None, None, places

    def __call__(self, compute: Compute, batch: torch.Tensor) -> torch.Tensor:
        """Return ``compute(batch)``, in memory of its own.

        ``compute`` is not kept, and is the same in each call.
        """
        if self.failure:
            return compute(batch)
        if batch.shape != self._shape:
            self._graph, self._shape = None, batch.shape
            with beside(self._stream, self._device):
                return compute(batch)
        if self._graph is None and not self._record(compute, batch):
            return compute(batch)
        assert self._graph is not None
        self._batch.copy_(batch)
        self._graph.replay()
        return self._outputs.clone()

    def _record(self, compute: Compute, batch: torch.Tensor) -> bool:
        """Record, which computes nothing; return whether it went well."""
        self._batch = batch.clone()
        graph = torch.cuda.CUDAGraph()
        try:
            with recording(graph, self._stream):
                self._outputs = compute(self._batch)
        except RuntimeError as error:
            self.failure = why_not_recorded(error, self._device)
            return False
        self._graph = graph
        return True
