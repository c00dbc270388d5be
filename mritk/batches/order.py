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
    """All rows in a new order each epoch. Fewer rows than ``batch_size`` are one batch in any case.

    Attributes:
        count: Rows of the training part.
        batch_size: Rows of a batch.
        seed: Of the trial.
        last_batch: ``rollover``: the rows of an incomplete last batch go to the first batch of the
            next epoch, ahead of the new order, so that all batches are whole (BatchNorm statistics
            of few samples harm, and shapes stay fixed) and all rows are seen equally often. Such
            a batch may hold an image twice, and an epoch may have one step more than another.
            ``drop``: it is left out. ``keep``: it is trained on.
    """

    count: int
    batch_size: int
    seed: int
    last_batch: LastBatch = "rollover"

    def batches(self, epoch: int) -> list[torch.Tensor]:
        """See :class:`Order`."""
        rows, size = self._order(epoch), self._size
        if self.last_batch == "rollover":
            left = (epoch - 1) * self.count % size
            rows = torch.cat([self._order(epoch - 1)[self.count - left :], rows])
        if self.last_batch != "keep":
            rows = rows[: len(rows) // size * size]
        return list(rows.split(size))

    def steps(self, epochs: int) -> int:
        """See :class:`Order`; of ``rollover`` one less may be made."""
        if self.last_batch == "drop":
            return epochs * (self.count // self._size)
        if self.last_batch == "keep":
            return epochs * math.ceil(self.count / self._size)
        return math.ceil(epochs * self.count / self._size)

    @property
    def _size(self) -> int:
        return min(self.batch_size, self.count)

    def _order(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(derive(self.seed, "order", epoch))
        return torch.randperm(self.count, generator=generator)
