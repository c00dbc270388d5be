"""Build the GPU kernels of the networks to come while another one trains.

cuDNN builds kernels for each shape of a convolution when it first meets it, which takes 1 to 18 s
for a network (an H200, 2026-11-28). Those of the backward pass, the most, are built in the one
thread in which torch computes it, whoever asks; of those of the forward pass, which each thread
builds for itself, a second thread is spared about half.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from mritk.backbone import Backbone
from mritk.data.grid import Grid
from mritk.errors import one_line
from mritk.machine.device import resolve_precision
from mritk.trial import Trial

logger = logging.getLogger("mritk")

# A network beside those that train must not be what fills the memory.
FREE_SHARE = 0.5


@dataclass(frozen=True)
class _Case:
    """A network and the batches that it will see.

    Attributes:
        backbone: The network.
        shape: (N, C, *spatial) of a batch.
        precision: As in the protocol.
        trained: Whether there is a backward pass.
    """

    backbone: Backbone
    shape: tuple[int, ...]
    precision: str
    trained: bool


@contextmanager
def kernels_built_ahead(trials: Sequence[Trial], device: str) -> Iterator[None]:
    """Build in a thread, inside the block, what all trials but the first ones will need."""
    found = (_case_of(trial) for trial in trials if device.startswith("cuda"))
    cases = [case for case in dict.fromkeys(found) if case is not None]
    if len(cases) < 2:
        yield
        return
    stop = threading.Event()
    work = threading.Thread(target=_build_all, args=(cases[1:], device, stop), name="kernels")
    work.start()
    try:
        yield
    finally:
        stop.set()
        work.join()


def _case_of(trial: Trial) -> _Case | None:
    """Return what is built for a trial; None if that is not known beforehand."""
    recipe, backbone = trial.protocol.parameters, trial.backbone
    batch = getattr(recipe, "batch_size", None)
    if backbone is None or batch is None or backbone.architecture.spatial_dims != 2:
        return None
    size = trial.input_size or backbone.input.size
    if size is None:
        return None
    stages = getattr(recipe, "stages", ())
    shape = (
        min(batch, len(trial.division.train)),
        backbone.input.channels,
        *(Grid(size).sides(2) or ()),
    )
    trained = any(getattr(stage, "train_last", 1.0) > 0 for stage in stages)
    return _Case(backbone, shape, trial.protocol.precision, trained)


def _build_all(cases: Sequence[_Case], device: str, stop: threading.Event) -> None:
    stream = torch.cuda.Stream(device)
    for case in cases:
        free, total = torch.cuda.mem_get_info(torch.device(device))
        if stop.is_set() or free < FREE_SHARE * total:
            return
        try:
            with torch.cuda.stream(stream):
                build_kernels(case, device)
        except Exception as error:  # the training says what is wrong, if anything is
            logger.info("kernels of %s not built ahead: %s", case.backbone.name, one_line(error))


def build_kernels(case: _Case, device: str) -> None:
    """Run a network of this kind once, without values and without random draws.

    Trainings draw from the same generators at the same time; so nothing is drawn here, neither
    weights nor what dropout leaves out.
    """
    with torch.device("meta"):
        network: nn.Module = case.backbone.architecture.build()
    if not any(isinstance(module, _ConvNd) for module in network.modules()):
        return
    network.to_empty(device=device).to(memory_format=torch.channels_last)
    with torch.no_grad():  # zeros are valid wherever values are indices
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.zero_()
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.train(case.trained)
    batch = torch.zeros(case.shape, device=device).contiguous(memory_format=torch.channels_last)
    kind, precision = torch.device(device).type, resolve_precision(case.precision, device)
    with (
        torch.autocast(kind, torch.bfloat16, enabled=precision == "bfloat16"),
        torch.set_grad_enabled(case.trained),
    ):
        features = network(batch)
    if case.trained:
        features.float().sum().backward()
