"""``a+b``: several datasets as one, and classes renamed so that they fit."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from mritk import Classification, DataError, PassedOver, Regression, Samples, Segmentation
from mritk.data.join import join, rename_classes


def samples_of(targets, classes=("glioma", "none"), *, value=0, unit="years", **columns) -> Samples:
    targets = np.asarray(targets)
    columns.setdefault("digest", lambda i: f"digest {value} {i}")
    return Samples(
        ids=[f"{i}.png" for i in range(len(targets))],
        targets=targets,
        task=Regression(unit) if targets.dtype.kind == "f" else Classification(classes),
        read=lambda i: np.full((2, 2), value + i, np.uint8),
        **columns,
    )


def test_samples_follow_each_other_under_the_name_of_their_dataset():
    joined = join([("a", samples_of([0, 1])), ("b", samples_of([1, 0, 0], value=100))], "a+b")
    assert joined.ids == ("a/0.png", "a/1.png", "b/0.png", "b/1.png", "b/2.png")
    assert joined.targets.tolist() == [0, 1, 1, 0, 0]
    assert [joined.read(i)[0, 0] for i in range(5)] == [0, 1, 100, 101, 102]
    assert joined.contents == ("digest 0 0", "digest 0 1", "digest 100 0", *joined.contents[3:])
    assert joined.spatial_dims == 2


def test_one_dataset_without_digests_makes_all_be_hashed():
    one, other = samples_of([0, 1]), samples_of([0, 1], digest=None)
    joined = join([("a", one), ("b", other)], "a+b")
    assert joined.digest is None
    assert joined.contents[2] == other.contents[0]


def test_datasets_of_one_name_are_numbered():
    table = samples_of([0, 1])
    joined = join([("a", table), ("b", table), ("a", table)], "a+b+a")
    assert [id_.split("/")[0] for id_ in joined.ids] == ["a#1", "a#1", "b", "b", "a#2", "a#2"]


def test_classes_are_matched_by_name_not_by_number_and_sorted():
    one = samples_of([0, 1, 2], ("pituitary", "No Tumor", "glioma"))
    other = samples_of([0, 1, 2], ("no_tumor", "Glioma", "Pituitary"))
    joined = join([("a", one), ("b", other)], "a+b")
    assert joined.task.classes == ("No Tumor", "glioma", "pituitary")
    assert [joined.task.classes[t] for t in joined.targets] == [
        *("pituitary", "No Tumor", "glioma"),
        *("No Tumor", "glioma", "pituitary"),
    ]


def test_other_classes_are_an_error_that_lists_them_and_tells_how_to_rename():
    one, other = samples_of([0, 1]), samples_of([0, 1], ("glioma", "healthy"))
    with pytest.raises(DataError) as caught:
        join([("a", one), ("b", other)], "a+b")
    message = str(caught.value)
    assert "a has glioma, none; b has glioma, healthy" in message
    assert "--rename OLD=NEW" in message
    assert len(join([("a", one), ("b", rename_classes(other, {"healthy": "none"}))], "a+b")) == 4


def test_two_classes_of_one_dataset_that_would_count_as_one_are_refused():
    odd = samples_of([0, 1, 2], ("no tumor", "glioma", "no_tumor"))
    with pytest.raises(DataError, match="'no tumor' and 'no_tumor', which differ only in spelling"):
        join([("a", odd), ("b", samples_of([0, 1], ("no tumor", "glioma")))], "a+b")


def test_numbers_are_joined_if_their_units_are_equal():
    one, other = samples_of([1.0, 2.0]), samples_of([3.0])
    assert join([("a", one), ("b", other)], "a+b").targets.tolist() == [1, 2, 3]
    months = samples_of([3.0], unit="months")
    with pytest.raises(DataError, match="a has years; b has months"):
        join([("a", one), ("b", months)], "a+b")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (samples_of([1.0]), "a has a target for classification; b has a target for regression"),
        (samples_of([0, 1], spatial_dims=3), "a has images; b has volumes"),
        (samples_of([0, 1], spatial_dims=None), "a has images; b has data without a grid"),
    ],
    ids=["tasks", "volumes", "graphs"],
)
def test_what_is_not_of_one_kind_cannot_be_joined(other, message):
    with pytest.raises(DataError, match=message):
        join([("a", samples_of([0, 1])), ("b", other)], "a+b")


def test_nothing_cannot_be_joined():
    with pytest.raises(DataError, match="nothing to join"):
        join([], "")


KNOWN = {"patients": ["p1", "p2"], "sites": ["x", "y"], "splits": ["train", "test"]}


def test_columns_that_all_know_are_joined_and_patients_of_two_datasets_are_two(caplog):
    one, other = samples_of([0, 1], **KNOWN), samples_of([0, 1], **KNOWN)
    with caplog.at_level(logging.WARNING, "mritk"):
        joined = join([("a", one), ("b", other)], "a+b")
    assert joined.patients == ("a/p1", "a/p2", "b/p1", "b/p2")
    assert joined.sites == ("a/x", "a/y", "b/x", "b/y")
    assert joined.splits == ("train", "test", "train", "test")
    assert not caplog.records


@pytest.mark.parametrize(
    ("column", "word"),
    [("sites", "sites"), ("splits", "official splits")],
)
def test_a_column_that_only_some_know_is_unknown_and_a_warning_says_so(column, word, caplog):
    one, other = samples_of([0, 1], **{column: KNOWN[column]}), samples_of([0, 1])
    with caplog.at_level(logging.WARNING, "mritk"):
        joined = join([("a", one), ("b", other)], "a+b")
    assert getattr(joined, column) is None
    assert f"b has no {word}, so they are treated as unknown in all of a+b" in caplog.text


def test_an_official_part_that_some_lack_is_told(caplog):
    one = samples_of([0, 1], splits=["train", "test"])
    with caplog.at_level(logging.WARNING, "mritk"):
        join([("a", one), ("b", samples_of([0, 1], splits=["train", "train"]))], "a+b")
    assert "the official test set of a+b has no samples of b" in caplog.text


def test_patients_that_only_some_know_are_not_given_up():
    one, other = samples_of([0, 1], patients=KNOWN["patients"]), samples_of([0, 1])
    with pytest.raises(DataError, match=r"b has no patient ids, the rest of a\+b does"):
        join([("a", one), ("b", other)], "a+b")


def test_a_column_that_nobody_knows_needs_no_warning(caplog):
    with caplog.at_level(logging.WARNING, "mritk"):
        join([("a", samples_of([0, 1])), ("b", samples_of([0, 1]))], "a+b")
    assert not caplog.records


def test_an_unknown_site_is_no_site_of_its_dataset():
    one, other = samples_of([0, 1], sites=["x", ""]), samples_of([0, 1], sites=["y", "y"])
    assert join([("a", one), ("b", other)], "a+b").sites == ("a/x", "", "b/y", "b/y")


def test_sources_are_kept_or_are_the_name_of_the_dataset():
    one = samples_of([0, 1], sources=["figshare", "Br35H"])
    joined = join([("a", one), ("b", samples_of([0, 1]))], "a+b")
    assert joined.sources == ("figshare", "Br35H", "b", "b")


def test_the_fingerprint_of_a_joined_dataset_is_a_function_of_its_parts():
    def joined(value):
        return join([("a", samples_of([0, 1])), ("b", samples_of([0, 1], value=value))], "a+b")

    assert joined(5).fingerprint == joined(5).fingerprint != joined(6).fingerprint


def test_classes_are_renamed_and_sorted_without_moving_a_sample():
    samples = samples_of([0, 1, 2], ("a", "b", "c"))
    renamed = rename_classes(samples, {"a": "z"})
    assert renamed.task.classes == ("b", "c", "z")
    assert renamed.targets.tolist() == [2, 0, 1]
    assert renamed.ids == samples.ids
    assert renamed.contents == samples.contents


def test_two_classes_with_one_new_name_are_merged():
    samples = samples_of([0, 1, 2, 3], ("glioma", "meningioma", "none", "pituitary"))
    mapping = {"glioma": "tumour", "meningioma": "tumour", "pituitary": "tumour"}
    renamed = rename_classes(samples, mapping)
    assert renamed.task.classes == ("none", "tumour")
    assert renamed.targets.tolist() == [1, 1, 0, 1]
    into_one_that_exists = rename_classes(samples, {"glioma": "meningioma"})
    assert into_one_that_exists.task.classes == ("meningioma", "none", "pituitary")


def test_names_can_be_exchanged():
    renamed = rename_classes(samples_of([0, 1], ("a", "b")), {"a": "b", "b": "a"})
    assert [renamed.task.classes[t] for t in renamed.targets] == ["b", "a"]


def test_no_mapping_changes_nothing_not_even_the_order_of_classes():
    samples = samples_of([0, 1], ("b", "a"))
    assert rename_classes(samples, {}) is samples


def test_wrong_mappings_are_refused():
    with pytest.raises(DataError, match="no class 'gliom' to rename; the classes are glioma, none"):
        rename_classes(samples_of([0, 1]), {"gliom": "x"})
    with pytest.raises(DataError, match="at least two classes"):
        rename_classes(samples_of([0, 1]), {"none": "glioma"})
    with pytest.raises(DataError, match="regression has no classes to rename"):
        rename_classes(samples_of([0.0, 1.0]), {"a": "b"})


def test_what_one_dataset_passed_over_is_told_under_its_name():
    found = [PassedOver("hidden", [".x"])]
    joined = join([("a", samples_of([0, 1], passed_over=found)), ("b", samples_of([0, 1]))], "a+b")
    assert [str(one) for one in joined.passed_over] == ["1 hidden (a/.x)"]


# -- channels, label maps, spacing, covariates -----------------------------------------------------


def volumes_of(count, **columns) -> Samples:
    return samples_of([0, 1] * (count // 2), spatial_dims=3, **columns)


def test_channels_must_be_the_same_in_the_same_order():
    one, other = (volumes_of(2, channels=names) for names in (("t1", "t2"), ("t2", "t1")))
    assert join([("a", one), ("b", one)], "a+b").channels == ("t1", "t2")
    with pytest.raises(DataError, match="a has t1, t2; b has t2, t1; join data with the same"):
        join([("a", one), ("b", other)], "a+b")
    with pytest.raises(DataError, match="a has t1, t2; b has no channels"):
        join([("a", one), ("b", volumes_of(2))], "a+b")


def test_label_maps_follow_their_samples():
    def maps(value):
        return Samples(
            ids=["0", "1"],
            targets=np.zeros(0),
            task=Segmentation(("background", "tumour")),
            read=lambda i: np.zeros((2, 2), np.uint8),
            read_target=lambda i: np.full((2, 2), value + i, np.uint8),
        )

    joined = join([("a", maps(0)), ("b", maps(10))], "a+b")
    assert [joined.read_target(i)[0, 0] for i in range(4)] == [0, 1, 10, 11]


def test_label_maps_that_differ_are_refused_by_what_differs():
    def maps(**regions):
        return Samples(
            ids=["0"],
            targets=np.zeros(0),
            task=Segmentation(("background", "core", "edema"), regions),
            read=lambda i: np.zeros((2, 2), np.uint8),
            read_target=lambda i: np.zeros((2, 2), np.uint8),
        )

    one, other = maps(WT=("core", "edema")), maps(WT=("edema",))
    with pytest.raises(DataError, match=r"a has .*, WT=core\+edema\); b has .*, WT=edema\); join"):
        join([("a", one), ("b", other)], "a+b")
    with pytest.raises(DataError, match="a has label maps of WT; b has label maps of TC; join"):
        join([("a", one), ("b", maps(TC=("core",)))], "a+b")


def test_spacing_is_unknown_if_one_dataset_lacks_it(caplog):
    fine, coarse = (volumes_of(2, spacing=np.full((2, 3), mm)) for mm in (1.0, 2.0))
    assert join([("a", fine), ("b", coarse)], "a+b").spacing[:, 0].tolist() == [1, 1, 2, 2]
    assert not caplog.records
    with caplog.at_level(logging.WARNING, "mritk"):
        assert join([("a", fine), ("b", volumes_of(2))], "a+b").spacing is None
    assert "b has no spacings, so they are treated as unknown in all of a+b" in caplog.text


@pytest.mark.parametrize(
    ("column", "word"), [("affine", "affines"), ("read_lesion", "lesion masks")]
)
def test_functions_that_only_some_have_are_given_up_with_a_warning(column, word, caplog):
    one = volumes_of(2, **{column: lambda i: np.eye(4)})
    with caplog.at_level(logging.WARNING, "mritk"):
        joined = join([("a", one), ("b", volumes_of(2))], "a+b")
    assert getattr(joined, column) is None
    assert f"b has no {word}, so they are treated as unknown" in caplog.text


def test_label_maps_with_and_without_a_spacing_are_refused():
    def maps(spacing):
        return Samples(
            ids=["0"],
            targets=np.zeros(0),
            task=Segmentation(("background", "tumour")),
            read=lambda i: np.zeros((2, 2), np.uint8),
            read_target=lambda i: np.zeros((2, 2), np.uint8),
            spacing=spacing,
        )

    known = maps(np.ones((1, 2)))
    with pytest.raises(DataError, match="a has a spacing in mm; b has no spacing; label maps"):
        join([("a", known), ("b", maps(None))], "a+b")
    assert join([("a", known), ("b", known)], "a+b").spacing.shape == (2, 2)


def test_covariates_of_all_are_kept_and_missing_values_say_so():
    one = volumes_of(2, covariates={"age": [50.0, 61.5], "sex": ["f", "m"], "dose": [1.0, np.nan]})
    other = volumes_of(2, covariates={"age": [70.0, 40.0], "dose": ["high", "low"]})
    joined = join([("a", one), ("b", other)], "a+b").covariates
    assert joined["age"].tolist() == [50.0, 61.5, 70.0, 40.0]
    assert joined["sex"].tolist() == ["f", "m", "", ""]
    assert joined["dose"].tolist() == ["1", "", "high", "low"], "texts where one has texts"
    alone = join([("a", volumes_of(2)), ("b", one)], "a+b").covariates["age"]
    np.testing.assert_array_equal(alone, [np.nan, np.nan, 50.0, 61.5])
    untold = volumes_of(2, covariates={"age": ["", ""], "sex": ["", ""]})
    beside = join([("a", untold), ("b", one), ("c", untold)], "a+b").covariates
    np.testing.assert_array_equal(beside["age"][1:5], [np.nan, 50.0, 61.5, np.nan])
    assert join([("a", untold), ("b", untold)], "a+b").covariates["sex"].tolist() == [""] * 4
