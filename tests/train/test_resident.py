"""Images in memory, and the batches cut from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mritk.train.resident import ResidentImages, shuffled

RNG = np.random.default_rng(0)


def all_of(images, spatial_dims, batch_size=3):
    return torch.cat(list(ResidentImages(images, spatial_dims, "cpu").in_order(batch_size)))


def test_grey_images_get_one_channel_and_the_range_0_to_1():
    images = RNG.integers(0, 256, (5, 6, 7), dtype=np.uint8)
    batch = all_of(images, 2)
    assert batch.shape == (5, 1, 6, 7)
    assert batch.dtype == torch.float32
    np.testing.assert_allclose(batch[:, 0].numpy(), images / 255, rtol=1e-6)


def test_colour_moves_from_the_last_axis_to_the_second():
    images = RNG.integers(0, 256, (5, 6, 7, 3), dtype=np.uint8)
    batch = all_of(images, 2)
    assert batch.shape == (5, 3, 6, 7)
    np.testing.assert_allclose(batch.movedim(1, -1).numpy(), images / 255, rtol=1e-6)


def test_volumes_are_not_mistaken_for_colour():
    images = RNG.integers(0, 256, (4, 5, 6, 3), dtype=np.uint8)
    batch = all_of(images, 3)
    assert batch.shape == (4, 1, 5, 6, 3)
    np.testing.assert_allclose(batch[:, 0].numpy(), images / 255, rtol=1e-6)


def test_floats_are_delivered_as_they_are():
    images = RNG.random((4, 5, 6)).astype(np.float32)
    np.testing.assert_array_equal(all_of(images, 2)[:, 0].numpy(), images)


def test_a_batch_is_a_copy():
    resident = ResidentImages(np.ones((3, 2, 2), dtype=np.float32), 2, "cpu")
    resident.batch(torch.tensor([0, 1])).zero_()
    assert bool((resident.batch(torch.tensor([0, 1])) == 1).all())


def test_a_batch_has_its_rows_in_the_order_asked_for():
    images = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((1, 2, 2), dtype=np.uint8)
    batch = ResidentImages(images, 2, "cpu").batch(torch.tensor([3, 0, 3]))
    np.testing.assert_allclose(batch[:, 0, 0, 0].numpy() * 255, [3, 0, 3], rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_in_order_yields_every_image_once_whatever_the_batch_size(batch_size):
    images = RNG.random((5, 2, 2)).astype(np.float32)
    np.testing.assert_array_equal(all_of(images, 2, batch_size)[:, 0].numpy(), images)
    assert len(ResidentImages(images, 2, "cpu")) == 5


# -- order -------------------------------------------------------------------------------------


def rows(*arguments):
    return torch.cat(shuffled(*arguments)).tolist()


def test_an_epoch_holds_every_row_once():
    assert sorted(rows(12, 4, 0, 1)) == list(range(12))


def test_the_order_is_a_function_of_seed_and_epoch():
    first = rows(50, 10, 3, 7)
    torch.manual_seed(1)
    assert rows(50, 10, 3, 7) == first
    assert rows(50, 10, 3, 8) != first
    assert rows(50, 10, 4, 7) != first


def test_drawing_an_order_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    shuffled(50, 10, 0, 0)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_incomplete_batch_is_left_out_but_its_rows_come_in_other_epochs():
    batches = shuffled(11, 4, 0, 1)
    assert [len(batch) for batch in batches] == [4, 4]
    seen = {row for epoch in range(20) for row in rows(11, 4, 0, epoch)}
    assert seen == set(range(11))


@pytest.mark.parametrize(("count", "sizes"), [(8, [4, 4]), (4, [4]), (3, [3]), (1, [1]), (5, [4])])
def test_sizes_of_batches(count, sizes):
    assert [len(batch) for batch in shuffled(count, 4, 0, 0)] == sizes
