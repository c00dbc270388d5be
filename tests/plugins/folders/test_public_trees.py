"""The brain-MRI trees that people have: each is read right, or refused with what to type."""

from __future__ import annotations

import zipfile

import pytest

from mritk import DataError, Unavailable, UsageError
from mritk_folders import mritk_datasets, resolve_folder
from mritk_folders.options import FolderOptions
from mritk_folders.tree import read_tree

PARTS = ("Training", "Testing")
TUMOURS = ("glioma_tumor", "meningioma_tumor", "no_tumor", "pituitary_tumor")
DEMENTIA = ("MildDemented", "ModerateDemented", "NonDemented", "VeryMildDemented")


def images(*folders, suffix=".jpg"):
    return [f"{folder}/{number}{suffix}" for folder in folders for number in (1, 2)]


def in_folders(outer, inner):
    return [f"{one}/{other}" for one in outer for other in inner]


@pytest.fixture
def packed(tmp_path):
    """Create a zip file of empty files and folders."""

    def write(*names, name="brains.zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for member in names:
                archive.writestr(member, "")
        return tmp_path / name

    return write


def opened(path, workspace, options=""):
    (family,) = (f for f in mritk_datasets() if f.prefix == "folder")
    (dataset,) = family.resolve(str(path), FolderOptions(classes=options))
    return dataset.open(workspace)


def refusal(folder, **options):
    with pytest.raises(DataError) as error:
        read_tree(folder, typed="folder:set", **options)
    return str(error.value)


def told(samples):
    return {found.reason: tuple(found.names) for found in samples.passed_over}


# -- read ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "classes", "parts"),
    [
        # kaggle.com/datasets/masoudnickparvar/brain-tumor-mri-dataset, sartajbhuvaji/…
        (images(*in_folders(PARTS, TUMOURS)), TUMOURS, {"train", "test"}),
        # tourist55/alzheimers-dataset-4-class-of-images
        (
            images(
                *in_folders(("Alzheimer_s Dataset/train", "Alzheimer_s Dataset/test"), DEMENTIA)
            ),
            DEMENTIA,
            {"train", "test"},
        ),
        (
            images(*in_folders(("1. train", "2. val", "3. test"), ("a", "b"))),
            ("a", "b"),
            {"train", "val", "test"},
        ),
        (
            images(*in_folders(("train/train", "test/Images"), ("a", "b"))),
            ("a", "b"),
            {"train", "test"},
        ),
        (images("dataset/a", "dataset/b"), ("a", "b"), None),
        (images("set/a", "set/b"), ("a", "b"), None),  # unpacked into a folder of the same name
        (images("HGG/BraTS_1", "HGG/BraTS_2", "LGG/BraTS_1"), ("HGG", "LGG"), None),
        (images("glioma/axial", "glioma/coronal", "none/axial", "none/coronal"), None, None),
    ],
)
def test_layouts_that_say_what_the_classes_are(tree, names, classes, parts):
    samples = read_tree(tree(*names))
    assert len(samples) == len(names)
    assert samples.task.classes == (classes or ("glioma", "none"))
    assert (samples.splits and set(samples.splits)) == parts
    assert samples.passed_over == ()


def test_br35h_has_images_to_be_predicted_which_are_no_class(tree):
    """kaggle.com/datasets/ahmedhamada0/brain-tumor-detection"""
    samples = read_tree(tree(*images("yes", "no", "pred")))
    assert samples.task.classes == ("no", "yes")
    assert told(samples) == {"without a class": ("pred/1.jpg", "pred/2.jpg")}


def test_images_to_be_predicted_beside_the_parts_are_of_no_class(tree):
    samples = read_tree(tree(*images(*in_folders(PARTS, ("a", "b"))), "pred/1.jpg"))
    assert told(samples) == {"without a class": ("pred/1.jpg",)}


def test_masks_beside_their_images_are_no_samples(tree):
    names = [*images("benign", "malignant", suffix=".png"), "benign/1_mask.png"]
    samples = read_tree(tree(*names, "malignant/2_mask_1.png", "malignant/3_mask.png"))
    masks = ("benign/1_mask.png", "malignant/2_mask_1.png")
    assert told(samples) == {"masks of neighbouring images": masks}
    assert "malignant/3_mask.png" in samples.ids, "a name alone makes no mask"


@pytest.mark.parametrize(
    "mask",
    [
        *("1_GT", "1_label", "1 mask", "1-seg", "1_segmentation", "1_Label_2", "1 seg 1"),
        *("mask_1", "Seg-1", "1.mask", "1.seg"),
    ],
)
def test_a_mask_may_be_called_in_many_ways(tree, mask):
    samples = read_tree(tree(*images("a", "b"), f"a/{mask}.jpg"))
    assert told(samples) == {"masks of neighbouring images": (f"a/{mask}.jpg",)}
    assert len(samples) == 4


def test_dots_within_a_name_hide_no_mask(tree):
    names = [*images("a", "b"), "a/1.2.840.png", "a/1.2.840_mask.png", "b/s1.t1.png", "b/s1.gt.png"]
    samples = read_tree(tree(*names))
    assert told(samples) == {
        "masks of neighbouring images": ("a/1.2.840_mask.png", "b/s1.gt.png"),
    }


