"""Kaggle trees as people unpack them: wrapped parts, parts and classes in all spellings."""

from __future__ import annotations

import pytest

from mritk import DataError, Unavailable, part_of
from mritk_folders.subject import subjects_of
from mritk_folders.tree import read_tree


@pytest.fixture
def empty_files(tmp_path):
    """Create empty files; what a tree means does not depend on what is in them."""

    def write(*names):
        for name in names:
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "set"

    return write


def in_parts(prefix, train=("a", "b"), test=("a", "b")):
    return [f"{prefix}Training/{c}/1.png" for c in train] + [
        f"{prefix}Testing/{c}/1.png" for c in test
    ]


# -- parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("train", "train TRAIN Training train_set Train-Set training_data TrainingSet"),
        ("test", "test Testing testing_set test-images TESTSET Test_Data"),
        ("val", "val valid Validation validation_set VAL"),
    ],
)
def test_usual_spellings_of_parts(part, names):
    assert {part_of(name) for name in names.split()} == {part}


@pytest.mark.parametrize(
    "name", ["invalid", "trainer", "tested", "latest", "no tumor", "value", ""]
)
def test_other_names_are_no_parts(name):
    assert part_of(name) is None


@pytest.mark.parametrize("prefix", ["", "archive/", "archive/Brain Tumor/"])
def test_parts_are_found_under_folders_that_only_wrap_them(empty_files, prefix):
    samples = read_tree(empty_files(*in_parts(prefix)))
    assert samples.task.classes == ("a", "b")
    assert sorted(samples.splits) == ["test", "test", "train", "train"]
    assert all(id_.startswith(f"{prefix}T") for id_ in samples.ids), "ids start at the given path"


def test_hidden_folders_and_those_of_a_mac_do_not_count_beside_a_wrapper(empty_files):
    folder = empty_files(*in_parts("archive/"), "__MACOSX/archive/x.png", ".cache/y.png")
    assert len(read_tree(folder)) == 4


def test_a_wrapper_of_parts_beside_another_folder_is_refused_and_can_be_named(empty_files):
    folder = empty_files(*in_parts("archive/"), "other/1.png")
    with pytest.raises(DataError, match=rf"splits of a dataset.* use folder:{folder}/archive"):
        read_tree(folder)
    assert len(read_tree(folder / "archive")) == 4


def test_three_wrappers_are_too_many(empty_files):
    with pytest.raises(DataError, match="one class only"):
        read_tree(empty_files(*in_parts("a/b/c/")))


def test_folders_of_patients_below_one_class_do_not_become_classes(empty_files):
    with pytest.raises(DataError, match="one class only"):
        read_tree(empty_files("tumour/patient-1/1.png", "tumour/patient-2/1.png"))


# -- classes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("other", ["no_tumor", "No Tumor", "no-tumor", "NOTUMOR", "No_ Tumor"])
def test_a_class_keeps_the_spelling_of_the_training_part(empty_files, other):
    folder = empty_files(*in_parts("", ("glioma", "notumor"), ("glioma", other)))
    samples = read_tree(folder)
    assert samples.task.classes == ("glioma", "notumor")
    labels = {
        id_: samples.task.classes[t] for id_, t in zip(samples.ids, samples.targets, strict=True)
    }
    assert labels[f"Testing/{other}/1.png"] == "notumor"


def test_two_spellings_of_a_class_in_one_part_are_refused(empty_files):
    folder = empty_files(*in_parts("", ("a", "no_tumor", "no tumor"), ("a", "no_tumor")))
    with pytest.raises(DataError, match="differ only in spelling"):
        read_tree(folder)


def test_two_class_folders_that_look_the_same_are_refused(empty_files):
    """No name that a person types could tell them from each other."""
    one, other = "m\u00e9ningiome", "me\u0301ningiome"
    with pytest.raises(DataError, match=r"Unicode form \('me\\u0301n.*' and 'm\\xe9n.*'\)"):
        read_tree(empty_files(f"{one}/1.png", f"{other}/2.png", "sain/3.png"))


