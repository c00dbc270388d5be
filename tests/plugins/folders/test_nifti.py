"""NIfTI files of every kind: orientation and intensities."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from mritk_folders.nifti import read_volume
from mritk_folders.tree import read_tree
from tests.plugins.folders.conftest import ORIENTATIONS, VOLUME


def scaled(values):
    """The rule, said another way."""
    values = np.asarray(values, dtype=np.float64)
    low, high = np.percentile(values[values != 0], [0.5, 99.5])
    return np.interp(values, [low, high], [0, 255])


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
