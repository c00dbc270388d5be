"""Where the voxels of a series lie: nibabel's reading of each slice is the oracle."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pydicom
import pytest

from mritk import DataError
from mritk.data.volume_space import Space
from mritk_dicom.collection import read_collection
from tests.plugins.dicom.conftest import AXIAL
from tests.plugins.dicom.test_dicom_series import OBLIQUE, SAGITTAL

SHAPE = (5, 6, 7)


@pytest.fixture
def collection(write_series, make_head, tmp_path):
    """Write two series, one of each class, and return what they are read as."""

    def make(orientation=AXIAL, **attributes):
        for label in (0, 1):
            write_series(
                tmp_path / "heads" / f"class-{label}" / "series",
                make_head(label, shape=SHAPE),
                patient=f"p{label}",
                orientation=orientation,
                **{"PixelSpacing": [0.75, 0.5], **attributes},
            )
        return read_collection(tmp_path / "heads")

    return make


@pytest.mark.filterwarnings("ignore:The DICOM readers are highly experimental")
@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, OBLIQUE])
def test_a_voxel_lies_where_its_slice_has_it(collection, tmp_path, orientation):
    from nibabel.nicom.dicomwrappers import wrapper_from_file

    samples = collection(orientation)
    files = [wrapper_from_file(path) for path in (tmp_path / "heads/class-0/series").iterdir()]
    files.sort(key=lambda one: one.get("InstanceNumber"))
    affine = samples.affine(0)
    for place in np.ndindex(SHAPE):
        depth, row, column = place
        left, back, up, _ = files[depth].affine @ [row, column, 0, 1]
        np.testing.assert_allclose(affine @ [*place, 1], [-left, -back, up, 1], atol=1e-3)


def test_a_sagittal_series_is_a_head_as_it_was_to_other_programs(collection):
    """Its slices are the first axis of a file that runs to the right, the front and up."""
    samples = collection(SAGITTAL)
    space = Space.of(samples, 0, SHAPE)
    image = space.image(samples.read(0))
    assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
    assert image.shape == (5, 7, 6)
    assert image.header.get_zooms() == pytest.approx((2.5, 0.5, 0.75))
    assert samples.spacing == pytest.approx(np.array([[2.5, 0.75, 0.5]] * 2))


@pytest.mark.parametrize(
    "missing",
    [
        {"PixelSpacing": None},
        {"ImageOrientationPatient": None},
        {"ImagePositionPatient": None},
        {"PixelSpacing": [0, 1]},
        {"PixelSpacing": [1, 1, 1]},
    ],
)
def test_a_series_that_does_not_state_its_place_has_none(collection, missing):
    samples = collection(**missing)
    assert samples.affine is None
    assert samples.spacing is None
    assert samples.read(0).shape == SHAPE


def at(write_slice, folder, positions, **attributes):
    """A class of one even series beside one whose slices begin at ``positions``, in mm."""
    voxels = np.random.default_rng(0).integers(1, 900, (2, len(positions), 6, 7))
    even = [(0, 0, 3.0 * k) for k in range(len(positions))]
    for label, places in enumerate((even, positions)):
        for k, place in enumerate(places):
            write_slice(
                folder / f"class-{label}" / f"IM{k:02d}-{label}",
                voxels[label, k],
                PatientID=f"p{label}",
                SeriesInstanceUID=f"1.2.{label}",
                ImagePositionPatient=[f"{mm:.6g}" for mm in place],
                **attributes,
            )
    return read_collection(folder)


def along_z(*millimetres):
    return [(0, 0, z) for z in millimetres]


EVEN = 3 * np.arange(12.0)
UNEVEN = {
    "one missing": (along_z(*np.delete(EVEN, 7)), "steps of 3 to 6 mm, up to 1.8 mm out"),
    "many missing": (along_z(*np.delete(EVEN, [3, 4, 5])), "steps of 3 to 12 mm"),
    "of three one missing": (along_z(0, 3, 9), "steps of 3 to 6 mm, up to 1.5 mm out"),
    "two distances": (along_z(0, 3, 6, 9, 13.4, 17.8, 22.2), "steps of 3 to 4.4 mm"),
    "beside each other": ([(2 * (k % 2), 0, 3 * k) for k in range(7)], "up to 2 mm out"),
}


@pytest.mark.parametrize("name", UNEVEN)
def test_uneven_slices_are_no_volume(write_slice, tmp_path, name):
    positions, told = UNEVEN[name]
    samples = at(write_slice, tmp_path, positions)
    row = int(np.flatnonzero(samples.targets)[0])
    assert samples.read(1 - row).shape == (len(positions), 6, 7)
    assert samples.spacing[1 - row].tolist() == [3, 1, 1]
    for ask in (samples.read, samples.affine):
        with pytest.raises(DataError, match=f"unevenly spaced .*{told}.*,slices=K") as error:
            ask(row)
        assert str(tmp_path) not in str(error.value), "reasons of unreadable samples are stored"
    images = read_collection(tmp_path, slices="all")
    assert images.read(0).shape == (6, 7)
    assert len(images.contents) == len({*images.contents}) == 2 * len(positions)


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("step", [(0, 0, 3.1415), (0.3123, 0.5377, -1.9), (0, 1.1, 3)])
def test_rounded_positions_and_a_tilted_gantry_are_even(write_slice, tmp_path, digits, step):
    positions = [np.round(np.multiply(k, step) + 0.777, digits) for k in range(12)]
    samples = at(write_slice, tmp_path, positions)
    row = int(np.flatnonzero(samples.targets)[0])
    volume, affine = samples.read(row), samples.affine(row)
    np.testing.assert_allclose(samples.spacing[row][0], np.linalg.norm(step), atol=0.05)
    assert volume.shape == (12, 6, 7)
    ordered = positions if step[2] > 0 else positions[::-1]
    for k, (left, back, up) in enumerate(ordered):
        np.testing.assert_allclose(affine @ [k, 0, 0, 1], [-left, -back, up, 1], atol=0.1)


def test_slices_of_which_one_has_no_position_have_no_place(collection, tmp_path):
    collection()
    path = sorted((tmp_path / "heads/class-0/series").iterdir())[2]
    image = pydicom.dcmread(path)
    assert image.InstanceNumber not in (1, SHAPE[0]), "the first and the last one are placed"
    del image.ImagePositionPatient
    image.save_as(path)
    samples = read_collection(tmp_path / "heads")
    assert samples.affine is None and samples.spacing is None
    assert samples.read(0).shape == SHAPE
