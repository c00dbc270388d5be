"""What decoding will write is known before it begins."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mritk import Classification, Grid, Samples
from mritk.audit.image_index import image_index
from mritk.errors import StoreError
from mritk.images.decode import Decoding, decoded, is_decoded
from mritk.images.decoded_size import (
    decoded_bytes,
    require_room,
    require_room_for,
    warn_of_cropping,
)
from mritk.images.preprocessing import Preprocessing

RNG = np.random.default_rng(0)
GREY = list(RNG.integers(0, 256, (4, 20, 30), dtype=np.uint8))
COLOUR = list(RNG.integers(0, 256, (4, 20, 30, 3), dtype=np.uint8))
TRIPLED = [np.repeat(image[..., None], 3, axis=-1) for image in GREY]
FLOATS = [image / 255 for image in GREY]
VOLUMES = list(RNG.integers(0, 256, (4, 6, 8, 10), dtype=np.uint8))


@pytest.mark.parametrize("size", [None, 16])
@pytest.mark.parametrize("rule", [Preprocessing(), Preprocessing(grey=True)], ids=["", "grey"])
@pytest.mark.parametrize(
    "arrays",
    [GREY, COLOUR, TRIPLED, FLOATS, VOLUMES, [*GREY, COLOUR[0]]],
    ids=["grey", "colour", "equal channels", "float", "volume", "one in colour"],
)
def test_the_foreseen_size_is_that_of_the_array(arrays, size, rule, workspace):
    count = len(arrays)
    samples = Samples(
        ids=[f"s{i}" for i in range(count)],
        targets=np.arange(count) % 2,
        task=Classification(("a", "b")),
        read=lambda i: arrays[i],
        spatial_dims=3 if arrays is VOLUMES else 2,
    )
    index = image_index(samples, workspace)
    foreseen = decoded_bytes(index.shapes, index.modes, size, rule)
    how = Decoding(size, "bilinear", rule)
    assert not is_decoded(samples, how, workspace)
    assert foreseen == decoded(samples, size, "bilinear", workspace, rule).nbytes
    assert is_decoded(samples, how, workspace)


def test_what_cannot_be_read_takes_no_room():
    assert decoded_bytes([(), (9, 9)], ["", "grey uint8"], 4) == 16
    assert decoded_bytes([()], [""], 4) == 0


def test_what_does_not_fit_is_refused_and_what_is_large_is_told(tmp_path, caplog):
    with pytest.raises(StoreError, match=r"not enough space for .* \(20000 px\) in .* free"):
        require_room(10**18, [20000], tmp_path)
    require_room(10, [32], tmp_path)
    assert not caplog.text
    with caplog.at_level(logging.WARNING):
        require_room(200_000_000, [224, None], tmp_path)
    assert "0.2 GB of decoded images (224 px, as they are) will be written to" in caplog.text


def test_a_copy_to_scratch_needs_room_there(workspace, tmp_path, monkeypatch):
    samples = Samples(
        ids=["a", "b"],
        targets=np.arange(2),
        task=Classification(("x", "y")),
        read=lambda i: GREY[i],
    )
    how = Decoding(16, "bilinear", Preprocessing())
    decoded(samples, 16, "bilinear", workspace)
    near = replace(workspace, scratch=tmp_path / "scratch")
    disk_usage = shutil.disk_usage

    def full(path):
        return disk_usage(path)._replace(free=0)

    monkeypatch.setattr(shutil, "disk_usage", full)
    shapes = [(20, 30)] * 2, ["grey uint8"] * 2
    require_room_for(samples, [how], *shapes, workspace)
    with pytest.raises(StoreError, match=r"not enough space for .* in .*scratch.* MRITK_SCRATCH"):
        require_room_for(samples, [how], *shapes, near)
    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    decoded(samples, 16, "bilinear", near)
    monkeypatch.setattr(shutil, "disk_usage", full)
    require_room_for(samples, [how], *shapes, near)


def test_a_grid_that_cuts_off_most_of_a_sample_is_told(caplog):
    samples = Samples(
        ["a", "b"],
        np.arange(2),
        Classification(("x", "y")),
        lambda i: np.zeros((40, 40, 40), np.uint8),
        spatial_dims=3,
        spacing=np.full((2, 3), 2.0),
    )
    shapes = [(40, 40, 40), ()]
    for grid in (20, Grid(None, "crop_or_pad"), Grid(40, "crop_or_pad", 2.0)):
        warn_of_cropping(samples, shapes, grid)
    assert not caplog.text
    warn_of_cropping(samples, shapes, Grid(40, "crop_or_pad", 1.0))
    assert "a grid of 40 keeps only 12 % of a typical sample of 40×40×40" in caplog.text
    caplog.clear()
    unknown = replace(samples, spacing=None)
    warn_of_cropping(unknown, shapes, Grid(40, "crop_or_pad", 1.0))
    assert not caplog.text, "what is not known is refused elsewhere, with a name"


@pytest.mark.parametrize("side", [4, (3, 5, 6), Grid(8, "crop_or_pad")], ids=str)
def test_the_size_of_named_channels_is_foreseen(workspace, side):
    arrays = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 6, 7), np.uint8)
    for values in (arrays, (arrays / 255).astype(np.float32)):
        samples = Samples(
            ["a", "b", "c"],
            np.arange(3) % 2,
            Classification(("x", "y")),
            lambda i, values=values: values[i],
            spatial_dims=3,
            channels=("t1", "t1ce", "t2", "flair"),
        )
        index = image_index(samples, workspace)
        assert not index.unreadable
        foreseen = decoded_bytes(index.shapes, index.modes, side, named=4)
        assert foreseen == decoded(samples, side, "bilinear", workspace).nbytes
