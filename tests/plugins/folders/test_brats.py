"""BraTS cases in a folder: sequences are channels, regions are unions of labels."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from mritk import DataError, Unavailable
from mritk.plugins.registry import Registry
from mritk_folders.recognise import is_brats, is_tree

NEW = ("-t1n", "-t1c", "-t2w", "-t2f", "-seg")
OLD = ("_t1", "_t1ce", "_t2", "_flair", "_seg")
SHAPE = (6, 5, 4)


def write(folder, name, endings=NEW, *, et=3, leave_out=()):
    case = folder / name
    case.mkdir(parents=True)
    for number, ending in enumerate(endings):
        volume = np.arange(np.prod(SHAPE)).reshape(SHAPE) * (number + 1.0)
        if number == 4:
            volume = np.zeros(SHAPE)
            volume[0], volume[1], volume[2] = 1, 2, et
        if ending not in leave_out:
            image = nib.Nifti1Image(volume.astype(np.float32), np.diag([1.0, 1, 2, 1]))
            nib.save(image, case / f"{name}{ending}.nii.gz")
    return case


def samples(folder):
    return Registry.load(environ={}).dataset(f"brats:{folder}").open(None)


@pytest.mark.parametrize(("endings", "et"), [(NEW, 3), (OLD, 4)], ids=["since 2023", "before"])
def test_cases_are_volumes_of_four_sequences_with_their_regions(tmp_path, endings, et):
    folder = tmp_path / "BraTS-SSA"
    for name in ("BraTS-SSA-00008-000", "BraTS-SSA-00002-000", "BraTS-SSA-00002-001"):
        write(folder, name, endings, et=et)
    (folder / "empty").mkdir()
    found = samples(folder)
    assert found.ids == ("BraTS-SSA-00002-000", "BraTS-SSA-00002-001", "BraTS-SSA-00008-000")
    assert found.patients == ("BraTS-SSA-00002", "BraTS-SSA-00002", "BraTS-SSA-00008")
    assert found.channels == ("t1", "t1ce", "t2", "flair")
    assert found.task.values_of("WT") == (1, 2, 3)
    assert found.task.values_of("TC") == (1, 3)
    assert found.spacing.tolist() == [[2.0, 1.0, 1.0]] * 3
    # The first voxel is the lowest one, at the back and the left; the files begin at the origin.
    np.testing.assert_array_equal(found.affine(0) @ [0, 4, 5, 1], [0, 0, 0, 1])
    volume, labels = found.read(0), found.read_target(0)
    assert volume.shape == (4, 4, 5, 6)
    assert volume.dtype == labels.dtype == np.uint8
    assert labels.shape == (4, 5, 6)
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]
    for place in np.argwhere(labels):
        x, _, _, _ = found.affine(0) @ [*place, 1]
        assert x == {1: 0, 2: 1, 3: 2}[labels[tuple(place)]], "where its file has it, in mm"
    assert is_brats(folder)
    assert not is_tree(folder)


def test_a_number_that_is_no_time_point_is_the_patients(tmp_path):
    for name in ("case-001", "case-002", "BraTS2021_00000"):
        write(tmp_path / "cases", name)
    assert samples(tmp_path / "cases").patients == ("BraTS2021_00000", "case-001", "case-002")


def test_a_file_that_cannot_be_read_is_one_sample_and_not_the_end(tmp_path):
    for name in ("case-001", "case-002"):
        case = write(tmp_path, name)
    (case / "case-002-t1n.nii.gz").write_bytes(b"")
    found = samples(tmp_path)
    assert found.spacing.tolist() == [[2, 1, 1], [1, 1, 1]]
    assert found.read(0).shape == (4, 4, 5, 6)
    with pytest.raises(DataError, match="empty file"):
        found.read(1)


def test_the_share_of_all_sequences_that_is_no_number_is_known(tmp_path):
    case = write(tmp_path, "case-000")
    volume = np.arange(1.0, 1 + np.prod(SHAPE)).reshape(SHAPE).astype(np.float32)
    volume[0] = np.nan
    nib.save(nib.Nifti1Image(volume, np.diag([1.0, 1, 2, 1])), case / "case-000-t1c.nii.gz")
    assert samples(tmp_path).holes(0) == pytest.approx(1 / SHAPE[0] / 4)


def test_what_is_incomplete_is_named(tmp_path):
    write(tmp_path, "case-000")
    write(tmp_path, "case-001", leave_out=("-t2f",))
    with pytest.raises(DataError, match=r"lacks case-001-t2f .*; add them"):
        samples(tmp_path)


def test_a_case_whose_label_map_is_called_otherwise_is_named_and_not_left_out(tmp_path):
    """As one of the training cases of BraTS 2020 is."""
    for name in ("BraTS20_Training_354", "BraTS20_Training_355"):
        case = write(tmp_path, name, OLD, et=4)
    (case / f"{case.name}_seg.nii.gz").rename(case / "W39_1998.09.19_Segm.nii.gz")
    with pytest.raises(DataError, match=r"lacks BraTS20_Training_355-seg .or _seg.; .* rename"):
        samples(tmp_path)


def test_a_case_without_label_map_and_sequence_is_named_and_not_left_out(tmp_path):
    write(tmp_path, "case-000")
    write(tmp_path, "case-001", leave_out=("-seg", "-t2f"))
    with pytest.raises(DataError, match=r"lacks case-001-t2f .*, case-001-seg .*; add them"):
        samples(tmp_path)


def test_folders_whose_files_are_called_otherwise_are_passed_over(tmp_path):
    write(tmp_path, "case-000")
    write(tmp_path, "case-001").rename(tmp_path / "case-001-copy")
    write(tmp_path / "more", "case-002")
    (tmp_path / "empty").mkdir()
    (tmp_path / "one.nii.gz").touch()
    (told,) = samples(tmp_path).passed_over
    assert str(told) == "2 with NIfTI files of other names (case-001-copy/, more/)"


AFFINE = np.diag([1.0, 1, 2, 1])


@pytest.mark.parametrize(
    ("ending", "affine", "told"),
    [
        ("-t2f", AFFINE + np.outer([40, 0, 0, 0], [0, 0, 0, 1]), "by up to 40.0 mm"),
        ("-t2w", AFFINE @ np.diag([-1.0, 1, 1, 1]), "by up to 5.0 mm"),  # about its first voxel
        ("-t1c", np.diag([1.0, 1, 4, 1]), "by up to 6.0 mm"),
        ("-t1c", AFFINE + np.outer([0, 0.3, 0, 0], [0, 0, 0, 1]), None),
        ("-t2f", np.array([[0, -1.0, 0, 5], [1, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]), None),
    ],
    ids=["shifted", "mirrored", "of thicker slices", "rounded", "stored with other axes"],
)
def test_sequences_of_a_case_lie_in_one_place(tmp_path, ending, affine, told):
    """Millimetres of the sides: 5 from first to last voxel along x, 6 along z."""
    write(tmp_path, "case-000")
    path = write(tmp_path, "case-001") / f"case-001{ending}.nii.gz"
    plain = samples(tmp_path).read(1)
    voxels = nib.load(path).get_fdata(dtype=np.float32)
    if told is None:
        turned = voxels if affine[0, 0] else np.ascontiguousarray(voxels.swapaxes(0, 1)[:, ::-1])
        nib.save(nib.Nifti1Image(turned, affine), path)
        np.testing.assert_array_equal(samples(tmp_path).read(1), plain)
        return
    nib.save(nib.Nifti1Image(voxels, affine), path)
    name = rf"case-001.case-001{ending}\.nii\.gz"
    match = (
        rf"1 of 6 further sequences .* elsewhere than the T1 .* such as {name}, {told}; resample"
    )
    with pytest.raises(DataError, match=match):
        samples(tmp_path)


@pytest.mark.parametrize(
    ("ending", "noun"), [("-t2f", "further sequences"), ("-seg", "label maps")]
)
def test_a_file_of_another_shape_than_its_case_is_named_with_both(tmp_path, ending, noun):
    """Also where its corners lie where those of the others do."""
    path = write(tmp_path, "case-000") / f"case-000{ending}.nii.gz"
    voxels = np.arange(6 * 5 * 7, dtype=np.float32).reshape(6, 5, 7) % 3
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    told = rf"{noun} .* such as case-000.{path.name}, of 6 × 5 × 7 voxels, not 6 × 5 × 4; resample"
    with pytest.raises(DataError, match=told):
        samples(tmp_path)
    nib.save(nib.Nifti1Image(voxels, np.diag([1.0, 1, 1, 1])), path)
    with pytest.raises(DataError, match=told):
        samples(tmp_path)


def test_a_label_4_of_newer_challenges_is_not_taken_for_the_tumour(tmp_path):
    write(tmp_path, "BraTS-GLI-00001-000", et=4)
    with pytest.raises(DataError, match=r"-seg.nii.gz has the label 4, .* manifest:FILE,labels="):
        samples(tmp_path).read_target(0)


def test_a_folder_without_cases_is_refused(tmp_path):
    with pytest.raises(DataError, match="has no folder CASE with a file CASE-seg"):
        samples(tmp_path)
    with pytest.raises(Unavailable, match=r"no folder .*nowhere"):
        samples(tmp_path / "nowhere")
