"""Manifests of label maps: on which volumes they lie, and which of their values count."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mritk import DataError, Segmentation, UsageError
from tests.plugins.folders.test_manifest import read


def test_label_maps_are_the_target_and_lie_on_their_volumes(cases):
    file, maps = cases
    samples = read(file, labels="background/tumour")
    assert samples.task == Segmentation(("background", "tumour"))
    for i in range(2):
        np.testing.assert_array_equal(samples.read_target(i), maps[i])
    np.testing.assert_allclose(samples.spacing, [[1.5, 1.25, 1.0]] * 2)


def test_scans_may_share_a_label_map_and_no_row_a_scan(cases):
    """Sequences of one patient lie in one space, where one map was drawn."""
    file, maps = cases
    lines = ("path,mask,patient", "b.nii,a-mask.nii.gz,1", "a.nii,a-mask.nii.gz,1")
    file.write_text("\n".join(lines) + "\n")
    samples = read(file, labels="background/tumour")
    assert samples.ids == ("a.nii", "b.nii")
    for i in range(2):
        np.testing.assert_array_equal(samples.read_target(i), maps[0])
    file.write_text("path,mask\na.nii,a-mask.nii.gz\na.nii,b-mask.nii.gz\n")
    with pytest.raises(DataError, match=r"lists a\.nii in lines 2 and 3"):
        read(file, labels="background/tumour")


@pytest.mark.parametrize(
    ("affine", "distance"),
    [
        (lambda a: np.diag([1.0, 1.25, 1.5, 1]), "13.4"),  # a program forgot where it was
        (lambda a: a @ np.diag([-1.0, 1, 1, 1]), "5.0"),  # left and right exchanged
        (lambda a: a + np.outer([0, 0, 3.0, 0], [0, 0, 0, 1]), "3.0"),
        (lambda a: a.round(1), None),
    ],
    ids=["lost", "flipped", "shifted", "rounded"],
)
def test_a_label_map_that_lies_elsewhere_than_its_volume_is_refused(cases, affine, distance):
    file, _ = cases
    path, volume = file.parent / "b-mask.nii.gz", nib.load(file.parent / "b.nii")
    voxels = np.ones(volume.shape, np.uint8)
    nib.save(nib.Nifti1Image(voxels, affine(volume.affine)), path)
    if distance is None:
        assert read(file, labels="background/tumour").task.outputs == 2
        return
    match = rf"1 of 2 label maps in .* lie elsewhere .*b-mask\.nii\.gz, by up to {distance} mm"
    with pytest.raises(DataError, match=match):
        read(file, labels="background/tumour")


def test_a_value_that_is_not_evaluated_is_no_region(cases):
    task = read(cases[0], labels="background/NCR/ED/-/ET").task
    assert task.outputs == 5
    assert list(task.regions) == ["NCR", "ED", "ET"]
    assert task.values_of("ET") == (4,)
    assert read(cases[0], labels="background/NCR").task == Segmentation(("background", "NCR"))


def test_label_maps_of_which_nothing_is_evaluated_are_refused(cases):
    with pytest.raises(UsageError, match="labels=background/- leaves nothing to evaluate"):
        read(cases[0], labels="background/-")
