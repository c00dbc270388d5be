"""Where the voxels of a series lie: nibabel's reading of each slice is the oracle."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

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
