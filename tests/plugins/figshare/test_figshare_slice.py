"""One ``.mat`` file: label, patient, and the image as MATLAB shows it."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from mritk import DataError
from mritk_figshare.cjdata import SliceHeader, read_header, read_slice


def test_a_file_tells_label_and_patient(tmp_path, write_slice):
    path = write_slice(tmp_path / "1.mat", label=3, patient="MR017260F")
    assert read_header(path) == SliceHeader(3, "MR017260F")


def test_an_image_comes_back_as_matlab_shows_it_and_not_transposed(tmp_path, write_slice):
    """A wide image, dark but for its top right corner: row 0, last column."""
    image = np.zeros((4, 7), dtype=np.int16)
    image[0, 6] = 1000
    image[3, 0] = 500
    path = write_slice(tmp_path / "1.mat", image)
    with h5py.File(path) as file:
        assert file["cjdata/image"].shape == (7, 4), "HDF5 sees columns as rows"
    shown = read_slice(path)
    assert shown.shape == (4, 7)
    assert shown.dtype == np.uint8
    assert (shown[0, 6], shown[3, 0]) == (255, 128)
    assert np.count_nonzero(shown) == 2


@pytest.mark.parametrize("userblock", [True, False], ids=["as MATLAB", "as h5py"])
def test_a_file_is_read_with_and_without_the_512_bytes_that_matlab_puts_first(
    tmp_path, write_slice, userblock
):
    path = write_slice(tmp_path / "1.mat", userblock=userblock)
    assert path.read_bytes().startswith(b"MATLAB 7.3" if userblock else b"\x89HDF")
    assert read_header(path).patient == "100360"
    assert read_slice(path).max() == 255


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint8, np.float64])
def test_a_slice_is_scaled_from_its_own_minimum_to_its_own_maximum(tmp_path, write_slice, dtype):
    image = np.array([[5, 15], [55, 205]], dtype=dtype)
    expected = np.rint((image.astype(float) - 5) / 200 * 255)
    np.testing.assert_array_equal(read_slice(write_slice(tmp_path / "1.mat", image)), expected)


def test_the_whole_range_of_int16_does_not_overflow(tmp_path, write_slice):
    image = np.array([[-32768, 0], [1, 32767]], dtype=np.int16)
    shown = read_slice(write_slice(tmp_path / "1.mat", image))
    np.testing.assert_array_equal(shown, [[0, 128], [128, 255]])


def test_a_constant_slice_is_black(tmp_path, write_slice):
    path = write_slice(tmp_path / "1.mat", np.full((3, 4), 777, dtype=np.int16))
    np.testing.assert_array_equal(read_slice(path), np.zeros((3, 4)))


@pytest.mark.parametrize("side", [256, 512])
def test_both_sizes_of_the_set_are_read_as_they_are(tmp_path, write_slice, side):
    image = np.random.default_rng(side).integers(0, 3000, (side, side)).astype(np.int16)
    assert read_slice(write_slice(tmp_path / "1.mat", image)).shape == (side, side)


# -- trouble -----------------------------------------------------------------------------------


def test_an_empty_file(tmp_path):
    (tmp_path / "1.mat").touch()
    with pytest.raises(DataError, match="empty file"):
        read_header(tmp_path / "1.mat")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_header(tmp_path / "1.mat")


@pytest.mark.parametrize("content", [b"<html>", b"MATLAB 5.0 MAT-file, Platform: GLNXA64"])
def test_a_file_of_another_kind(tmp_path, content):
    (tmp_path / "1.mat").write_bytes(content.ljust(2000))
    with pytest.raises(DataError, match=r"not a MATLAB v7\.3"):
        read_header(tmp_path / "1.mat")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.99])
def test_a_truncated_file(tmp_path, write_slice, share):
    noise = np.random.default_rng(0).integers(0, 3000, (64, 64)).astype(np.int16)
    path = write_slice(tmp_path / "1.mat", noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match="truncated"):
        read_header(path)


def test_damaged_pixels_are_told_when_they_are_read(tmp_path, write_slice):
    noise = np.random.default_rng(0).integers(0, 3000, (64, 64)).astype(np.int16)
    path = write_slice(tmp_path / "1.mat", noise)
    with h5py.File(path) as file:
        chunk = file["cjdata/image"].id.get_chunk_info(0)
        start = chunk.byte_offset
    content = bytearray(path.read_bytes())
    while content[start : start + 2] != b"\x78\x5e":  # offsets may or may not count the user block
        start += 512
    content[start + 100 : start + 200] = bytes(100)
    path.write_bytes(content)
    assert read_header(path).label == 1
    with pytest.raises(DataError, match="damaged"):
        read_slice(path)


@pytest.mark.slow
def test_no_byte_that_is_wrong_makes_a_traceback(tmp_path, write_slice):
    """Whatever a damaged file holds, it is read, or refused as data."""
    content = write_slice(tmp_path / "1.mat").read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(content)
        for place in rng.integers(512, len(content), 20):
            damaged[place] = rng.integers(256)
        (tmp_path / "2.mat").write_bytes(damaged)
        try:
            read_header(tmp_path / "2.mat")
            read_slice(tmp_path / "2.mat")
        except DataError:
            refused += 1
    assert 0 < refused < 300


def test_an_hdf5_file_of_something_else(tmp_path):
    with h5py.File(tmp_path / "1.mat", "w") as file:
        file["image"] = np.zeros((3, 3))
    with pytest.raises(DataError, match="has no cjdata"):
        read_header(tmp_path / "1.mat")


@pytest.mark.parametrize("key", ["label", "PID", "image", "tumorMask"])
def test_a_missing_field_is_named(tmp_path, write_slice, key):
    with pytest.raises(DataError, match=f"has no cjdata/{key}"):
        read_header(write_slice(tmp_path / "1.mat", without=[key]))


def test_the_outline_is_not_needed(tmp_path, write_slice):
    assert read_header(write_slice(tmp_path / "1.mat", without=["tumorBorder"])).label == 1


@pytest.mark.parametrize("label", [0, 4, 1.5, -1, np.nan])
def test_a_label_that_the_set_does_not_have(tmp_path, write_slice, label):
    with pytest.raises(DataError, match=r"cjdata/label is .*, not 1 \(meningioma\)"):
        read_header(write_slice(tmp_path / "1.mat", label=label))


def test_several_labels(tmp_path, write_slice):
    path = write_slice(tmp_path / "1.mat", without=["label"])
    with h5py.File(path, "r+") as file:
        file["cjdata/label"] = np.array([[1.0], [2.0]])
    with pytest.raises(DataError, match="2 values"):
        read_header(path)


def test_an_empty_patient_as_matlab_writes_it_is_not_taken_for_the_characters_0_and_0(
    tmp_path, write_slice
):
    with pytest.raises(DataError, match="cjdata/PID is empty"):
        read_header(write_slice(tmp_path / "1.mat", patient=""))


@pytest.mark.parametrize("patient", ["   ", "\0\0", "a\x07b", "\ud800"])
def test_a_patient_without_a_name(tmp_path, write_slice, patient):
    with pytest.raises(DataError, match="not a patient id"):
        read_header(write_slice(tmp_path / "1.mat", patient=patient))


@pytest.mark.parametrize("codes", [np.array([[100360.0]]), np.full((2, 3), 65, dtype=np.uint16)])
def test_a_patient_that_is_no_line_of_text(tmp_path, write_slice, codes):
    path = write_slice(tmp_path / "1.mat", without=["PID"])
    with h5py.File(path, "r+") as file:
        file["cjdata/PID"] = codes
    with pytest.raises(DataError, match="not a string"):
        read_header(path)


@pytest.mark.parametrize(
    "stored", [np.zeros((2, 3, 4)), np.zeros(5), np.zeros((3, 4), dtype=complex)]
)
def test_an_image_that_is_no_matrix_of_numbers(tmp_path, write_slice, stored):
    path = write_slice(tmp_path / "1.mat", without=["image"])
    with h5py.File(path, "r+") as file:
        file["cjdata/image"] = stored
    with pytest.raises(DataError, match="not a matrix of numbers"):
        read_header(path)


def test_a_mask_of_another_shape_than_the_image(tmp_path, write_slice):
    image, mask = np.zeros((4, 7), dtype=np.int16), np.zeros((7, 4), dtype=np.uint8)
    with pytest.raises(DataError, match=r"tumorMask has shape \(7, 4\), cjdata/image \(4, 7\)"):
        read_header(write_slice(tmp_path / "1.mat", image, mask=mask))


def test_values_that_are_no_numbers_are_refused(tmp_path, write_slice):
    path = write_slice(tmp_path / "1.mat", np.array([[0.0, np.nan], [1.0, 2.0]]))
    with pytest.raises(DataError, match="NaN"):
        read_slice(path)


def test_a_matrix_that_memory_cannot_hold_is_refused_before_it_is_read(tmp_path, write_slice):
    """HDF5 stores no byte of what was never written."""
    path = write_slice(tmp_path / "1.mat")
    with h5py.File(path, "r+") as file:
        for name in ("image", "tumorMask"):
            del file[f"cjdata/{name}"]
            file.create_dataset(f"cjdata/{name}", (2_000_000, 2_000_000), np.int16, chunks=True)
    assert path.stat().st_size < 1 << 20
    with pytest.raises(DataError, match="GB of memory"):
        read_slice(path)
