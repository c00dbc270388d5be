"""NIfTI files of every kind: orientation, intensities, damage."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from mritk import DataError
from mritk_folders.nifti import read_volume
from mritk_folders.tree import read_tree
from tests.plugins.folders.conftest import ORIENTATIONS, VOLUME

# Where the fields of a NIfTI-1 header are.
DIM, DATATYPE, SLOPE, MAGIC = 40, 70, 112, 344


def scaled(values):
    """The rule, said another way."""
    values = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(values[values != 0], [0.5, 99.5])
    return np.interp(values, [low, high], [0, 255])


@pytest.fixture
def patched(tmp_path, write_nifti):
    """Write a good file, and other bytes over some of its header."""

    def patch(offset, *values, form):
        path = write_nifti(tmp_path / "v.nii", VOLUME)
        content = bytearray(path.read_bytes())
        new = struct.pack(f"<{len(values)}{form}", *values)
        content[offset : offset + len(new)] = new
        path.write_bytes(content)
        return path

    return patch


# -- orientation -------------------------------------------------------------------------------


def test_there_are_48_orientations():
    assert len(set(ORIENTATIONS)) == 48


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_every_orientation_gives_the_same_volume(tmp_path, write_nifti, codes):
    volume = read_volume(write_nifti(tmp_path / "v.nii.gz", VOLUME, codes))
    assert volume.dtype == np.uint8
    np.testing.assert_allclose(volume, scaled(VOLUME), atol=0.51)


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR"])
def test_an_oblique_scan_goes_to_its_closest_axes_without_resampling(tmp_path, write_nifti, codes):
    angle = np.deg2rad(20)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    volume = read_volume(write_nifti(tmp_path / "v.nii", VOLUME, codes, turn=turn))
    np.testing.assert_allclose(volume, scaled(VOLUME), atol=0.51)


@pytest.mark.parametrize(
    ("world", "voxel"),
    [
        ((0, 0, 9), (-1, 1, 1)),  # a lesion at the vertex is in the last slice
        ((0, 9, 0), (1, 0, 1)),  # at the forehead: in the upper row
        ((-9, 0, 0), (1, 1, -1)),  # on the patient's left: on the right of the image
    ],
)
def test_slices_look_as_radiologists_see_them(tmp_path, world, voxel):
    """Written without the writer of these tests, by world coordinates in mm alone."""
    affine = nib.affines.from_matvec(np.diag([-9, -9, 9]), [9, 9, -9])  # stored as LPS, 9 mm
    stored = np.ones((3, 3, 3), dtype=np.float32)
    index = np.linalg.inv(affine) @ (*world, 1)
    stored[tuple(np.rint(index[:3]).astype(int))] = 50
    nib.save(nib.Nifti1Image(stored, affine), tmp_path / "v.nii")
    volume = read_volume(tmp_path / "v.nii")
    assert volume[voxel] == 255
    assert np.count_nonzero(volume) == 1


def test_a_file_without_orientation_is_taken_as_nibabel_takes_it(tmp_path):
    image = nib.Nifti1Image(VOLUME, None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    nib.save(image, tmp_path / "v.nii")
    expected = scaled(VOLUME).transpose(2, 1, 0)[:, ::-1]  # first axis to the left already
    np.testing.assert_allclose(read_volume(tmp_path / "v.nii"), expected, atol=0.51)


# -- intensities -------------------------------------------------------------------------------


def test_the_files_own_slope_and_intercept_count(tmp_path, write_nifti):
    """A negative slope turns the order of the values, so that ignoring it would show."""
    path = write_nifti(tmp_path / "v.nii", VOLUME, slope=-0.5, inter=700.0)
    np.testing.assert_allclose(read_volume(path), scaled(700 - 0.5 * VOLUME), atol=0.51)


def test_zero_voxels_do_not_count_in_the_percentiles(tmp_path, write_nifti):
    padded = np.pad(VOLUME, 6)
    inner = read_volume(write_nifti(tmp_path / "p.nii", padded))[6:-6, 6:-6, 6:-6]
    np.testing.assert_array_equal(inner, read_volume(write_nifti(tmp_path / "v.nii", VOLUME)))


def test_one_bright_voxel_does_not_darken_the_rest(tmp_path, write_nifti):
    volume = np.random.default_rng(1).integers(100, 200, (12, 12, 12)).astype(np.int16)
    before = read_volume(write_nifti(tmp_path / "v.nii", volume))
    volume[0, 0, 0] = 30000
    after = read_volume(write_nifti(tmp_path / "s.nii", volume))
    assert after[0, 0, 0] == 255
    assert np.abs(after.astype(int) - before)[1:].max() <= 3


def test_a_mask_is_black_and_white(tmp_path, write_nifti):
    mask = (VOLUME > 500).astype(np.uint8)
    np.testing.assert_array_equal(read_volume(write_nifti(tmp_path / "m.nii", mask)), mask * 255)


def test_voxels_that_are_no_numbers_are_background(tmp_path, write_nifti):
    values = VOLUME.astype(np.float32)
    values[0], values[1, 0, 0] = np.nan, np.inf
    holes = np.where(np.isfinite(values), values, 0)
    volume = read_volume(write_nifti(tmp_path / "v.nii", values))
    np.testing.assert_allclose(volume, scaled(holes), atol=0.51)


def test_how_much_of_a_file_is_no_number_is_known(tmp_path, write_nifti):
    values = VOLUME.astype(np.float32)
    values[0], values[1, 0, 0] = np.nan, np.inf
    write_nifti(tmp_path / "a" / "1.nii", values)
    write_nifti(tmp_path / "b" / "2.nii.gz", VOLUME)
    samples = read_tree(tmp_path)
    assert samples.holes(0) == pytest.approx(1 - np.isfinite(values).mean())
    assert samples.holes(1) == 0
    samples.read(1)
    assert samples.only([1, 0]).holes(1) == samples.holes(0)
    assert read_tree(tmp_path, slices=1).holes(0) == samples.holes(0)
    assert read_tree(tmp_path, frames=1).holes(0) == samples.holes(0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32, np.float64, ">i2"])
def test_every_numeric_type_is_read(tmp_path, write_nifti, dtype):
    values = (VOLUME // 4).astype(dtype)
    volume = read_volume(write_nifti(tmp_path / "v.nii.gz", values))
    np.testing.assert_allclose(volume, scaled(VOLUME // 4), atol=0.51)


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.float64])
@pytest.mark.parametrize("kind", [nib.Nifti1Image, nib.Nifti2Image])
def test_the_order_of_bytes_does_not_count(tmp_path, dtype, kind):
    image = kind(VOLUME.astype(dtype), np.eye(4), kind.header_class(endianness=">"))
    image.set_data_dtype(dtype)
    nib.save(image, tmp_path / "v.nii.gz")
    nib.save(nib.Nifti1Image(VOLUME, np.eye(4)), tmp_path / "w.nii")
    assert gzip.decompress((tmp_path / "v.nii.gz").read_bytes())[:2] == b"\0\0"
    np.testing.assert_array_equal(
        read_volume(tmp_path / "v.nii.gz"), read_volume(tmp_path / "w.nii")
    )


def test_nifti_2_is_read(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "v.nii", VOLUME, kind=nib.Nifti2Image)
    np.testing.assert_allclose(read_volume(path), scaled(VOLUME), atol=0.51)


def test_trailing_axes_of_length_1_are_dropped(tmp_path):
    nib.save(nib.Nifti1Image(VOLUME[..., None, None], np.eye(4)), tmp_path / "v.nii")
    assert read_volume(tmp_path / "v.nii").shape == (6, 5, 4)


def test_a_single_slice_keeps_its_axis(tmp_path):
    nib.save(nib.Nifti1Image(VOLUME[..., :1], np.eye(4)), tmp_path / "v.nii")
    assert read_volume(tmp_path / "v.nii").shape == (1, 5, 4)


# -- trouble -----------------------------------------------------------------------------------


def test_a_series_of_volumes_is_refused_and_not_cut_to_the_first(tmp_path):
    nib.save(nib.Nifti1Image(np.zeros((3, 4, 5, 7), np.int16), np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(DataError, match=r"\(3, 4, 5, 7\).*series"):
        read_volume(tmp_path / "v.nii")


def test_a_flat_file_is_refused(tmp_path):
    nib.save(nib.Nifti1Image(VOLUME[0], np.eye(4)), tmp_path / "v.nii")
    with pytest.raises(DataError, match="three axes"):
        read_volume(tmp_path / "v.nii")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_but_nan_or_infinity_is_refused(tmp_path, write_nifti, value):
    path = write_nifti(tmp_path / "v.nii", np.full((3, 3, 3), value, np.float32))
    with pytest.raises(DataError, match="NaN"):
        read_volume(path)


@pytest.mark.parametrize("value", [0, 7])
def test_a_volume_of_one_value_is_refused(tmp_path, write_nifti, value):
    path = write_nifti(tmp_path / "v.nii", np.full((3, 3, 3), value, np.int16))
    with pytest.raises(DataError, match=f"every voxel is {value}"):
        read_volume(path)


@pytest.mark.parametrize("kept", [0, 10, 100, 352, 450])
def test_a_truncated_file(tmp_path, write_nifti, kept):
    path = write_nifti(tmp_path / "v.nii", VOLUME)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(DataError, match="empty" if not kept else "not a NIfTI|truncated"):
        read_volume(path)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.99])
def test_a_truncated_compressed_file(tmp_path, write_nifti, share):
    path = write_nifti(tmp_path / "v.nii.gz", np.random.default_rng(2).normal(size=(9, 9, 9)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match="gzip"):
        read_volume(path)


def test_one_damaged_byte_of_compressed_data_is_noticed(tmp_path):
    """Stored without compression, only the checksum can tell."""
    content = nib.Nifti1Image(VOLUME, np.eye(4)).to_bytes()
    stored = bytearray(gzip.compress(content, compresslevel=0))
    stored[-40] ^= 1
    (tmp_path / "v.nii.gz").write_bytes(stored)
    with pytest.raises(DataError, match="CRC"):
        read_volume(tmp_path / "v.nii.gz")


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("content", [b"<html>" * 300, b"\x1f\x8b" + b"x" * 50, b"/annex/objects/x"])
def test_a_file_that_is_no_nifti(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError):
        read_volume(tmp_path / name)


def test_a_compressed_file_is_known_by_its_content_and_not_its_name(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "v.nii.gz", VOLUME)
    np.testing.assert_array_equal(
        read_volume(path.rename(tmp_path / "v.nii")),
        read_volume(write_nifti(tmp_path / "w.nii", VOLUME)),
    )


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError):
        read_volume(tmp_path / "none.nii")


def test_half_of_a_pair_is_refused(patched):
    with pytest.raises(DataError, match=r"\.hdr/\.img pair"):
        read_volume(patched(MAGIC, *b"ni1\0", form="B"))


@pytest.mark.parametrize(
    ("offset", "values", "form", "reason"),
    [
        (DIM, (3, -3, 4, 5), "h", "three axes|-3"),
        (DIM, (3, 0, 4, 5), "h", "three axes"),
        (DIM, (3, 30000, 30000, 30000), "h", "bytes of 54"),
        (DATATYPE, (999,), "h", "999"),
        (DATATYPE, (128,), "h", "integer and real values"),
        (DATATYPE, (32,), "h", "integer and real values"),
        (SLOPE, (1.0, float("inf")), "f", "inter.* inf|[Ii]ntercept"),
        (280, (float("nan"),) * 4, "f", "orientation"),
        (280, (0.0,) * 4, "f", "orientation"),
    ],
)
def test_a_header_of_nonsense(patched, offset, values, form, reason):
    with pytest.raises(DataError, match=reason):
        read_volume(patched(offset, *values, form=form))


# -- hostile files -----------------------------------------------------------------------------


def packed_zeros(path, header, size):
    """Write a gzip file of a header and ``size`` zeros."""
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(header)
        for _ in range(size >> 20):
            stream.write(bytes(1 << 20))
    return path


def header_of(shape, offset=352):
    header = nib.Nifti1Header()
    header.set_data_shape(shape)
    header.set_data_dtype(np.int16)
    header["magic"], header["vox_offset"] = b"n+1", offset
    return header.binaryblock + bytes(4)


@pytest.fixture
def peak():
    """Return the most memory in bytes that Python and numpy take in a call that is refused."""

    def measure(path, reason):
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match=reason):
                read_volume(path)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


def test_zeros_that_are_no_volume_are_not_unpacked(tmp_path, peak):
    assert peak(packed_zeros(tmp_path / "v.nii.gz", b"", 100 << 20), "not a NIfTI") < 4 << 20


def test_data_behind_the_volume_are_not_unpacked_without_end(tmp_path, peak):
    path = packed_zeros(tmp_path / "v.nii.gz", header_of((4, 5, 6)), 100 << 20)
    assert peak(path, "more data than stated in its header") < 8 << 20


def test_data_that_begin_far_away_are_not_looked_for(tmp_path, peak):
    path = packed_zeros(tmp_path / "v.nii.gz", header_of((4, 5, 6), offset=2.0**33), 1 << 20)
    assert peak(path, "inconsistent with the header") < 4 << 20


def test_a_volume_that_memory_cannot_hold_is_refused_before_it_is_unpacked(tmp_path, peak):
    path = packed_zeros(tmp_path / "v.nii.gz", header_of((30000, 30000, 30000)), 1 << 20)
    assert peak(path, r"needs \d+\.\d GB of memory.* are free") < 4 << 20


@pytest.mark.slow
def test_reading_takes_little_more_than_twice_the_memory_of_the_volume(tmp_path, write_nifti):
    volume = np.random.default_rng(0).integers(1, 1000, (64, 256, 256)).astype(np.int16)
    path = write_nifti(tmp_path / "v.nii", volume)
    tracemalloc.start()
    read_volume(path)
    assert tracemalloc.get_traced_memory()[1] < 2.5 * volume.nbytes + (40 << 20)
    tracemalloc.stop()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "v.nii")
    with pytest.raises(DataError, match="not a regular file"):
        read_volume(tmp_path / "v.nii")
