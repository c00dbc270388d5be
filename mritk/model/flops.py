"""Count the floating-point operations of a network."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mritk.errors import one_line
from mritk.model.evaluation_mode import evaluation_mode
from mritk.model.unchanged import unchanged
from mritk.model.without_values import follow

logger = logging.getLogger("mritk")


def count_flops(network: nn.Module, input_shape: Sequence[int]) -> float | None:
    """Return the operations of one forward pass for one input, in evaluation mode.

    A multiplication and an addition are two operations. Convolutions, matrix products and attention
    are counted, as :class:`torch.utils.flop_counter.FlopCounterMode` does; norms, activations,
    pooling and biases are not. On a GPU the pass is followed without being computed, if it can be.

    Args:
        network: Takes a batch (N, C, *spatial); stays as it is.
        input_shape: (C, *spatial) of one input.

    Returns:
        The number; None if it cannot be counted, or nothing in the network is of these kinds.
    """
    try:
        with as_it_was(network), _in_the_open(), torch.no_grad():
            place = next(network.parameters(), torch.empty(0)).device
            counter = FlopCounterMode(display=False)

            def count(call: Callable[[torch.Tensor], object]) -> None:
                batch = torch.zeros(1, *input_shape, device=place)
                with counter:
                    call(batch)

            follow(network, network, count, compute=place.type == "cpu")
    except Exception as error:  # a number that is nice to have must not cost a trial
        logger.info("operations cannot be counted: %s", one_line(error))
        return None
    return float(counter.get_total_flops()) or None


@contextmanager
def as_it_was(network: nn.Module) -> Iterator[None]:
    """Put the network in evaluation mode inside the block; draw from no one's random numbers.

    What a pass leaves in the network is gone afterwards.
    """
    with unchanged(network), evaluation_mode(network), torch.random.fork_rng(devices=()):
        yield


@contextmanager
def _in_the_open() -> Iterator[None]:
    """Let attention be computed by operations that the counter knows on every device.

    The fused path of torch's own transformer layers is one operation to the counter, and unknown.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
