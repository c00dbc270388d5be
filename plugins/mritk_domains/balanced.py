"""Batches with equally many samples of each site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mritk import UsageError, derive


@dataclass(frozen=True, eq=False)
class Balanced:
    """Batches in which sites take turns: place i holds a sample of site i modulo K.

    A site whose samples are used up begins again, in a new order; of a large site an epoch holds
    a part. There are as many batches as if the training set were cut into such ones.

    Attributes:
        rows: Per site, in the order of their names, its rows of the training part.
        each: Samples of each site in a batch.
        seed: Of the trial.
    """

    rows: tuple[torch.Tensor, ...]
    each: int
    seed: int

    @classmethod
    def of(
        cls, sites: Sequence[str] | None, batch_size: int, seed: int, *, least: int = 2
    ) -> Balanced:
        """Return the batches for the sites of the training samples.

        Args:
            sites: Of each training sample, ``""`` where one has none; None: not known.
            batch_size: Samples of a batch at most.
            seed: Of the trial.
            least: Samples of each site that a batch needs.

        Raises:
            UsageError: Sites are not known, of some samples or of all, there is only one, or a
                batch is too small.
        """
        names = sorted(set(sites or ()) - {""})
        if sites is None or len(names) < 2:
            found = "no site" if not names else f"one site, {names[0]}"
            raise UsageError(
                f"unseen sites need training samples of several sites, but there is {found}; "
                "give the dataset a column site, or use a protocol of another method"
            )
        if without := sum(not site for site in sites):
            raise UsageError(
                f"{without} of {len(sites)} training samples have no site, and would be a site of "
                "their own; add it in the dataset's column site or remove them, or use a protocol "
                "of another method"
            )
        each = min(batch_size, len(sites)) // len(names)
        if each < least:
            raise UsageError(
                f"a batch needs {least} samples of each of {len(names)} sites; raise batch_size "
                f"to {least * len(names)} or more, with as many training samples"
            )
        rows = [torch.tensor([i for i, s in enumerate(sites) if s == name]) for name in names]
        return cls(tuple(rows), each, seed)

    @property
    def size(self) -> int:
        """Samples of a batch."""
        return self.each * len(self.rows)

    def batches(self, epoch: int) -> list[torch.Tensor]:
        """Return the rows of each batch of an epoch, (each · K,) int64."""
        count = self.steps(1) * self.each
        drawn = [self._drawn(site, count, epoch) for site in range(len(self.rows))]
        return list(torch.stack(drawn, dim=1).flatten().split(self.size))

    def steps(self, epochs: int) -> int:
        """Return the number of batches of so many epochs."""
        return epochs * max(1, sum(len(rows) for rows in self.rows) // self.size)

    def _drawn(self, site: int, count: int, epoch: int) -> torch.Tensor:
        rows = self.rows[site]
        orders = []
        for turn in range(-(-count // len(rows))):
            seed = derive(self.seed, "order", epoch, site, turn)
            generator = torch.Generator().manual_seed(seed)
            orders.append(rows[torch.randperm(len(rows), generator=generator)])
        return torch.cat(orders)[:count]
