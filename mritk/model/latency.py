"""How long one image takes."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import nn

from mritk.errors import one_line
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
        precision: ``float32``, or ``bfloat16`` for autocast.

    Returns:
        The median of up to 20 passes; None if the network does not take such a batch.
    """
    try:
        with as_it_was(network), torch.inference_mode():
            place = next(network.parameters(), torch.empty(0)).device
            batch = torch.zeros(1, *input_shape, device=place)

            def run() -> None:
                with torch.autocast(place.type, torch.bfloat16, enabled=precision == "bfloat16"):
                    network(batch)
                if batch.is_cuda:
                    torch.cuda.synchronize(place)

            _passes(run, WARM_UP, WARM_UP_SECONDS)
            return statistics.median(_passes(run, PASSES, ENOUGH_SECONDS))
    except Exception as error:  # a number that is nice to have must not cost a trial
        logger.info("latency cannot be measured: %s", one_line(error))
        return None


def _passes(run: Callable[[], None], calls: int, limit: float) -> list[float]:
    """Return the seconds of each call: at least one, and none that begins after ``limit``."""
    seconds: list[float] = []
    began = now = time.perf_counter()
    while not seconds or (len(seconds) < calls and now - began < limit):
        run()
        before, now = now, time.perf_counter()
        seconds.append(now - before)
    return seconds
