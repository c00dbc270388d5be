"""Trees of brain MRI that do not say what their classes are: refused, with what to type."""

from __future__ import annotations

from collections import Counter

import pytest

from mritk_folders.tree import read_tree
from tests.plugins.folders.test_public_trees import DEMENTIA, images, in_folders, refusal, told

# -- refused, with what to type --------------------------------------------------------------------


def test_yes_and_no_and_the_same_again(tree):
    """kaggle.com/datasets/navoneel/brain-mri-images-for-brain-tumor-detection"""
    root = tree(*images("yes", "no", "brain_tumor_dataset/yes", "brain_tumor_dataset/no"))
    assert "use folder:set/brain_tumor_dataset" in refusal(root)
    assert read_tree(root / "brain_tumor_dataset").task.classes == ("no", "yes")


def test_an_augmented_copy_beside_the_original(tree):
    """kaggle.com/datasets/uraninjo/augmented-alzheimer-mri-dataset"""
    names = in_folders(("AugmentedAlzheimerDataset", "OriginalDataset"), DEMENTIA)
    root = tree(*images(*names))
    assert "use one of them, such as folder:set/AugmentedAlzheimerDataset" in refusal(root)
    assert read_tree(root / "OriginalDataset").task.classes == DEMENTIA


@pytest.mark.parametrize("prefix", ["", "dataset/"])
def test_the_lgg_segmentation_set_has_patients_and_no_classes(tree, prefix):
    """kaggle.com/datasets/mateuszbuda/lgg-mri-segmentation"""
    patients = ("TCGA_CS_4941_19960909", "TCGA_DU_5849_19950405")
    names = [f"{p}/{p}_{k}{mask}.tif" for p in patients for k in (1, 2) for mask in ("", "_mask")]
    text = refusal(tree(*[prefix + name for name in names], prefix + "data.csv"))
    assert "TCGA_CS_4941_19960909, TCGA_DU_5849_19950405, which look like patients" in text
    assert "manifest:FILE.csv" in text


def test_the_lgg_segmentation_set_holds_itself_again(tree):
    names = in_folders(("kaggle_3m", "lgg-mri-segmentation/kaggle_3m"), ("TCGA_1", "TCGA_2"))
    assert "use folder:set/lgg-mri-segmentation" in refusal(tree(*images(*names)))


def test_br35h_with_its_detection_set(tree):
    root = tree(*images("yes", "no", "pred", "Br35H-Mask-RCNN/TRAIN", "Br35H-Mask-RCNN/TEST"))
    assert "for the others, folder:set,classes=no/yes" in refusal(root)
    samples = read_tree(root, classes=("no", "yes"))
    assert samples.task.classes == ("no", "yes")
    assert len(told(samples)["without a class"]) == 6


@pytest.mark.parametrize("patients", [("P1", "P2", "P3"), ("anna", "bert", "carl")])
def test_patients_above_classes(tree, patients):
    root = tree(*images(*in_folders(patients, ("glioma", "none"))))
    assert "use folder:set,classes=glioma/none" in refusal(root)
    samples = read_tree(root, classes=("glioma", "none"))
    assert samples.task.classes == ("glioma", "none")
    assert len(samples) == 12


def test_parts_inside_of_classes(tree):
    root = tree(*images(*in_folders(("glioma", "none"), ("train", "test"))))
    assert "use folder:set,classes=glioma/none" in refusal(root)
    samples = read_tree(root, classes=("glioma", "none"))
    assert sorted(set(samples.splits)) == ["test", "train"]


@pytest.mark.parametrize("besides", ["", "p1/"], ids=["scans", "patients"])
def test_one_part_among_the_scans_of_classes(tree, besides):
    """Its images would be drawn for training like the others."""
    images = [f"{c}/{f}{n}.jpg" for c in "ab" for f in (besides, "test/") for n in (1, 2)]
    root = tree(*images)
    text = refusal(root)
    assert "set/a/test is named like the test set, but there are other images in a" in text
    assert "such as a/train, or rename test" in text
    for label in "ab":
        (root / label / "train").mkdir()
        for path in [p for p in (root / label).iterdir() if p.name not in ("test", "train")]:
            path.rename(root / label / "train" / path.name)
    assert set(read_tree(root, classes=("a", "b")).splits) == {"train", "test"}


@pytest.mark.parametrize(
    ("folders", "told"),
    [
        (("a/test", "b"), "a/test is named like the test set, but there are other images in b"),
        (("a/P1/test", "a/P1", "b"), "a/P1/test is named like the test set, but there are other"),
        (("a/train", "b/test"), "a/train is named like the train set and set/b/test like the test"),
        (("a/P1/train", "a/P1/test", "b/P2/train", "b/P2/test"), "use folder:set,classes=a/b"),
    ],
)
def test_a_part_in_one_class_is_none_beside_the_scans_of_another(tree, folders, told):
    assert told in refusal(tree(*images(*folders)))


@pytest.mark.parametrize("classes", [(), ("a", "b")])
@pytest.mark.parametrize("others", [("test/a", "test/b"), ()])
def test_a_part_inside_of_another_is_in_neither(tree, others, classes):
    root = tree(*images("Training/a/test", "Training/b/x/test", *others))
    text = refusal(root, classes=classes)
    assert "set/Training/a/test is named like the test set, but is inside of the train set" in text
    for folder in (root / "Training/a", root / "Training/b/x"):
        (folder / "test").rename(folder / "train")
    assert len(read_tree(root, classes=classes)) == 4 + 2 * len(others)