@pytest.mark.parametrize("typed", ["m\u00e9ningiome", "me\u0301ningiome"], ids=["NFC", "NFD"])
@pytest.mark.parametrize("stored", ["m\u00e9ningiome", "me\u0301ningiome"], ids=["NFC", "NFD"])
def test_a_class_is_found_whatever_unicode_form_the_disk_has(empty_files, stored, typed):
    folder = empty_files(f"{stored}/1.png", "sain/2.png", "autre/3.png")
    samples = read_tree(folder, classes=(typed, "sain"))
    assert samples.task.classes == tuple(sorted((stored, "sain")))
    with pytest.raises(DataError, match=r"no images in a folder glie, given in"):
        read_tree(folder, classes=(typed, "glie"))


def test_without_parts_a_name_is_what_it_says(empty_files):
    assert read_tree(empty_files("1-1/x.png", "11/y.png")).task.classes == ("1-1", "11")


def test_a_really_absent_class_is_still_an_error(empty_files):
    with pytest.raises(DataError, match="no images of c"):
        read_tree(empty_files(*in_parts("", ("a", "b", "c"), ("A", "B"))))


# -- kinds and patients ------------------------------------------------------------------------


def test_images_beside_volumes_are_refused_naming_one_of_each(empty_files):
    with pytest.raises(DataError, match=r"a/1\.png.*b/2\.nii\.gz"):
        read_tree(empty_files("a/1.png", "b/2.nii.gz"))


@pytest.mark.parametrize("name", ["x.nii", "x.nii.gz", "X.NII.GZ", "x.Nii"])
def test_volumes_are_known_by_their_suffix(empty_files, name):
    samples = read_tree(empty_files(f"a/{name}", "b/y.nii", "b/z.gz", "b/z.nii.txt"))
    assert samples.ids == (f"a/{name}", "b/y.nii")
    assert samples.spatial_dims == 3


def test_slices_of_images_are_refused(empty_files):
    with pytest.raises(DataError, match="have no slices"):
        read_tree(empty_files("a/1.png", "b/1.png"), slices=3)


def test_the_bids_subject_is_the_patient_where_every_name_has_one(empty_files):
    folder = empty_files("a/sub-01_T1w.nii.gz", "a/sub-01_ses-2_T1w.nii.gz", "b/sub-02/scan.nii")
    assert read_tree(folder).patients == ("01", "01", "02")


def test_a_class_whose_name_begins_like_a_subject_is_no_patient(empty_files):
    classes = ("sub-acute", "sub-chronic")
    folder = empty_files(*(f"{label}/{n}.nii" for label in classes for n in (1, 2)))
    assert read_tree(folder).patients is None
    named = empty_files("x/sub-acute/sub-01/a.nii", "x/sub-chronic/sub-02_T1w.nii")
    assert read_tree(named / "x").patients == ("01", "02")


def test_a_subject_above_its_class_is_the_patient(empty_files):
    folder = empty_files("sub-01/glioma/a.nii", "sub-01/none/a.nii", "sub-02/none/a.nii")
    assert read_tree(folder, classes=("glioma", "none")).patients == ("01", "01", "02")


def test_one_name_without_subject_means_that_no_patients_are_known(empty_files):
    assert read_tree(empty_files("a/sub-01_T1w.nii.gz", "b/healthy.nii.gz")).patients is None


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("sub-01_T1w.nii", "01"),
        ("x/sub-A7/anat/sub-A7_T1w.nii", "A7"),
        ("oasis_sub-3.nii.gz", "3"),
        ("sub-.nii", None),
        ("xsub-01_T1w.nii", None),
        ("sub01_T1w.nii", None),
    ],
)
def test_what_is_a_subject(name, subject):
    assert subjects_of([name]) == (None if subject is None else (subject,))


def test_a_name_with_two_subjects_is_refused():
    with pytest.raises(DataError, match="two subjects, 01 and 02"):
        subjects_of(["sub-01/anat/sub-02_T1w.nii"])


def test_links_to_content_that_was_not_fetched_are_no_empty_folder(empty_files):
    folder = empty_files("a/1.nii.gz", "b/1.nii.gz")
    (folder / "b" / "2.nii.gz").symlink_to("../.git/annex/objects/xyz")
    with pytest.raises(Unavailable, match=r"1 of 3 files .* b/2\.nii\.gz.*datalad get"):
        read_tree(folder)
