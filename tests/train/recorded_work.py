"""Stand-ins for streams and CUDA graphs that work on a CPU.

A graph really is recorded: the tensor operations of a step with the memory that they read and
write. As on a GPU, recording computes nothing, what Python does is not repeated, reading a number
or setting a seed while recording is an error, and the same memory is used in each replay.
"""

from __future__ import annotations

from contextlib import contextmanager

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mritk.batches.inputs import Inputs

FORBIDDEN = "CUDA error: operation not permitted when stream is capturing\nlong\nadvice"

# In inference mode the second one is not taken apart into the first.
READING = (torch.ops.aten._local_scalar_dense.default, torch.ops.aten.item.default)


def tensors(*values) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor)]


class Recording(TorchDispatchMode):
    """Operations in order; ``undo`` takes back what they did when they were recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple] = []
        self._before: dict[int, tuple] = {}
        self._made: dict[int, torch.Tensor] = {}

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        if operation in READING:
            raise RuntimeError(FORBIDDEN)
        kwargs = kwargs or {}
        for tensor in tensors(args, kwargs):
            storage = tensor.untyped_storage()
            if storage._cdata not in self._made and storage._cdata not in self._before:
                self._before[storage._cdata] = storage, storage.clone()
        results = operation(*args, **kwargs)
        for tensor in tensors(results):
            key = tensor.untyped_storage()._cdata
            if key not in self._before:
                self._made.setdefault(key, tensor)
        self.calls.append((operation, args, kwargs, results))
        return results

    def undo(self) -> None:
        for storage, content in self._before.values():
            storage.copy_(content)
        with torch.no_grad():
            for tensor in self._made.values():
                if tensor.is_floating_point():
                    tensor.detach().fill_(torch.nan)

    def repeat(self) -> None:
        with torch.no_grad():
            for operation, args, kwargs, results in self.calls:
                again = tensors(operation(*args, **kwargs))
                for target, source in zip(tensors(results), again, strict=True):
                    if target.data_ptr() != source.data_ptr():
                        target.detach().copy_(source)


class Graph:
    """``torch.cuda.CUDAGraph``."""

    def __init__(self) -> None:
        self.recording, self.replays = Recording(), 0

    def replay(self) -> None:
        self.replays += 1
        self.recording.repeat()


class Stream:
    """``torch.cuda.Stream``: remembers for whom it waited."""

    def __init__(self, log: list, name: str) -> None:
        self._log, self.name = log, name

    def wait_stream(self, other) -> None:
        self._log.append(f"{self.name} waits for {other.name}")


class Cuda:
    """What :mod:`mritk.train.graphs` uses of ``torch.cuda``.

    Attributes:
        log: Waits and steps in order; the tests add steps.
        graphs: The graphs, of failed recordings too.
        streams: The streams that are current, the last one now.
    """

    def __init__(self) -> None:
        self.log: list[str] = []
        self.graphs: list[Graph] = []
        self.streams = [Stream(self.log, "main")]
        self.recording: Recording | None = None

    def make_stream(self, device) -> Stream:
        assert isinstance(device, torch.device)
        return Stream(self.log, "side")

    def make_graph(self) -> Graph:
        self.graphs.append(Graph())
        return self.graphs[-1]

    @contextmanager
    def stream(self, stream):
        self.streams.append(stream)
        try:
            yield
        finally:
            self.streams.pop()

    @contextmanager
    def record(self, graph, *, stream, capture_error_mode="global"):
        self.recording = graph.recording
        try:
            with self.stream(stream), graph.recording:
                yield
        finally:
            self.recording = None
            graph.recording.undo()


@contextmanager
def pretended():
    """Put the stand-ins in the place of torch's; yield a :class:`Cuda`."""
    cuda = Cuda()

    def manual_seed(seed):
        if cuda.recording is not None:
            raise RuntimeError("set_current_seed can be called during stream capture only if")
        # For the CPU alone: torch notes the traceback of each call for a GPU that is not in use.
        return torch.default_generator.manual_seed(seed)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "Stream", cuda.make_stream)
        patch.setattr(torch.cuda, "current_stream", lambda device: cuda.streams[-1])
        patch.setattr(torch.cuda, "stream", cuda.stream)
        patch.setattr(torch.cuda, "CUDAGraph", cuda.make_graph)
        patch.setattr(torch.cuda, "graph", cuda.record)
        patch.setattr(torch.cuda, "synchronize", lambda device: None)
        patch.setattr(torch, "manual_seed", manual_seed)
        for module in ("batches.augmented", "train.step"):  # which would spare the CPU that
            patch.setattr(f"mritk.{module}.seed_draws", lambda seed, _: torch.manual_seed(seed))
        yield cuda


@contextmanager
def whole_trainings():
    """Let trainings on a CPU use graphs too, with an optimiser whose steps can be recorded."""
    kinds = {name: getattr(torch.optim, name) for name in ("AdamW", "Adam", "SGD")}

    def fused(kind):
        return lambda groups, **options: kind(groups, **options | {"fused": True})

    with pretended() as cuda, pytest.MonkeyPatch.context() as patch:
        for name, kind in kinds.items():
            patch.setattr(torch.optim, name, fused(kind))
        patch.setattr(Inputs, "replays", property(lambda inputs: inputs._graphs))
        yield cuda