def test_one_part_that_is_all_of_each_class_is_none(tree):
    assert len(read_tree(tree(*images("a/test", "b/p2/test")))) == 4


@pytest.mark.parametrize("classes", [(), ("healthy", "ms")])
@pytest.mark.parametrize("above", ["", "train/"])
@pytest.mark.parametrize(
    "patients",
    [
        ("healthy/sub-01", "healthy/sub-02", "ms/sub-03", "ms/sub-04"),
        ("healthy/sub-01", "healthy/sub-02", "ms/sub-03"),
        ("healthy/1", "healthy/2", "ms/3", "ms/4"),
    ],
)
@pytest.mark.parametrize("scans", [("test", "retest"), ("Test", "Re-Test")])
def test_test_and_retest_of_a_patient_are_no_parts(tree, scans, patients, above, classes):
    root = tree(*[f"{above}{patient}/{scan}/1.png" for patient in patients for scan in scans])
    samples = read_tree(root, classes=classes)
    assert len(samples) == 2 * len(patients)
    assert set(samples.splits or ()) == {*filter(None, [above[:-1]])}
    if "sub-01" in patients[0]:
        assert len(set(samples.patients)) == len(patients)


@pytest.mark.parametrize("folders", [("2019", "2020"), ("sub-01", "sub-02"), ("batch-1000",)])
def test_parts_below_years_or_patients_are_those_of_the_classes(tree, folders):
    inner = [f"{folder}/{part}" for folder in folders for part in ("train", "test")]
    root = tree(*images(*in_folders(("glioma", "healthy"), inner)))
    assert "use folder:set,classes=glioma/healthy" in refusal(root)
    samples = read_tree(root, classes=("glioma", "healthy"))
    assert Counter(samples.splits) == dict.fromkeys(("train", "test"), len(samples) // 2)


def test_a_part_below_a_year_of_another_part_is_in_neither(tree):
    years = in_folders(("2019", "2020"), ("train", "test"))
    training = in_folders(("Training/glioma", "Training/none"), years)
    root = tree(*images(*training, "Testing/glioma", "Testing/none"))
    told = "set/Training/glioma/2019/test is named like the test set"
    assert told in refusal(root)
    assert f"{told}, but is inside of the train set" in refusal(root, classes=("glioma", "none"))


def test_retest_beside_parts_is_of_none(tree):
    root = tree(*images(*in_folders(("a", "b"), ("train", "test", "retest"))))
    assert "named like splits of a dataset" in refusal(root)
    text = refusal(root, classes=("a", "b"))
    assert "outside of official splits, such as a/retest/1.jpg" in text


def test_named_classes_outside_of_the_parts_are_refused(tree):
    root = tree(*images("train/a", "train/b", "a"))
    assert "outside of official splits, such as a/1.jpg" in refusal(root, classes=("a", "b"))


@pytest.mark.parametrize(("extra", "seen"), [("healthy/", "nothing"), ("healthy/1.npy", "1 .npy")])
def test_a_class_folder_without_images_is_named_with_what_is_in_it(tree, extra, seen):
    root = tree(*images("a", "b"), extra)
    text = refusal(root)
    assert "set/healthy is next to the class folders" in text
    assert f"(it contains {seen})" in text
    assert "use folder:set,classes=a/b" in text
    assert len(read_tree(root, classes=("a", "b"))) == 4


def test_images_to_be_predicted_in_place_of_a_test_part(tree):
    text = refusal(tree(*images("train/a", "train/b", "test")))
    assert "set/test is named like the test set" in text
    assert "2 images" in text
    assert "use folder:set/train" in text


def test_a_test_part_beside_classes_may_be_a_class(tree):
    root = tree(*images("no", "yes", "test"))
    text = refusal(root)
    assert "without it, folder:set,classes=no/yes" in text
    assert "if it is a class, folder:set,classes=no/test/yes" in text
    assert read_tree(root, classes=("no", "yes")).task.classes == ("no", "yes")
    assert read_tree(root, classes=("no", "test", "yes")).task.classes == ("no", "test", "yes")


def test_a_training_part_beside_something_else(tree):
    text = refusal(tree(*images("Training/a", "Training/b", "cropped")))
    assert "use, for this folder only, folder:set/Training" in text


def test_images_and_masks_are_no_classes(tree):
    text = refusal(tree(*images("images", "masks")))
    assert "set has folders images, masks, none of which is named like a class" in text
    assert "folder:set,classes=images/masks" in text


@pytest.mark.parametrize("wrapper", ["mine", "mine/more/most"])
def test_a_wrapper_of_any_name_may_be_a_class(tree, wrapper):
    assert f"if a, b in it are the classes, use folder:set/{wrapper}" in refusal(
        tree(*images(f"{wrapper}/a", f"{wrapper}/b"))
    )


def test_images_without_folders(tree):
    assert "set has 2 images without a class, such as 1.jpg; expected set/CLASS" in refusal(
        tree("1.jpg", "2.jpg")
    )


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("766.mat", "read by figshare:PATH"),
        ("brainTumorDataPublic_1-766.zip", "unpack the .zip files in it"),
    ],
)
def test_other_formats_are_named_with_what_reads_them(tree, name, advice):
    text = refusal(tree(name, "README.txt"))
    assert "no images in set (it contains 1 ." in text
    assert advice in text


def test_what_to_type_can_be_pasted(tree):
    root = tree(*images("yes", "no", "brain tumor dataset/yes", "brain tumor dataset/no"))
    assert "use 'folder:set/brain tumor dataset'" in refusal(root)
