"""What each kind of task accepts, and that it survives a trial file."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

import mritk
from mritk.errors import DataError
from mritk.tasks.kinds import task_from_dict

BRATS = mritk.Segmentation(
    ("background", "necrosis", "oedema", "enhancing"),
    {"WT": ("necrosis", "oedema", "enhancing"), "TC": ("necrosis", "enhancing")},
)
ALL = [
    mritk.Classification(("glioma", "pituitary")),
    mritk.Regression("years"),
    BRATS,
    mritk.Unlabelled(),
]


@pytest.mark.parametrize("task", ALL, ids=lambda task: task.kind)
def test_a_task_is_the_same_after_json_and_pickle(task):
    assert task_from_dict(json.loads(json.dumps(task.as_dict()))) == task
    assert pickle.loads(pickle.dumps(task)) == task


def test_kinds_and_contents_tell_tasks_apart():
    other = mritk.Segmentation(BRATS.labels, {"WT": BRATS.labels[1:]})
    identities = {(task.kind, *task.identity()) for task in (*ALL, other)}
    assert len(identities) == len(ALL) + 1


def test_regions_are_unions_of_labels():
    assert BRATS.values_of("TC") == (1, 3)
    assert dict(mritk.Segmentation(("background", "tumour")).regions) == {"tumour": ("tumour",)}


@pytest.mark.parametrize(
    ("labels", "regions", "message"),
    [
        (("tumour",), {}, "2 to 256 unique labels"),
        (("background", "a", "a"), {}, "2 to 256 unique labels"),
        (("background", "a"), {"WT": ()}, "region WT must be a union of labels"),
        (("background", "a"), {"WT": ("background",)}, "region WT must be a union of labels"),
        (("background", "a"), {"WT": ("b",)}, "got b"),
    ],
)
def test_labels_and_regions_that_name_nothing_are_refused(labels, regions, message):
    with pytest.raises(DataError, match=message):
        mritk.Segmentation(labels, regions)


@pytest.mark.parametrize("names", ["ab", (0, 1), np.array([0, 1]), ("a", None), ("a", b"b")])
@pytest.mark.parametrize(
    "task",
    [mritk.Classification, mritk.Segmentation, lambda n: mritk.Segmentation(("0", "1"), {"WT": n})],
)
def test_names_that_are_no_texts_are_refused(task, names):
    with pytest.raises(DataError, match="must be a tuple of names"):
        task(names)


@pytest.mark.parametrize("names", [["a", "b"], np.array(["a", "b"]), iter("ab")])
def test_names_in_any_sequence_are_those_of_a_tuple(names):
    task = mritk.Classification(names)
    assert task == mritk.Classification(("a", "b"))
    assert hash(task) == hash(mritk.Classification(("a", "b")))
    assert json.dumps(task.as_dict()) == '{"kind": "classification", "classes": ["a", "b"]}'


def volumes(**columns) -> mritk.Samples:
    """Two cases with label maps."""
    given = {
        "targets": np.empty(0),
        "task": BRATS,
        "read": lambda i: np.full((4, 2, 2, 2), i, np.uint8),
        "read_target": lambda i: np.full((2, 2, 2), i, np.uint8),
        "spatial_dims": 3,
        "channels": ("t1", "t1ce", "t2", "flair"),
    }
    return mritk.Samples(["a", "b"], **(given | columns))


def test_cases_of_a_segmentation_hold_label_maps_and_no_numbers():
    samples = volumes()
    assert samples.targets.tolist() == [0, 0]
    assert samples.only([1]).read_target(0).tolist() == np.ones((2, 2, 2)).tolist()
    with pytest.raises(DataError, match="task segmentation needs 'read_target'"):
        volumes(read_target=None)
    with pytest.raises(DataError, match="task unlabelled takes no 'read_target'"):
        volumes(task=mritk.Unlabelled())
    with pytest.raises(DataError, match="label maps: give 'read_target'"):
        volumes(targets=np.ones(2))


@pytest.mark.parametrize(
    "columns",
    [
        {"read_target": lambda i: np.full((2, 2, 2), i + 1, np.uint8)},
        {"channels": ("t1", "t1ce", "flair", "t2")},
        {"spacing": np.ones((2, 3))},
        {"covariates": {"age": [40, 50]}},
        {"covariates": {"sex": ["f", "m"]}},
    ],
    ids=lambda columns: next(iter(columns)),
)
def test_every_column_is_part_of_the_fingerprint(columns):
    assert volumes(**columns).fingerprint != volumes().fingerprint


def test_covariates_are_texts_or_numbers_one_per_sample():
    samples = volumes(covariates={"sex": ["f", "m"], "age": [40, float("nan")]})
    assert samples.only([1]).covariates["sex"].tolist() == ["m"]
    assert samples.covariates["age"].dtype == np.float64
    with pytest.raises(DataError, match="column age has 1 rows for 2 ids"):
        volumes(covariates={"age": [40]})


AGES = np.asarray([40.0, 10.0, 30.0, 20.0, 50.0, 60.0])


def test_strata_are_the_classes_that_occur_or_quantiles_or_one():
    three = mritk.Classification(("a", "b", "c"))
    assert three.strata(np.asarray([2, 0, 2]), 2).tolist() == [1, 0, 1]
    assert mritk.Regression().strata(AGES, 2).tolist() == [1, 0, 1, 0, 2, 2]
    assert mritk.Regression().strata(AGES, 7).tolist() == [0] * 6  # too few to divide
    for task in (BRATS, mritk.Unlabelled()):
        assert task.strata(np.zeros(3), 2).tolist() == [0, 0, 0]


def test_a_task_tells_what_targets_are_and_how_they_are_distributed():
    tumours, years = ALL[:2]
    assert (tumours.target_text(1), tumours.target_value(1)) == ("pituitary", "pituitary")
    assert (years.target_text(40.0), years.target_value(40.5)) == ("40", 40.5)
    assert years.target_text(1234.5678) == "1234.5678", "two of the same text count as one label"
    assert tumours.support(np.asarray([1, 1])) == {"glioma": 0, "pituitary": 2}
    assert years.summary(AGES) == {"mean": 35.0, "sd": pytest.approx(np.std(AGES, ddof=1))}
    for task in (BRATS, mritk.Unlabelled()):
        assert task.target_text(0.0) == "" and task.target_value(0.0) is None
        assert task.summary(np.zeros(3)) == task.support(np.zeros(3)) == {}


def test_the_largest_difference_of_shares_of_numbers_is_that_of_kolmogorov_and_smirnov():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(0)
    whole = rng.normal(size=40)
    part = whole[:13]
    task = mritk.Regression()
    apart = np.abs(task.shares(part, whole) - task.shares(whole, whole)).max()
    assert apart == pytest.approx(ks_2samp(part, whole).statistic)


def test_equal_segmentations_have_one_hash():
    labels = ("background", "core", "oedema")
    regions = {"whole": ("core", "oedema"), "core": ("core",)}
    one = mritk.Segmentation(labels, regions)
    other = mritk.Segmentation(labels, dict(reversed(regions.items())))
    assert one == other
    assert hash(one) == hash(other)