@pytest.mark.parametrize("masks", ["masks", "mask", "Segmentation", "segmentations", "labels"])
@pytest.mark.parametrize("found", ["images/{}", "IMG/P1/{}", "{}"])
def test_a_folder_of_masks_in_a_class_is_no_part_of_it(tree, masks, found):
    """kaggle.com/datasets/tawsifurrahman/covid19-radiography-database"""
    scans = [f"{label}/{found.format(name)}" for label in "ab" for name in ("1.png", "2.png")]
    beside = [f"{label}/{masks}/1{suffix}.png" for label in "ab" for suffix in ("", "_mask")]
    for classes in ((), ("a", "b")):
        samples = read_tree(tree(*scans, *beside), classes=classes)
        assert sorted(samples.ids) == sorted(scans)
        (names,) = [told(samples)["masks of neighbouring images"]]
        assert sorted(names) == sorted(beside)


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (images("label", "no label"), ()),
        ([*images("label", "none"), "1.jpg", "2.jpg"], ()),
        (images("images", "label"), ("images", "label")),
        (images("set/labels", "set/none"), ()),
        ([*images("a/masks", "b"), "a/3.jpg"], ()),
    ],
)
def test_a_folder_is_none_of_masks_by_its_name_alone(tree, names, classes):
    samples = read_tree(tree(*names), classes=classes)
    assert set(samples.ids) == {name for name in names if "/" in name}
    assert len(samples.task.classes) == 2


def test_what_is_passed_over_is_told_with_its_reason(tree):
    root = tree(
        *images(*in_folders(PARTS, ("a", "b"))),
        *("overview.png", "Training/loose.png", "Testing/a/labels.csv", "Training/a/.x.png"),
        *("Training/b/P7/", "docs/readme.md", "Thumbs.db", "__MACOSX/a/._1.png"),
    )
    assert told(read_tree(root)) == {
        "without a class": ("overview.png", "Training/loose.png"),
        "without an image or NIfTI suffix": ("Testing/a/labels.csv", "docs/readme.md"),
        "hidden": ("Training/a/.x.png",),
        "empty": ("Training/b/P7/",),
    }


def test_linked_patients_are_samples(tree, tmp_path):
    root = tree(*images("glioma/P1", "none/P2"))
    (tmp_path / "raw" / "P9").mkdir(parents=True)
    (tmp_path / "raw" / "P9" / "1.jpg").touch()
    (root / "glioma" / "P9").symlink_to(tmp_path / "raw" / "P9")
    assert "glioma/P9/1.jpg" in read_tree(root).ids


def test_a_link_that_may_be_a_patient_and_leads_nowhere_is_not_passed_over(tree):
    root = tree(*images("glioma/P1", "none/P2"))
    (root / "glioma" / "P9").symlink_to("../../raw/P9")
    with pytest.raises(Unavailable, match=r"P9 is a link to missing content"):
        read_tree(root)


# -- archives --------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ["", "brains/", "any name/"])
def test_an_archive_of_a_folder_is_that_folder(packed, workspace, prefix):
    samples = opened(packed(*images(prefix + "a", prefix + "b")), workspace)
    assert samples.task.classes == ("a", "b")


def test_errors_about_an_archive_name_it_and_what_to_type(packed, workspace):
    archive = packed(*images("yes", "no", "dataset/yes", "dataset/no"))
    with pytest.raises(DataError, match=rf"use folder:{archive}/dataset, or") as error:
        opened(archive, workspace)
    assert "unpacked" not in str(error.value)
    samples = opened(f"{archive}/dataset", workspace)
    assert samples.ids == ("no/1.jpg", "no/2.jpg", "yes/1.jpg", "yes/2.jpg")


def test_a_folder_in_an_archive_has_its_own_name(packed):
    (dataset,) = resolve_folder(f"{packed('x/a/1.png')}/x", FolderOptions())
    assert dataset.name == "folder:x"


@pytest.mark.parametrize("inside", ["nowhere", "../other"])
def test_a_folder_that_is_not_in_the_archive(packed, workspace, inside):
    archive = packed(*images("a", "b"))
    with pytest.raises(Unavailable, match=rf"no folder {inside} in {archive}"):
        opened(f"{archive}/{inside}", workspace)


def test_an_empty_class_folder_in_an_archive_is_seen(packed, workspace):
    with pytest.raises(DataError, match=r"brains\.zip/c is next to the class folders"):
        opened(packed(*images("a", "b"), "c/"), workspace)


def test_images_beside_volumes_in_an_archive(packed, workspace):
    with pytest.raises(DataError, match=r"brains\.zip contains images \(a/1\.jpg\) and volumes"):
        opened(packed("a/1.jpg", "b/1.nii"), workspace)


# -- the option ------------------------------------------------------------------------------------


def test_named_classes_are_written_with_slashes(packed, workspace):
    samples = opened(packed(*images("x/a", "y/b", "c")), workspace, "a/b")
    assert samples.task.classes == ("a", "b")


@pytest.mark.parametrize("classes", ["a", "a/", "a/a", "/"])
def test_one_class_is_not_enough(classes):
    with pytest.raises(UsageError, match="must name at least two classes"):
        FolderOptions(classes=classes)


def test_a_named_class_that_is_not_there(tree):
    assert "has no images in a folder c, given in classes=a/c" in refusal(
        tree(*images("a", "b")), classes=("a", "c")
    )
