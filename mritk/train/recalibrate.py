"""Measure BatchNorm's statistics anew, on the images of the training part.

Statistics of pretraining describe other images. Where they stay frozen, activations may leave the
range that the next layers expect (Li et al., 2017, Revisiting batch normalization for practical
domain adaptation, arXiv:1603.04779).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mritk.model.evaluation_mode import evaluation_mode
from mritk.seeds import derive


def mixed_batches(count: int, batch_size: int, seed: int) -> Sequence[torch.Tensor]:
    """Return the row numbers (B,) int64 of batches in which each of ``count`` images is once.

    Statistics are means over batches. So that each image counts alike, and none stands alone,
    batches have ``batch_size`` images or a few more, and differ by one at most. Their order is
    drawn from ``seed``: in files sorted by class, the variance between classes would be missed.
    """
    generator = torch.Generator().manual_seed(derive(seed, "recalibration"))
    rows = torch.randperm(count, generator=generator)
    return rows.tensor_split(max(1, count // batch_size))


def recalibrate(
    network: nn.Module,
    compute: Callable[[torch.Tensor], torch.Tensor],
    batches: Iterable[torch.Tensor],
) -> int:
    """Replace the running means and variances of a network by those of some images.

    Each is the mean over the batches. All other layers are in evaluation mode meanwhile, and no
    weight changes.

    Args:
        network: Its modules end in the modes they had.
        compute: Sends a batch through the network.
        batches: Images, (B, C, *spatial) in [0, 1].

    Returns:
        How many layers were measured.
    """
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return 0
    with _measuring(network, norms), torch.no_grad():
        for batch in batches:
            compute(batch)
    return len(norms)


@contextmanager
def _measuring(network: nn.Module, norms: list[_BatchNorm]) -> Iterator[None]:
    """Let these layers, and no others, take the mean of what they see."""
    momenta = {norm: norm.momentum for norm in norms}
    with evaluation_mode(network):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a mean over all batches, not one that forgets
            norm.train()
        try:
            yield
        finally:
            for norm, momentum in momenta.items():
                norm.momentum = momentum
