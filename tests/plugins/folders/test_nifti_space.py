"""Where NIfTI files lie in space: spacing, affine, label maps."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mritk import DataError
from mritk.explain.volumes import write_volumes
from mritk_folders.nifti import (
    read_affine,
    read_label_map,
    read_spacing,
    read_volume,
    spacing_of_all,
)
from tests.plugins.folders.conftest import DIRECTIONS, ORIENTATIONS, VOLUME

NUMBERED = np.arange(120, dtype=np.uint8).reshape(4, 5, 6)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_the_spacing_follows_the_axes_of_the_volume(tmp_path, write_nifti, codes):
    """The writer makes the voxels of the three axes of a file 1, 1.25 and 1.5 mm long."""
    path = write_nifti(tmp_path / "a.nii", VOLUME, codes)
    of_code = {code: 1 + column / 4 for column, code in enumerate(codes)}
    along = {DIRECTIONS[code][0]: mm for code, mm in of_code.items()}
    assert read_spacing(path) == pytest.approx((along[0], along[1], along[2]))


def test_the_spacing_is_in_mm_whatever_the_unit_of_the_file(tmp_path):
    image = nib.Nifti1Image(
        np.arange(27, dtype=np.uint8).reshape(3, 3, 3), np.diag([0.001] * 3 + [1])
    )
    image.header.set_xyzt_units("meter")
    nib.save(image, tmp_path / "a.nii.gz")
    assert read_spacing(tmp_path / "a.nii.gz") == pytest.approx((1.0, 1.0, 1.0))


@pytest.mark.parametrize("units", [7, 2 + 64, 255], ids=["of length", "of time", "of both"])
def test_a_unit_that_does_not_exist_is_mm(tmp_path, write_nifti, units):
    path = write_nifti(tmp_path / "a.nii", VOLUME)
    spacing, affine = read_spacing(path), read_affine(path)
    content = bytearray(path.read_bytes())
    content[123] = units
    path.write_bytes(content)
    assert read_spacing(path) == spacing
    np.testing.assert_array_equal(read_affine(path), affine)


def test_an_affine_without_orientation_has_no_spacing(tmp_path):
    """Two axes of its voxels run along the same line, and none along another."""
    image = nib.Nifti1Image(np.arange(27, dtype=np.uint8).reshape(3, 3, 3), np.eye(4))
    image.header["sform_code"], image.header["qform_code"] = 1, 0
    image.header["srow_x"], image.header["srow_y"] = [1, 1, 0, 0], [0, 0, 0, 0]
    image.header["srow_z"] = [0, 0, 1, 0]
    path = tmp_path / "a.nii"
    path.write_bytes(image.header.binaryblock + bytes(4) + image.dataobj.tobytes())
    with pytest.raises(DataError, match="no valid orientation"):
        read_spacing(path)
    np.testing.assert_array_equal(spacing_of_all([path]), [[1, 1, 1]])


@pytest.mark.filterwarnings("ignore:invalid value")  # by nibabel, before it gives up
@pytest.mark.parametrize("column", [[0, 0, 0], [np.nan, 0, 0], [np.inf, 0, 0]], ids=str)
def test_a_header_without_distances_leaves_those_of_other_volumes_known(
    tmp_path, write_nifti, column
):
    """Such a volume cannot be read either; the rest of the data can, and their spacing counts."""
    good = write_nifti(tmp_path / "good.nii", VOLUME)
    header = nib.Nifti1Header(good.read_bytes()[:348])
    header["sform_code"], header["qform_code"] = 1, 0
    for row, value in zip(("srow_x", "srow_y", "srow_z"), column, strict=True):
        header[row][0] = value
    bad = tmp_path / "bad.nii"
    bad.write_bytes(header.binaryblock + good.read_bytes()[348:])
    for read in (read_volume, read_spacing):
        with pytest.raises(DataError, match="no valid orientation"):
            read(bad)
    spacing = read_spacing(good)
    np.testing.assert_array_equal(spacing_of_all([good, bad, good]), [spacing, (1, 1, 1), spacing])


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SLA"])
def test_a_label_map_is_turned_like_its_volume_and_keeps_its_numbers(tmp_path, write_nifti, codes):
    labels = (np.median(VOLUME) < VOLUME).astype(np.int16) * 4
    np.testing.assert_array_equal(
        read_label_map(write_nifti(tmp_path / "a.nii", labels, codes)), labels
    )


@pytest.mark.parametrize("last", [3, 4, 255])
def test_labels_that_a_file_has_scaled_are_whole_numbers(tmp_path, last):
    """As nibabel stores labels that it is given as real numbers."""
    labels = np.zeros((4, 5, 6))
    labels[1:3], labels[3] = [[[1]], [[2]]], last
    image = nib.Nifti1Image(labels, np.diag([-1.0, -1, 1, 1]))  # to the left and back, as (D, H, W)
    image.set_data_dtype(np.int16)
    nib.save(image, tmp_path / "a.nii")
    assert nib.load(tmp_path / "a.nii").dataobj.slope != 1
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.nii"), labels.T)


def test_a_scaled_value_between_labels_is_refused(tmp_path, write_nifti):
    path = write_nifti(tmp_path / "a.nii", VOLUME, slope=0.99)
    with pytest.raises(DataError, match="whole numbers from 0 to 255"):
        read_label_map(path)


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0])
def test_values_that_are_no_labels_are_refused(tmp_path, write_nifti, value):
    labels = np.zeros((3, 3, 3), np.float32)
    labels[1, 1, 1] = value
    with pytest.raises(DataError, match="whole numbers from 0 to 255"):
        read_label_map(write_nifti(tmp_path / "a.nii", labels))


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SLA"])
def test_the_affine_leads_from_voxels_as_read_to_where_they_lie(tmp_path, write_nifti, codes):
    """Each voxel is looked for where the file has it, by nibabel."""
    path = write_nifti(tmp_path / "a.nii.gz", VOLUME, codes)
    image, affine = nib.load(path), read_affine(path)
    stored, to_voxel = np.asarray(image.dataobj), np.linalg.inv(image.affine)
    labels = write_nifti(tmp_path / "b.nii.gz", NUMBERED, codes)
    read, kept = read_label_map(labels), np.asarray(nib.load(labels).dataobj)
    assert stored.shape == kept.shape
    for place in np.ndindex(read.shape):
        x, y, z, _ = np.rint(to_voxel @ affine @ [*place, 1]).astype(int)
        assert kept[x, y, z] == read[place]


def test_a_map_of_a_scan_lies_where_the_scan_lies(tmp_path, write_nifti, make_samples):
    """What 'mritk explain' writes of a scan has the affine of the scan, as RAS."""
    path = write_nifti(tmp_path / "a.nii.gz", NUMBERED, "LPS")
    values = read_label_map(path)
    samples = make_samples(2, spatial_dims=3, affine=lambda i: read_affine(path))
    write_volumes(samples, samples.ids[:1], [values], tmp_path / "maps")
    written = nib.load(tmp_path / "maps" / f"{samples.ids[0]}.nii.gz")
    expected = nib.as_closest_canonical(nib.load(path))
    np.testing.assert_allclose(written.affine, expected.affine, atol=1e-5)
    np.testing.assert_array_equal(np.asarray(written.dataobj), np.asarray(expected.dataobj))
