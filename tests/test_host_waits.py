"""While steps are made the host waits for no GPU, which shows without one.

tests/gpu/test_bounds.py shows the same of whole trainings where there is one.
"""

from __future__ import annotations

from functools import partial

import pytest
import torch

from mritk.batches.mixing import Mixing
from mritk.plugins.registry import Registry
from mritk.records import Augmentation
from tests.host_waits import host_waits

SIDES = {2: (32, 28), 3: (12, 16, 20)}
REGISTRY = Registry.load()
AUGMENTATIONS = [
    (record.name, dims)
    for record in REGISTRY.records(Augmentation)
    if record.apply is not None
    for dims in record.spatial_dims
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dims"), AUGMENTATIONS)
def test_no_augmentation_waits(name, dims):
    apply = REGISTRY.augmentation(name).apply
    generator = torch.Generator().manual_seed(0)
    for _ in range(6):  # not every draw takes every way
        assert host_waits(partial(apply, generator=generator), (4, 1, *SIDES[dims])) == []


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=1.0)], ids=str)
def test_mixing_waits_for_nothing(mixing):
    assert host_waits(lambda batch: mixing(batch, batch[:, 0, 0, :3], 0), (4, 1, 8, 8)) == []


def test_values_that_are_fetched_or_sent_while_the_host_waits_are_found():
    """What the tests above would report."""
    mask = torch.tensor([True, False, True, False])
    found = {
        "a transfer from cpu to cuda": lambda batch: batch + torch.rand(4).to(batch)[:, None],
        "a transfer from cuda to cpu": lambda batch: batch.cpu(),
        "the values that aten._local_scalar_dense.default needs": lambda batch: batch.sum().item(),
        "the values that aten.nonzero.default needs": lambda batch: (batch > 0).nonzero(),
        "the transfer of an index from cpu to cuda": lambda batch: batch[torch.tensor([0, 2])],
    }
    for what, work in found.items():
        assert host_waits(work, (4, 2)) == [what]
    assert host_waits(lambda batch: batch[mask], (4, 2))
    assert (
        host_waits(lambda batch: batch + mask.to(batch, non_blocking=True)[:, None], (4, 2)) == []
    )
