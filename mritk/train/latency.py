"""How long one image takes."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

from mritk.train.flops import as_it_was

logger = logging.getLogger("mritk")

WARM_UP, PASSES = 3, 20
# No more passes are begun after so many seconds; a slow network is measured by fewer.
ENOUGH_SECONDS = 0.5


def measure_latency(network: nn.Module, input_shape: Sequence[int]) -> float | None:
    """Return the median seconds of one forward pass for one input, where the network is.

    In evaluation mode, float32, one operation after the other; on a GPU from the call until the
    result is there. The data are zeros; the time does not
    depend on them.

    Args:
        network: Takes a batch (N, C, *spatial); stays as it is.
        input_shape: (C, *spatial) of one input.

    Returns:
        The median of up to 20 passes; None if the network does not take such a batch.
    """
    try:
        with as_it_was(network), torch.inference_mode():
            place = next(network.parameters(), torch.empty(0)).device
            batch = torch.zeros(1, *input_shape, device=place)
            for _ in range(WARM_UP):
                network(batch)
            return statistics.median(_passes(network, batch))
    except Exception as error:  # a number that is nice to have must not cost a trial
        logger.info("latency cannot be measured: %s", " ".join(str(error).split()))
        return None


def _passes(network: nn.Module, batch: torch.Tensor) -> list[float]:
    seconds: list[float] = []
    while len(seconds) < PASSES and sum(seconds) < ENOUGH_SECONDS:
        _finish(batch)
        began = time.perf_counter()
        network(batch)
        _finish(batch)
        seconds.append(time.perf_counter() - began)
    return seconds


def _finish(batch: torch.Tensor) -> None:
    """Wait until the device has done what it was asked for."""
    if batch.is_cuda:
        torch.cuda.synchronize(batch.device)
