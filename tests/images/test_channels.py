"""Samples of several channels, and label maps, as methods get them."""

from __future__ import annotations

import numpy as np
import pytest

from mritk import Classification, DataError, Grid, Samples, Segmentation, Subset, UsageError
from mritk.data.samples import UnreadableSamples
from mritk.images.channels import one_channel
from mritk.images.decode import Decoding, decoded, is_decoded
from mritk.images.label_maps import background_alone, require_label_maps, require_regions
from mritk.images.preprocessing import UNCHANGED, Preprocessing

RNG = np.random.default_rng(0)
NAMES = ("t1", "t1ce", "t2", "flair")
VOLUMES = RNG.integers(0, 256, (3, 4, 10, 12, 9), dtype=np.uint8)
MAPS = RNG.integers(0, 3, (3, 10, 12, 9), dtype=np.uint8)


def samples_of(arrays, channels=NAMES, spatial_dims=3, **columns) -> Samples:
    return Samples(
        **{
            "ids": [f"s{i}" for i in range(len(arrays))],
            "targets": np.arange(len(arrays)) % 2,
            "task": Classification(("a", "b")),
            "read": lambda i: arrays[i],
            "spatial_dims": spatial_dims,
            "channels": channels,
            **columns,
        }
    )


def cases(maps=MAPS, **columns) -> Samples:
    task = Segmentation(("background", "oedema", "core"))
    given = {"task": task, "targets": np.zeros(0), "read_target": lambda i: maps[i]}
    return samples_of(VOLUMES, **(given | columns))


# -- images ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("grid", [8, None, (6, 7, 8), Grid(16, "crop_or_pad")], ids=str)
def test_each_channel_is_what_it_would_be_as_a_sample_of_its_own(workspace, grid):
    together = decoded(samples_of(VOLUMES), grid, "bilinear", workspace)
    assert together.dtype == np.uint8
    for c in range(4):
        alone = samples_of([array[c] for array in VOLUMES], channels=())
        np.testing.assert_array_equal(together[:, c], decoded(alone, grid, "bilinear", workspace))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_channels_of_images_come_first_also_where_there_are_three(workspace, count):
    """(N, 3, H, W) must not be taken for colours, nor a width of 3 for channels."""
    arrays = RNG.integers(0, 256, (3, count, 16, 3), dtype=np.uint8)
    samples = samples_of(arrays, NAMES[:count], spatial_dims=2)
    np.testing.assert_array_equal(decoded(samples, None, "bilinear", workspace), arrays)


def test_floats_of_several_channels_are_kept_as_float16(workspace):
    floats = (VOLUMES / 255).astype(np.float32)
    out = decoded(samples_of(floats), None, "bilinear", workspace)
    assert out.dtype == np.float16
    np.testing.assert_allclose(out, floats, atol=5e-4)
    grey = decoded(samples_of(floats[:, 0], ()), None, "bilinear", workspace)
    assert grey.dtype == np.float32, "as ever"


def test_colour_keeps_its_channels_last_on_a_grid(workspace):
    colour = RNG.integers(0, 256, (2, 10, 14, 3), dtype=np.uint8)
    out = decoded(samples_of(colour, (), 2), Grid(12, "crop_or_pad"), "bilinear", workspace)
    assert out.shape == (2, 12, 12, 3)
    np.testing.assert_array_equal(out[:, 1:11], colour[:, :, 1:13])


def test_preprocessing_is_done_to_each_channel(workspace):
    blurred = decoded(samples_of(VOLUMES), None, "bilinear", workspace, Preprocessing(blur=1.0))
    alone = samples_of(VOLUMES[:, 2], ())
    expected = decoded(alone, None, "bilinear", workspace, Preprocessing(blur=1.0))
    np.testing.assert_array_equal(blurred[:, 2], expected)


@pytest.mark.parametrize("shape", [(3, 4, 4, 4), (4, 4, 4), (4, 4, 4, 4, 4)])
def test_arrays_without_the_named_channels_are_unreadable(workspace, shape):
    with pytest.raises(UnreadableSamples, match="with the channels t1, t1ce, t2, flair it must"):
        decoded(samples_of([np.zeros(shape, np.uint8)] * 2), 4, "bilinear", workspace)


def test_a_grid_for_images_is_refused_for_volumes(workspace):
    with pytest.raises(UsageError, match="volumes cannot be brought to this grid"):
        decoded(samples_of(VOLUMES), (8, 8), "bilinear", workspace)


