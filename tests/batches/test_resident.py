"""Images in memory, and the batches cut from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mritk.batches.order import Shuffled
from mritk.batches.resident import ResidentImages
from mritk.images.stored_images import StoredImages

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


# -- too large for memory ----------------------------------------------------------------------

GREY = RNG.integers(0, 256, (7, 6, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)
VOLUMES = RNG.random((7, 4, 5, 6)).astype(np.float32)


class DirectLink:
    """A link to the CPU."""

    def buffer(self, shape, dtype):
        return torch.empty(tuple(shape), dtype=dtype)

    def send(self, host):
        return host.clone(), self

    def synchronize(self):
        pass


def on_disk(images, tmp_path):
    np.save(tmp_path / "images.npy", images)
    whole = np.load(tmp_path / "images.npy", mmap_mode="r")
    return StoredImages(whole, np.arange(len(images)))


@pytest.fixture(params=["disk", "link", "disk and link"])
def elsewhere(request, tmp_path):
    """Make resident images that are not where the network is."""

    def make(images, spatial_dims):
        given = on_disk(images, tmp_path) if "disk" in request.param else images
        link = DirectLink() if "link" in request.param else None
        return ResidentImages(given, spatial_dims, "cpu", link)

    return make


@pytest.mark.parametrize(
    ("images", "spatial_dims"),
    [(GREY, 2), (COLOUR, 2), (VOLUMES, 3), (VOLUMES[:, 0], 2)],
    ids=["grey", "colour", "volumes", "floats"],
)
def test_batches_are_the_same_wherever_the_images_are(elsewhere, images, spatial_dims):
    rows = [torch.tensor(chosen) for chosen in ([3, 0, 3], [6], [1, 2, 4])]
    near = list(ResidentImages(images, spatial_dims, "cpu").batches(rows))
    far = list(elsewhere(images, spatial_dims).batches(rows))
    assert len(far) == len(near) == 3
    for one, other in zip(near, far, strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride(), "or convolutions might round in another way"


def test_batches_stay_as_they_are_when_later_ones_are_made(elsewhere):
    images = elsewhere(GREY, 2)
    batches = list(images.in_order(2))
    np.testing.assert_allclose(torch.cat(batches)[:, 0].numpy(), GREY / 255, rtol=1e-6)
    batches[0].zero_()
    np.testing.assert_allclose(images.batch(torch.tensor([0]))[0, 0], GREY[0] / 255, rtol=1e-6)


def test_an_epoch_can_be_left_and_begun_again(elsewhere):
    images = elsewhere(GREY, 2)
    rows = [torch.tensor([i]) for i in range(7)]
    for _ in range(3):
        next(images.batches(rows))
    for abandoned, fresh in zip(images.batches(rows), images.batches(rows), strict=True):
        assert torch.equal(abandoned, fresh)


def test_evaluation_does_not_spoil_the_images_for_training(elsewhere):
    images = elsewhere(VOLUMES, 3)
    with torch.inference_mode():
        list(images.in_order(4))
    weight = torch.ones(1, requires_grad=True)
    for batch in images.in_order(4):
        (batch * weight).sum().backward()
    np.testing.assert_allclose(weight.grad, VOLUMES.sum(), rtol=1e-5)


def test_one_line_tells_where_images_are_that_do_not_fit(elsewhere, caplog):
    with caplog.at_level("INFO", logger="mritk"):
        images = elsewhere(GREY, 2)
        list(images.in_order(2))
    (record,) = caplog.records
    assert "7 images take 0.0 GiB and do not fit on cpu" in record.getMessage()
    caplog.clear()
    with caplog.at_level("INFO", logger="mritk"):
        ResidentImages(GREY, 2, "cpu")
    assert not caplog.records


def test_no_batches_of_no_images():
    empty = ResidentImages(GREY[:0], 2, "cpu")
    assert list(empty.in_order(4)) == []
    assert list(empty.batches([])) == []
    assert empty.batch(torch.tensor([], dtype=torch.int64)).shape == (0, 1, 6, 5)


@pytest.mark.gpu
@pytest.mark.parametrize("share", [0.0, 0.4], ids=["sent batch by batch", "on the device"])
def test_a_gpu_gets_the_batches_that_a_cpu_gets(tmp_path, monkeypatch, share):
    monkeypatch.setattr("mritk.batches.resident.MEMORY_SHARE", share)
    images = RNG.integers(0, 256, (300, 32, 32), dtype=np.uint8)
    rows = Shuffled(300, 16, 0).batches(1)
    near = list(ResidentImages(images, 2, "cpu").batches(rows))
    for given in (images, on_disk(images, tmp_path)):
        far = ResidentImages(given, 2, "cuda:0")
        assert bool(far.nbytes) == bool(share)
        for one, other in zip(near, far.batches(rows), strict=True):
            assert other.device.type == "cuda"
            torch.testing.assert_close(one, other.cpu(), rtol=0, atol=1e-7)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16])
@pytest.mark.parametrize("spatial", [(5, 3), (4, 5, 3)])
def test_channels_that_come_first_stay_first(spatial, dtype):
    """Also with a last axis of 3, which could be mistaken for colours."""
    raw = RNG.integers(0, 256, (7, 4, *spatial), dtype=np.uint8)
    images = raw if dtype is np.uint8 else (raw / 255).astype(dtype)
    resident = ResidentImages(images, len(spatial), "cpu", channels_first=True)
    batch = torch.cat(list(resident.in_order(3)))
    assert batch.dtype == torch.float32
    torch.testing.assert_close(batch, torch.from_numpy(raw).float() / 255, atol=5e-4, rtol=0)
