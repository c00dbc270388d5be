"""Programs are given volumes where they lie: what they turn by its affine is a head as it was."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mritk import Samples, Segmentation, Subset, Workspace
from mritk.external import CaseFolder, ProgramFailed, read_label_maps
from mritk_folders.nifti import read_affine, read_label_map, read_spacing, read_volume

SHAPE = (6, 5, 4)
SIZES = (1.0, 1.25, 3.0)
TURN = np.array([[1, 0, 0], [0, 0.96, -0.28], [0, 0.28, 0.96]])  # a head that nods


def published(path, codes, turn):
    """Store a volume of numbers with axes that run to these sides of the head."""
    affine = np.diag([*SIZES, 1.0])
    affine[:3] = np.c_[turn @ affine[:3, :3], [-90.0, -126.0, -72.0]]
    image = nib.Nifti1Image(np.arange(120, dtype=np.int16).reshape(SHAPE), affine)
    to = nib.orientations.axcodes2ornt(codes)
    nib.save(
        image.as_reoriented(nib.orientations.ornt_transform([[0, 1], [1, 1], [2, 1]], to)), path
    )
    return nib.load(path)


def opened(path):
    return Samples(
        ["a", "b"],
        np.empty(0),
        Segmentation(tuple(f"label {number}" for number in range(120))),
        lambda i: read_volume(path),
        spatial_dims=3,
        read_target=lambda i: read_label_map(path),
        spacing=np.tile(read_spacing(path), (2, 1)),
        affine=lambda i: read_affine(path),
    )


@pytest.mark.parametrize("turn", [np.eye(3), TURN], ids=["straight", "oblique"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "PIR", "SLA", "ASL"])
def test_a_file_for_a_program_is_the_published_one_to_nibabel(tmp_path, codes, turn):
    source = published(tmp_path / "source.nii.gz", codes, turn)
    subset = Subset.of(opened(tmp_path / "source.nii.gz"), (0,), Workspace(tmp_path / "workspace"))
    folder = CaseFolder(tmp_path / "images", tmp_path / "labels").begin()
    (case,) = folder.write(subset, "train")
    expected = nib.as_closest_canonical(source)
    for file in (case.files["image"], case.label_map):
        written = nib.load(file)
        assert nib.aff2axcodes(written.affine) == ("R", "A", "S")
        found = nib.as_closest_canonical(written)
        np.testing.assert_allclose(found.affine, expected.affine, atol=1e-4)
        assert found.shape == expected.shape == case.shape
        assert found.header.get_zooms() == pytest.approx(case.spacing)
    labels = nib.as_closest_canonical(nib.load(case.label_map))
    np.testing.assert_array_equal(np.asarray(labels.dataobj), np.asarray(expected.dataobj))
    grey = np.asarray(nib.as_closest_canonical(nib.load(case.files["image"])).dataobj)
    assert np.corrcoef(grey.ravel(), np.asarray(expected.dataobj).ravel())[0, 1] > 0.999


def test_the_published_label_map_is_an_answer(tmp_path):
    """What lies where the published scan lies is accepted in the order of its own axes."""
    source = published(tmp_path / "source.nii.gz", "PIR", TURN)
    samples = opened(tmp_path / "source.nii.gz")
    subset = Subset.of(samples, (0, 1), Workspace(tmp_path / "workspace"))
    cases = CaseFolder(tmp_path / "images").begin().write(subset)
    answers = tmp_path / "answers"
    answers.mkdir()
    for case in cases:
        nib.save(source, answers / f"{case.name}.nii.gz")
    for row, labels in enumerate(read_label_maps(answers, cases, "own")):
        np.testing.assert_array_equal(labels, samples.read_target(row))
    nib.save(source, answers / "another.nii.gz")
    with pytest.raises(ProgramFailed, match="own predicted 3 cases, but was asked 2; unknown: ano"):
        read_label_maps(answers, cases, "own")
