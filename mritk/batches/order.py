"""Which images make each batch: a function of seed and epoch alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch

from mritk.protocol.recipe import LastBatch
from mritk.seeds import derive


class Order(Protocol):
    """Which rows of the training part make each batch."""

    def batches(self, epoch: int) -> list[torch.Tensor]:
        """Return the rows of each batch, (B,) int64, of an epoch counted from 1 over all stages.

        They depend on nothing but the epoch, so that a training can be resumed.
        """

    def steps(self, epochs: int) -> int:
        """Return the number of batches of a stage of so many epochs."""


@dataclass(frozen=True)
class Shuffled:
    """All rows in a new order each epoch; the attributes are those of :func:`epoch_batches`."""

    count: int
    batch_size: int
    seed: int
    last_batch: LastBatch = "rollover"

    def batches(self, epoch: int) -> list[torch.Tensor]:
        """See :class:`Order`."""
        size, seed = self.batch_size, self.seed
        return epoch_batches(self.count, size, seed, epoch, last_batch=self.last_batch)

    def steps(self, epochs: int) -> int:
        """See :class:`Order`; of ``rollover`` one less may be made."""
        return steps_of(self.count, self.batch_size, epochs, self.last_batch)


def epoch_batches(
    count: int, batch_size: int, seed: int, epoch: int, *, last_batch: LastBatch = "rollover"
) -> list[torch.Tensor]:
    """Return the row numbers of an epoch's batches.

    Fewer rows than ``batch_size`` are one batch in any case.

    Args:
        count: Rows of the training part.
        batch_size: Rows of a batch.
        seed: Of the trial.
        epoch: Counted from 1, over all stages.
        last_batch: ``rollover``: the rows of an incomplete last batch go to the first batch of the
            next epoch, ahead of the new order, so that all batches are whole (BatchNorm statistics
            of few samples harm, and shapes stay fixed) and all rows are seen equally often. Such
            a batch may hold an image twice, and an epoch may have one step more than another.
            ``drop``: it is left out. ``keep``: it is trained on.

    Returns:
        Row numbers of each batch, (B,) int64.
    """
    size = min(batch_size, count)
    if last_batch == "rollover":
        left = (epoch - 1) * count % size
        before = _order(count, seed, epoch - 1)[count - left :]
        rows = torch.cat([before, _order(count, seed, epoch)])
        return list(rows[: len(rows) // size * size].split(size))
    batches = _order(count, seed, epoch).split(size)
    whole = last_batch == "keep" or len(batches[-1]) == size
    return list(batches if whole else batches[:-1])


def steps_of(count: int, batch_size: int, epochs: int, last_batch: LastBatch) -> int:
    """Return the steps of a stage of so many epochs; of ``rollover`` one less may be made."""
    size = min(batch_size, count)
    if last_batch == "rollover":
        return math.ceil(epochs * count / size)
    per_epoch = math.ceil(count / size) if last_batch == "keep" else count // size
    return epochs * per_epoch


def _order(count: int, seed: int, epoch: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(derive(seed, "order", epoch))
    return torch.randperm(count, generator=generator)
