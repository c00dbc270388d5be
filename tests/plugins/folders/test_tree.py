"""Trees of image folders: classes, official parts, ids that stay when the tree moves."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from mritk import DataError, Unavailable
from mritk_folders import mritk_datasets, resolve_folder
from mritk_folders.options import FolderOptions
from mritk_folders.tree import read_tree


@pytest.fixture
def tree(tmp_path):
    """Write one small image per path, each with pixels of its own."""

    def write(*paths, root="brains"):
        folder = tmp_path / root
        for number, path in enumerate(paths):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.full((4, 5), number, dtype=np.uint8)
            Image.fromarray(pixels).save(file, format="PNG")
        return folder

    return write


def labels(samples):
    return [samples.task.classes[target] for target in samples.targets]


def test_each_folder_is_a_class_and_each_image_a_sample(tree):
    samples = read_tree(tree("tumour/1.png", "healthy/a.png", "tumour/2.png"))
    assert samples.task.classes == ("healthy", "tumour"), "sorted by name"
    assert samples.ids == ("healthy/a.png", "tumour/1.png", "tumour/2.png")
    assert labels(samples) == ["healthy", "tumour", "tumour"]
    assert samples.splits is None
    assert samples.patients is None


def test_reading_a_sample_gives_the_pixels_of_its_file(tree):
    samples = read_tree(tree("a/1.png", "b/2.png", "a/3.png"))
    pixels = {id_: int(samples.read(i)[0, 0]) for i, id_ in enumerate(samples.ids)}
    assert pixels == {"a/1.png": 0, "b/2.png": 1, "a/3.png": 2}
    assert samples.read(0).shape == (4, 5)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("Training", "Testing"),
        ("training", "testing"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("train", "Testing"),
    ],
)
def test_official_parts_are_found_in_any_usual_spelling(tree, train, test):
    samples = read_tree(
        tree(f"{train}/a/1.png", f"{train}/b/2.png", f"{test}/a/1.png", f"{test}/b/2.png")
    )
    assert samples.task.classes == ("a", "b")
    found = dict(zip(samples.ids, samples.splits, strict=True))
    assert found == {
        f"{train}/a/1.png": "train",
        f"{train}/b/2.png": "train",
        f"{test}/a/1.png": "test",
        f"{test}/b/2.png": "test",
    }


@pytest.mark.parametrize("val", ["val", "Valid", "Validation"])
def test_an_official_validation_part_is_found(tree, val):
    samples = read_tree(tree(*[f"{p}/{c}/1.png" for p in ("train", "test", val) for c in "ab"]))
    assert sorted(samples.splits) == ["test"] * 2 + ["train"] * 2 + ["val"] * 2


def test_nested_folders_such_as_those_of_patients_belong_to_the_class_above(tree):
    samples = read_tree(tree("a/patient-1/scan/1.png", "a/patient-2/1.png", "b/1.png"))
    assert samples.ids == ("a/patient-1/scan/1.png", "a/patient-2/1.png", "b/1.png")
    assert labels(samples) == ["a", "a", "b"]


def test_hidden_files_and_folders_are_left_aside(tree):
    samples = read_tree(
        tree(
            *("a/1.png", "b/1.png", "a/._1.png", "a/.cache/2.png", ".git/3.png"),
            *("__MACOSX/a/4.png", "b/.DS_Store"),
        )
    )
    assert samples.ids == ("a/1.png", "b/1.png")


def test_files_that_are_no_images_by_their_suffix_are_left_aside(tree):
    folder = tree("a/1.png", "b/1.png")
    (folder / "a" / "Thumbs.db").write_bytes(b"x")
    (folder / "b" / "labels.csv").write_text("x")
    (folder / "readme.txt").write_text("x")
    (folder / "a" / "folder.png").mkdir()
    assert len(read_tree(folder)) == 2


def test_suffixes_count_in_upper_case_too(tree):
    assert len(read_tree(tree("a/1.PNG", "b/1.Jpg", "b/2.TIFF"))) == 3


def test_images_beside_the_class_folders_are_left_aside(tree):
    assert read_tree(tree("a/1.png", "b/1.png", "overview.png")).ids == ("a/1.png", "b/1.png")


def test_the_same_name_in_two_classes_is_no_conflict(tree):
    assert len(set(read_tree(tree("a/1.png", "b/1.png")).ids)) == 2


def test_moving_the_folder_changes_no_id_and_not_the_fingerprint(tree, tmp_path):
    folder = tree("a/1.png", "b/1.png", "b/deep/2.png")
    before = read_tree(folder)
    fingerprint, ids = before.fingerprint, before.ids
    moved = tmp_path / "far" / "away"
    moved.parent.mkdir()
    shutil.move(folder, moved)
    after = read_tree(moved)
    assert after.ids == ids
    assert after.fingerprint == fingerprint
    assert str(tmp_path) not in "".join(after.ids)


def test_changing_a_pixel_or_a_label_changes_the_fingerprint(tree):
    folder = tree("a/1.png", "a/2.png", "b/3.png")
    before = read_tree(folder).fingerprint
    Image.fromarray(np.full((4, 5), 99, dtype=np.uint8)).save(folder / "a/1.png")
    changed = read_tree(folder).fingerprint
    assert changed != before
    shutil.move(folder / "a/2.png", folder / "b/2.png")
    assert read_tree(folder).fingerprint != changed


# -- trouble -----------------------------------------------------------------------------------


def test_a_folder_without_images_says_what_is_expected(tmp_path):
    with pytest.raises(DataError, match=r"CLASS/image\.png"):
        read_tree(tmp_path)


@pytest.mark.parametrize("paths", [["a/1.png"], ["Training/a/1.png", "Testing/a/1.png"]])
def test_one_class_is_not_enough(tree, paths):
    with pytest.raises(DataError, match="one class only"):
        read_tree(tree(*paths))


def test_a_class_that_a_part_lacks_is_named(tree):
    folder = tree("Training/a/1.png", "Training/b/1.png", "Testing/a/1.png")
    with pytest.raises(DataError, match=r"the test set of .* has no images of b"):
        read_tree(folder)


def test_two_names_of_a_class_do_not_become_two_classes(tree):
    folder = tree(
        *["Training/a/1.png", "Training/no_tumor/1.png"],
        *["Testing/a/1.png", "Testing/healthy/1.png"],
    )
    with pytest.raises(DataError, match="in every split"):
        read_tree(folder)


def test_parts_beside_another_folder_of_images_do_not_become_classes(tree):
    """``Training`` against ``Testing`` is no diagnosis, whatever else lies in the folder."""
    folder = tree(
        *[f"{part}/{label}/1.png" for part in ("Training", "Testing") for label in "ab"],
        "cropped/1.png",
    )
    try:
        samples = read_tree(folder)
    except DataError:
        return
    assert not {"Training", "Testing"} & set(samples.task.classes)


def test_parts_beside_a_folder_without_images_are_still_parts(tree):
    folder = tree(*[f"{p}/{c}/1.png" for p in ("Training", "Testing") for c in "ab"])
    (folder / "docs").mkdir()
    (folder / "docs" / "readme.txt").write_text("x")
    samples = read_tree(folder)
    assert samples.task.classes == ("a", "b")
    assert samples.splits is not None


# -- the family --------------------------------------------------------------------------------


def test_the_families_are_written_folder_path_bids_path_and_manifest_file():
    families = {family.prefix: family.placeholder for family in mritk_datasets()}
    assert families == {
        "folder": "PATH",
        "bids": "PATH",
        "brats": "PATH",
        "manifest": "FILE",
    }


def test_the_name_of_a_folder_dataset_holds_no_path_of_this_machine(tree, workspace):
    folder = tree("a/1.png", "b/1.png")
    (dataset,) = resolve_folder(str(folder), FolderOptions())
    assert dataset.name == "folder:brains"
    assert len(dataset.open(workspace)) == 2


def test_a_relative_folder_gets_its_real_name(tree, monkeypatch):
    monkeypatch.chdir(tree("a/1.png", "b/1.png"))
    (dataset,) = resolve_folder(".", FolderOptions())
    assert dataset.name == "folder:brains"


def test_a_folder_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match="nowhere"):
        list(resolve_folder(str(tmp_path / "nowhere"), FolderOptions()))


def test_nothing_is_read_before_the_dataset_is_opened(tmp_path):
    list(resolve_folder(str(tmp_path), FolderOptions()))