def test_grids_and_the_spacing_that_they_need_are_kept_apart(workspace):
    def made(spacing, grid):
        samples = samples_of(VOLUMES, spacing=np.full((3, 3), spacing))
        found = is_decoded(samples, Decoding(grid, "bilinear", UNCHANGED), workspace)
        return found, decoded(samples, grid, "bilinear", workspace)

    (new, one), (also_new, other) = (made(mm, Grid(8, "crop_or_pad", 1.0)) for mm in (1.0, 2.0))
    assert (new, also_new) == (False, False)
    assert not np.array_equal(one, other)
    assert not made(1.0, Grid(8, "crop_or_pad"))[0]
    assert made(2.0, Grid(8, "crop_or_pad"))[0], "the spacing does not matter there"


def test_one_picture_stands_for_all_channels():
    grey = VOLUMES[0, 0]
    assert one_channel(grey, ()) is grey
    shown = one_channel(VOLUMES[0], NAMES)
    np.testing.assert_allclose(shown, VOLUMES[0].mean(0), atol=0.51)
    assert shown.dtype == np.uint8


# -- label maps ------------------------------------------------------------------------------------


def test_masks_are_in_step_with_images(workspace):
    """A map that is the image itself goes where the image goes."""
    binary = (VOLUMES > 127).astype(np.uint8)
    samples = cases(binary[:, 0], read=lambda i: binary[i] * 255)
    grid = Grid((8, 20, 9), "crop_or_pad")
    subset = Subset.of(samples, [2, 0], workspace)
    np.testing.assert_array_equal(subset.masks(grid), subset.images(grid)[:, 0] // 255)
    assert subset.masks(grid).dtype == np.uint8
    assert subset.masks(5).shape == (2, 5, 5, 5)


def test_masks_are_read_once_and_again_if_they_change(workspace):
    maps, reads = MAPS.copy(), []

    def read_target(i):
        reads.append(i)
        return maps[i]

    def masks():
        samples = cases(read_target=read_target)
        _ = samples.map_facts
        reads.clear()
        return np.array(Subset.of(samples, [0, 1, 2], workspace).masks(None))

    np.testing.assert_array_equal(masks(), maps)
    assert sorted(reads) == [0, 1, 2]
    masks()
    assert reads == [], "found by their digests"
    maps[1, 0, 0, 0] = (maps[1, 0, 0, 0] + 1) % 3
    np.testing.assert_array_equal(masks(), maps)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (MAPS.astype(np.int16), "the label map of s0 has dtype int16"),
        (MAPS[:, 0], r"of s0 has dtype uint8 and shape \(12, 9\); expected uint8 with 3 axes"),
        (MAPS + 1, "of s0 has the value 3, but the labels are 0 to 2"),
        ([MAPS[0], MAPS[1][:5], MAPS[2]], r"of s1 has shape \(5, 12, 9\)"),
    ],
    ids=["dtype", "rank", "value", "shape"],
)
def test_label_maps_that_are_none_are_refused(workspace, wrong, message):
    with pytest.raises(DataError, match=message):
        Subset.of(cases(wrong), [0, 1, 2], workspace).masks(None)


def test_label_maps_without_any_region_are_refused_and_some_are_known():
    some = [MAPS[0], np.zeros_like(MAPS[1]), MAPS[2]]
    require_regions(cases(some))
    assert background_alone(cases(some)) == ("s1",)
    with pytest.raises(DataError, match=r"all 3 label maps hold background \(0\) alone, .* of s0"):
        require_regions(cases(np.zeros_like(MAPS)))
    require_regions(samples_of(VOLUMES))


def test_a_label_map_must_have_the_shape_of_its_image():
    require_label_maps(cases(), [(10, 12, 9), (), (10, 12, 9)])
    with pytest.raises(DataError, match=r"of s1 has shape .*, but its image \(9, 12, 9\)"):
        require_label_maps(cases(), [(10, 12, 9), (9, 12, 9), ()])


def test_label_maps_that_cannot_be_read_are_listed():
    with pytest.raises(UnreadableSamples, match="1 of 3 samples are unreadable: s2 \\(label map: "):
        require_label_maps(cases(MAPS[:2]))


def test_samples_of_another_task_have_no_masks(workspace):
    with pytest.raises(UsageError, match="samples of a classification have no label maps"):
        Subset.of(samples_of(VOLUMES), [0], workspace).masks(8)
