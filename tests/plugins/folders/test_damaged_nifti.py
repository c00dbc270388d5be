"""NIfTI files that are damaged, hostile or no volume: refused in one line, and in little memory."""

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
from tests.plugins.folders.conftest import VOLUME

# Where the fields of a NIfTI-1 header are.
DIM, DATATYPE, SLOPE, MAGIC = 40, 70, 112, 344


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


@pytest.mark.slow
def test_zeros_that_are_no_volume_are_not_unpacked(tmp_path, peak):
    assert peak(packed_zeros(tmp_path / "v.nii.gz", b"", 100 << 20), "not a NIfTI") < 4 << 20


@pytest.mark.slow
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
