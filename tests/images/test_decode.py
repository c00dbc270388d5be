"""Decode once: every sample resized, in one array on disk that trials share."""

from __future__ import annotations

import contextlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from mritk import Classification, DataError, Samples
from mritk.data.samples import UnreadableSamples
from mritk.images.decode import decoded

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (3, 37, 53), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (3, 37, 53, 3), dtype=np.uint8)


def samples_of(arrays, **changes) -> Samples:
    count = len(arrays)
    return Samples(
        **{
            "ids": [f"s{i}" for i in range(count)],
            "targets": np.arange(count) % 2,
            "task": Classification(("a", "b")),
            "read": lambda i: arrays[i],
            **changes,
        }
    )


def files(workspace):
    return sorted(path.name for path in workspace.folder("decoded").iterdir())


@pytest.mark.parametrize("side", [16, 100])
@pytest.mark.parametrize("name", ["bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("arrays", [GREY, COLOUR], ids=["grey", "colour"])
def test_images_are_resized_to_a_square_exactly_as_pillow_does(workspace, arrays, name, side):
    resample = Image.Resampling[name.upper()]
    expected = [Image.fromarray(a).resize((side, side), resample) for a in arrays]
    out = decoded(samples_of(arrays), side, name, workspace)
    assert out.dtype == np.uint8
    np.testing.assert_array_equal(out, np.stack([np.asarray(image) for image in expected]))


@pytest.mark.parametrize("name", ["bilinear", "bicubic"])
def test_shrinking_is_antialiased(workspace, name):
    """A chessboard shrinks to an even grey; without antialiasing it would stay black and white."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    out = decoded(samples_of([board]), 8, name, workspace)[0].astype(int)
    assert np.abs(out - 127.5).max() <= 2


def test_an_image_of_the_right_size_is_kept_as_it_is(workspace):
    square = GREY[:, :32, :32]
    np.testing.assert_array_equal(decoded(samples_of(square), 32, "bicubic", workspace), square)


def test_grey_images_in_three_channels_are_stored_with_one(workspace):
    tripled = np.repeat(GREY[..., None], 3, axis=-1)
    out = decoded(samples_of(tripled), None, "bilinear", workspace)
    np.testing.assert_array_equal(out, GREY)


def test_one_coloured_image_makes_all_images_three_channels(workspace):
    arrays = [GREY[0], GREY[1], COLOUR[2]]
    out = decoded(samples_of(arrays), None, "bilinear", workspace)
    assert out.shape == (3, 37, 53, 3)
    np.testing.assert_array_equal(out[2], COLOUR[2])
    for channel in range(3):
        np.testing.assert_array_equal(out[1, ..., channel], GREY[1])


def test_float_images_stay_float32_and_are_resized_channel_by_channel(workspace):
    arrays = COLOUR.astype(np.float64) / 255
    out = decoded(samples_of(arrays), 20, "bilinear", workspace)
    assert (out.dtype, out.shape) == (np.float32, (3, 20, 20, 3))
    plane = Image.fromarray(arrays[1, ..., 2].astype(np.float32))
    expected = np.asarray(plane.resize((20, 20), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(out[1, ..., 2], expected)


def test_resizing_keeps_floats_between_0_and_1(workspace):
    """Bicubic interpolation swings over an edge; integers are clipped, floats must be too."""
    edge = np.zeros((8, 8), np.float32)
    edge[:, 4:] = 1
    out = decoded(samples_of([edge]), 32, "bicubic", workspace)
    assert 0 <= out.min() <= out.max() <= 1


@pytest.mark.parametrize(
    "array",
    [np.full((4, 4), 200.0), np.full((4, 4), 60000, np.uint16), np.full((4, 4), -1.0)],
    ids=["float of 0 to 255", "uint16", "negative"],
)
def test_values_outside_0_to_1_that_are_not_uint8_are_refused(workspace, array):
    with pytest.raises(DataError):
        decoded(samples_of([array, array]), None, "bilinear", workspace)


def test_uint8_and_float_samples_in_one_dataset_are_never_truncated(workspace):
    arrays = [np.full((4, 4), 7, np.uint8), np.full((4, 4), 0.5, np.float32)]
    with pytest.raises(DataError):
        decoded(samples_of(arrays), None, "bilinear", workspace)


def volumes_of(arrays) -> Samples:
    return samples_of(arrays, spatial_dims=3)


def test_volumes_are_resized_to_a_cube(workspace):
    volume = RNG.integers(0, 256, (10, 12, 14), dtype=np.uint8)
    out = decoded(volumes_of([volume]), 6, "bilinear", workspace)
    assert (out.shape, out.dtype) == ((1, 6, 6, 6), np.uint8)
    assert abs(float(out.mean()) - float(volume.mean())) < 4


def test_volumes_grow_by_linear_interpolation_between_centres_of_voxels(workspace):
    """Centres of 4 voxels over 2 lie at -1/4, 1/4, 3/4 and 5/4 of the old grid."""
    volume = np.zeros((2, 2, 2), np.float32)
    volume[1] = 1
    out = decoded(volumes_of([volume]), 4, "bilinear", workspace)[0]
    np.testing.assert_allclose(out[:, 0, 0], [0, 0.25, 0.75, 1], atol=1e-6)
    np.testing.assert_allclose(out, np.broadcast_to(out[:, :1, :1], (4, 4, 4)), atol=1e-6)


def test_shrinking_a_volume_keeps_a_ramp_and_smooths_a_chessboard(workspace):
    ramp = np.broadcast_to(np.arange(24, dtype=np.float32)[:, None, None] / 24, (24, 24, 24))
    board = (np.indices((24, 24, 24)).sum(axis=0) % 2).astype(np.float32)
    out = decoded(volumes_of([ramp, board]), 8, "bilinear", workspace)
    centres = (np.arange(8) * 3 + 1) / 24
    np.testing.assert_allclose(out[0, 2:-2, 4, 4], centres[2:-2], atol=1e-5)
    assert np.abs(out[1, 2:-2, 2:-2, 2:-2] - 0.5).max() < 0.05


def test_a_volume_of_floats_stays_float32_at_its_native_size(workspace):
    volume = RNG.random((4, 5, 6))
    out = decoded(volumes_of([volume]), None, "bilinear", workspace)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out[0], volume.astype(np.float32))


@pytest.mark.parametrize("size", [None, 8])
def test_nan_and_infinity_are_refused(workspace, size):
    good, nan, infinite = (np.full((4, 4), value) for value in (0.5, np.nan, np.inf))
    with pytest.raises(
        UnreadableSamples, match=r"s1, s2 \(contains NaN or infinite values\)"
    ) as caught:
        decoded(samples_of([good, nan, infinite]), size, "bilinear", workspace)
    assert caught.value.rows == (1, 2)


def test_unreadable_samples_are_listed_with_their_reasons(workspace):
    def read(i):
        if i == 1:
            raise OSError("broken\n  stream")
        return np.zeros((4, 4, 4), np.uint8) if i == 3 else GREY[0]

    samples = samples_of([None] * 5, read=read, digest=str)
    with pytest.raises(UnreadableSamples) as caught:
        decoded(samples, 8, "bilinear", workspace)
    assert caught.value.rows == (1, 3)
    assert caught.value.reasons[0] == "broken stream"
    message = str(caught.value)
    assert message.startswith("2 of 5 samples are unreadable: s1 (broken stream); s3 (")
    assert "(4, 4, 4)" in message
    assert "--skip-unreadable" in message
    assert "\n" not in message
    assert files(workspace) == []


def test_samples_that_are_unreadable_for_one_reason_are_listed_with_it_once():
    ids = [f"s{i}" for i in range(30)]
    reasons = ["a series", "torn"] + ["a series"] * 23
    message = str(UnreadableSamples(ids, dict(enumerate(reasons))))
    assert message.startswith(
        "25 of 30 samples are unreadable: s0, s2, s3 and 21 more (a series); s1 (torn); repair"
    )
    message = str(UnreadableSamples(ids, {i: f"reason {i}" for i in range(25)}))
    assert "s19 (reason 19); and 5 more; repair" in message


def test_a_long_list_of_unreadable_samples_is_cut(workspace):
    def read(i):
        raise OSError("no")

    samples = samples_of([None] * 30, read=read, digest=str)
    with pytest.raises(UnreadableSamples, match=r"s0, s1, s2 and 27 more \(no\)") as caught:
        decoded(samples, 8, "bilinear", workspace)
    assert len(caught.value.rows) == 30


@pytest.mark.parametrize("shape", [(4, 4, 1), (4, 4, 4), (4,), (2, 4, 4, 3)], ids=str)
def test_an_array_that_is_no_image_is_refused(workspace, shape):
    with pytest.raises(UnreadableSamples, match="an image must be"):
        decoded(samples_of([np.zeros(shape, np.uint8)]), 8, "bilinear", workspace)


def test_an_array_that_is_no_volume_is_refused(workspace):
    with pytest.raises(UnreadableSamples, match="a volume must have 3 dimensions"):
        decoded(volumes_of([np.zeros((4, 4), np.uint8)]), 8, "bilinear", workspace)


def test_samples_without_a_grid_are_refused(workspace):
    with pytest.raises(DataError, match="are not images"):
        decoded(samples_of([np.zeros(3)], spatial_dims=None), 8, "bilinear", workspace)


def test_native_size_needs_one_shape(workspace):
    arrays = [GREY[0], GREY[1][:30]]
    with pytest.raises(DataError, match=r"sample s1 has shape \(30, 53\).*image_size"):
        decoded(samples_of(arrays), None, "bilinear", workspace)
    assert files(workspace) == []
    assert decoded(samples_of(arrays), 8, "bilinear", workspace).shape == (2, 8, 8)


def test_an_unknown_interpolation_is_named_and_the_samples_are_not_blamed(workspace):
    with pytest.raises(Exception, match="lanczos") as caught:
        decoded(samples_of(GREY), 8, "lanczos", workspace)
    assert not isinstance(caught.value, UnreadableSamples)


def test_an_empty_dataset_is_an_empty_array_or_an_error_for_a_person(workspace):
    with contextlib.suppress(DataError):
        assert len(decoded(samples_of([]), 8, "bilinear", workspace)) == 0


def test_a_second_call_reads_no_sample(workspace):
    reads = Counter()

    def read(i):
        reads[i] += 1
        return GREY[i]

    def opened():
        return samples_of(GREY, read=read, digest=lambda i: f"content {i}")

    first = np.array(decoded(opened(), 16, "bilinear", workspace))
    assert reads == {0: 1, 1: 1, 2: 1}
    second = decoded(opened(), 16, "bilinear", workspace)
    assert reads.total() == 3
    np.testing.assert_array_equal(first, second)
    decoded(opened(), 20, "bilinear", workspace)
    decoded(opened(), 16, "bicubic", workspace)
    assert reads.total() == 9, "another size or interpolation is another array"
    assert len(files(workspace)) == 3


def test_the_array_is_mapped_from_disk_and_cannot_be_written(workspace):
    out = decoded(samples_of(GREY), 16, "bilinear", workspace)
    assert isinstance(out, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        out[0, 0, 0] = 1


def test_changed_content_is_decoded_anew(workspace):
    before = np.array(decoded(samples_of(GREY), None, "bilinear", workspace))
    changed = GREY.copy()
    changed[1, 0, 0] ^= 1
    after = decoded(samples_of(changed), None, "bilinear", workspace)
    np.testing.assert_array_equal(before, GREY)
    np.testing.assert_array_equal(after, changed)


def test_rows_come_in_the_order_of_the_samples_that_ask(workspace):
    samples = samples_of(GREY)
    decoded(samples, None, "bilinear", workspace)
    turned = samples.only([2, 0, 1])
    np.testing.assert_array_equal(decoded(turned, None, "bilinear", workspace), GREY[[2, 0, 1]])


def test_interrupted_writing_leaves_nothing_behind(workspace):
    arrays = [*GREY] * 100  # more than one block

    def interrupted(i):
        if i == 299:
            raise KeyboardInterrupt
        return arrays[i]

    digest = "content {}".format
    with pytest.raises(KeyboardInterrupt):
        decoded(samples_of(arrays, read=interrupted, digest=digest), 8, "bilinear", workspace)
    assert files(workspace) == []
    out = decoded(samples_of(arrays, digest=digest), None, "bilinear", workspace)
    np.testing.assert_array_equal(out, np.stack(arrays))


def test_a_half_written_file_of_a_killed_process_is_never_used(workspace):
    decoded(samples_of(GREY), 16, "bilinear", workspace)
    (name,) = files(workspace)
    path = workspace.folder("decoded") / name
    half = path.rename(path.with_name(f".{name}.tmp"))
    content = (half / "images.npy").read_bytes()
    (half / "images.npy").write_bytes(content[: len(content) // 2] + b"\0" * 99)
    out = decoded(samples_of(GREY), 16, "bilinear", workspace)
    assert (path / "images.npy").read_bytes() == content
    assert out.shape == (3, 16, 16)


def test_two_writers_of_one_array_do_not_disturb_each_other(workspace, monkeypatch):
    """Two containers that share a home often have the same process id, and may have no locks."""
    monkeypatch.setattr("mritk.files.kept.locked", lambda *_: contextlib.nullcontext())
    digest = "content {}".format

    def read_while_another_decodes(i):
        if i == 1:
            decoded(samples_of(GREY, digest=digest), None, "bilinear", workspace)
        return GREY[i]

    samples = samples_of(GREY, read=read_while_another_decodes, digest=digest)
    np.testing.assert_array_equal(decoded(samples, None, "bilinear", workspace), GREY)
    assert len(files(workspace)) == 1


@pytest.mark.parametrize("damage", ["gone", "cut", "one bit", "a page of zeros"])
def test_a_damaged_array_is_decoded_again(make_samples, workspace, damage, caplog):
    samples = make_samples()
    expected = decoded(samples, 8, "bilinear", workspace).copy()
    (path,) = workspace.folder("decoded").rglob("*.npy")
    content = bytearray(path.read_bytes())
    if damage == "one bit":
        content[-100] ^= 1
    elif damage == "a page of zeros":
        content[200:1224] = bytes(1024)
    path.unlink()
    if damage != "gone":
        path.write_bytes(content[:300] if damage == "cut" else content)
    np.testing.assert_array_equal(decoded(samples, 8, "bilinear", workspace), expected)
    assert "are damaged and will be recreated" in caplog.text
