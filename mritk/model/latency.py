"""How long one image takes."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from mritk.errors import one_line
from mritk.machine.precision import computing_in
from mritk.machine.replay import Replayed
from mritk.model.flops import as_it_was

logger = logging.getLogger("mritk")

# Libraries choose their algorithms, and caches fill, in the first passes.
WARM_UP, PASSES = 3, 20
# No more passes are begun after so many seconds; a slow network is measured by fewer.
WARM_UP_SECONDS, ENOUGH_SECONDS = 0.2, 0.5


def measure_latency(
    network: nn.Module, input_shape: Sequence[int], *, precision: str = "float32"
) -> float | None:
    """Return the median seconds of one forward pass for one input, where the network is.

    In evaluation mode, one operation after the other; on a GPU from the call until the result is
    there. The data are zeros; the time does not depend on them.

    Args:
        network: Takes a batch (N, C, *spatial); stays as it is.
        input_shape: (C, *spatial) of one input.
        precision: As :func:`mritk.machine.precision.computing_in` takes it.

    Returns:
        The median of up to 20 passes; None if the network does not take such a batch.
    """
    return _measured(network, input_shape, precision, _waited_for)


def measure_replayed_latency(
    network: nn.Module, input_shape: Sequence[int], *, precision: str = "float32"
) -> float | None:
    """Return what :func:`measure_latency` does, for a pass that is replayed as a CUDA graph.

    The host launches one graph in place of hundreds of kernels: of a small network this is the time
    of the GPU, and the latency that of the host.

    Returns:
        The median of up to 20 passes; None elsewhere than on a GPU, and if the pass cannot be
        recorded.
    """
    if next(network.parameters(), torch.empty(0)).device.type != "cuda":
        return None
    return _measured(network, input_shape, precision, _replayed)


Pass = Callable[[torch.Tensor], torch.Tensor]


def _measured(
    network: nn.Module,
    input_shape: Sequence[int],
    precision: str,
    as_run: Callable[[Pass, torch.Tensor], Callable[[], None]],
) -> float | None:
    try:
        with as_it_was(network), torch.inference_mode():
            place = next(network.parameters(), torch.empty(0)).device

            def compute(batch: torch.Tensor) -> torch.Tensor:
                with computing_in(precision, place):
                    return network(batch)

            if place.type == "cuda":  # what others have asked for is done
                torch.cuda.synchronize(place)
            run = as_run(compute, torch.zeros(1, *input_shape, device=place))
            _passes(run, WARM_UP, WARM_UP_SECONDS)
            return statistics.median(_passes(run, PASSES, ENOUGH_SECONDS))
    except Exception as error:  # a number that is nice to have must not cost a trial
        logger.info("latency cannot be measured: %s", one_line(error))
        return None


def _waited_for(compute: Pass, batch: torch.Tensor) -> Callable[[], None]:
    """Return a function that computes and waits until the result is there."""

    def run() -> None:
        compute(batch)
        if batch.is_cuda:
            torch.cuda.synchronize(batch.device)

    return run


def _replayed(compute: Pass, batch: torch.Tensor) -> Callable[[], None]:
    """Return a function that replays and waits until the result is there.

    Raises:
        RuntimeError: The computation cannot be recorded.
    """
    graph = Replayed(batch.device)
    for _ in range(2):  # the first one prepares, the second one records
        graph(compute, batch)
    if graph.failure:
        raise RuntimeError(graph.failure)

    def run() -> None:
        graph(compute, batch)
        torch.cuda.synchronize(batch.device)

    return run


def _passes(run: Callable[[], None], calls: int, limit: float) -> list[float]:
    """Return the seconds of each call: at least one, and none that begins after ``limit``."""
    seconds: list[float] = []
    began = now = time.perf_counter()
    while not seconds or (len(seconds) < calls and now - began < limit):
        run()
        before, now = now, time.perf_counter()
        seconds.append(now - before)
    return seconds
