"""The folds of mritk within scikit-learn."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_score, cross_validate

from mritk import DataError, FoldSplitter, SplitRule, UsageError
from mritk.splits.splits import make_folds


@pytest.fixture
def cohort():
    """120 rows of 60 patients, three classes, features that tell the classes apart."""
    patients = np.repeat([f"p{i:02d}" for i in range(60)], 2)
    labels = np.repeat(np.array(["glioma", "meningioma", "none"])[np.arange(60) % 3], 2)
    features = np.random.default_rng(0).normal(size=(120, 4))
    features[:, 0] += np.unique(labels, return_inverse=True)[1] * 3
    return features, labels, patients


@pytest.mark.slow
def test_it_divides_as_mritk_does(make_samples):
    samples, rule = make_samples(60, 3), SplitRule("kfold", folds=4, repeats=2)
    folds = make_folds(samples, rule)
    divided = list(FoldSplitter(rule).split(samples))
    assert len(divided) == len(folds) == 8
    for (train, test), fold in zip(divided, folds, strict=True):
        assert np.array_equal(train, np.sort(np.concatenate([fold.train, fold.val])))
        assert np.array_equal(test, fold.test)


def test_cross_validation_keeps_patients_whole_and_spreads_classes(cohort):
    features, labels, patients = cohort
    splitter = FoldSplitter(SplitRule("kfold", folds=5))
    seen = []
    for train, test in splitter.split(features, labels, patients):
        assert not {*patients[train]} & {*patients[test]}
        assert len(train) + len(test) == 120
        assert set(np.unique(labels[test], return_counts=True)[1]) == {8}
        seen += [*test]
    assert sorted(seen) == list(range(120))


@pytest.mark.slow
def test_it_goes_where_scikit_learn_takes_cv(cohort):
    features, labels, patients = cohort
    splitter = FoldSplitter(SplitRule("kfold", folds=5, repeats=2))
    scores = cross_val_score(LogisticRegression(), features, labels, groups=patients, cv=splitter)
    assert splitter.get_n_splits() == len(scores) == 10
    assert scores.mean() > 0.8
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=splitter)
    assert search.fit(features, labels, groups=patients).best_score_ > 0.8


@pytest.mark.slow
def test_groups_are_routed_to_it_as_to_a_splitter_of_scikit_learn(cohort):
    features, labels, patients = cohort
    splitter = FoldSplitter(SplitRule("kfold", folds=5))
    given = cross_val_score(LogisticRegression(), features, labels, groups=patients, cv=splitter)
    alone = cross_val_score(LogisticRegression(), features, labels, cv=splitter)
    assert not np.array_equal(given, alone)
    with sklearn.config_context(enable_metadata_routing=True):
        told = {"params": {"groups": patients}, "cv": splitter}
        routed = cross_val_score(LogisticRegression(), features, labels, **told)
        search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=splitter)
        search.fit(features, labels, groups=patients)
        nested = cross_validate(search, features, labels, **told)["test_score"]
        assert str(splitter.get_metadata_routing()) == str(GroupKFold().get_metadata_routing())
    assert np.array_equal(routed, given)
    assert search.best_score_ == given.mean()
    assert len(nested) == 5


def test_copies_stay_on_one_side(cohort):
    features, labels, _ = cohort
    copies = np.arange(120) // 2
    for given in (copies, copies.tolist()):
        for train, test in FoldSplitter(copies=given).split(features, labels):
            assert not {*copies[train]} & {*copies[test]}


def test_targets_of_a_regression_are_spread_by_quantile(cohort):
    features, _, patients = cohort
    ages = np.repeat(np.linspace(20, 80, 60), 2)
    mixed = [int(age) if age == 20 else age for age in ages]
    divided = list(FoldSplitter().split(features, ages, patients))
    for _, test in divided:
        assert ages[test].min() < 35
        assert ages[test].max() > 65
    for other in (ages.astype(object), pd.Series(mixed, dtype=object), pd.array(ages, "Float64")):
        again = FoldSplitter().split(features, other, patients)
        np.testing.assert_equal(list(again), divided)


def test_whole_numbers_and_truth_values_are_classes_in_a_column_of_any_type(cohort):
    features, _, patients = cohort
    for labels in (np.arange(120) // 2 % 3, np.arange(120) // 2 % 2 == 1):
        expected = list(FoldSplitter().split(features, labels, patients))
        found = FoldSplitter().split(features, labels.astype(object), patients)
        np.testing.assert_equal(list(found), expected)


def test_test_rows_never_train_even_where_validation_is_the_test_part(cohort):
    features, labels, patients = cohort
    rule = SplitRule("holdout", validation="test")
    ((train, test),) = FoldSplitter(rule).split(features, labels, patients)
    assert not {*train} & {*test}
    assert len(train) + len(test) == 120


@pytest.mark.parametrize("validation", ["drawn", "test"])
@pytest.mark.parametrize(("limit", "rows"), [({"shots": 3}, 9), ({"train_patients": 4}, 8)])
def test_a_limited_training_set_is_not_joined_by_the_validation_set(
    cohort, limit, rows, validation
):
    features, labels, patients = cohort
    splitter = FoldSplitter(SplitRule("holdout", validation=validation, **limit))
    ((train, test),) = splitter.split(features, labels, patients)
    assert (len(train), len(test)) == (rows, 24)
    assert not {*train} & {*test}


def test_sites_need_samples(make_samples, cohort):
    rule = SplitRule("site")
    samples = make_samples(40, sites=["north", "north", "south", "south"] * 10, per_patient=None)
    divided = list(FoldSplitter(rule).split(samples))
    assert FoldSplitter(rule).get_n_splits(samples) == len(divided) == 2
    with pytest.raises(DataError, match="Samples"):
        FoldSplitter(rule).get_n_splits()
    with pytest.raises(DataError, match="no site"):
        cross_validate(DummyClassifier(), *cohort[:2], cv=FoldSplitter(rule), error_score="raise")


def test_classes_are_needed(cohort):
    with pytest.raises(DataError, match="pass y"):
        next(FoldSplitter().split(cohort[0]))
    some = np.array(["glioma", 1] * 60, dtype=object)
    with pytest.raises(DataError, match="y has no classes that can be told apart"):
        next(FoldSplitter().split(cohort[0], some))


@pytest.mark.parametrize("unknown", [None, float("nan"), pd.NA, pd.NaT])
@pytest.mark.parametrize("known", ["glioma", 1])
def test_rows_of_unknown_class_are_no_class_of_their_own(cohort, unknown, known):
    labels = [unknown, unknown, *[known] * 118]
    with pytest.raises(DataError, match="2 of 120 samples have no class"):
        next(FoldSplitter().split(cohort[0], labels))


WRITTEN = {
    "as two numbers": (lambda n: n, float, False),
    "with more digits": (lambda n: n + 0.5, lambda n: Decimal(f"{n}.50"), False),
    "in two cases": (lambda n: f"P{n}", lambda n: f"p{n}", True),
    "with a zero": (lambda n: f"{n}", lambda n: f"{n:03d}", True),
    "as number and text": (lambda n: n, lambda n: f"{n:02d}", True),
    "as rows of one": (lambda n: [n], lambda n: (float(n),), False),
}


@pytest.mark.parametrize(("one", "other", "told"), WRITTEN.values(), ids=WRITTEN)
def test_a_patient_that_is_written_in_two_ways_is_one(cohort, caplog, one, other, told):
    features, labels, _ = cohort
    owner = np.arange(120) // 2
    groups = [(one if row % 2 else other)(int(owner[row])) for row in range(120)]
    seen = []
    for train, test in FoldSplitter().split(features, labels, groups):
        assert not {*owner[train]} & {*owner[test]}
        assert set(np.unique(labels[test], return_counts=True)[1]) == {8}
        seen += [*test]
    assert sorted(seen) == list(range(120))
    assert bool(caplog.records) == told
    assert not told or "values of groups differ only in spelling and are merged" in caplog.text


def test_names_of_samples_are_merged_as_in_a_run(make_samples, caplog):
    patients = [f"{'pP'[row % 2]}{row // 2}" for row in range(60)]
    sites = ["North", "north", "south", "South "] * 15
    samples = make_samples(60, 3, patients=patients, sites=sites)
    for train, test in FoldSplitter().split(samples):
        assert not {*(train // 2)} & {*(test // 2)}
    assert "patients of X differ only in spelling and are merged" in caplog.text
    by_site = FoldSplitter(SplitRule("site"))
    rows = [*by_site.split(make_samples(60, 3, per_patient=None, sites=sites))]
    assert by_site.get_n_splits(samples) == len(rows) == 2


@pytest.mark.parametrize("rule", ["kfold", "", 5, 0, {"folds": 3}, SplitRule])
def test_a_rule_that_is_none_is_refused_at_once(rule):
    with pytest.raises(UsageError, match=r"^rule must be a SplitRule, such as"):
        FoldSplitter(rule)


def test_it_is_cloned_with_what_it_divides_for(cohort):
    features, labels, patients = cohort
    splitter = FoldSplitter(SplitRule("kfold", folds=4), copies=np.arange(120) // 2)
    search = clone(GridSearchCV(DummyClassifier(), {}, cv=splitter))
    assert search.cv is not splitter
    assert search.cv.rule == splitter.rule
    pairs = zip(search.cv.split(features, labels), splitter.split(features, labels), strict=True)
    for own, other in pairs:
        assert np.array_equal(own[1], other[1])
    assert len(search.fit(features, labels, groups=patients).cv_results_["params"]) == 1


def test_columns_of_another_length_or_shape_are_refused(cohort):
    features, labels, patients = cohort
    with pytest.raises(DataError, match="y has 100 values for 120 samples"):
        next(FoldSplitter().split(features, labels[:100]))
    with pytest.raises(DataError, match="groups has 119 values for 120 samples"):
        next(FoldSplitter().split(features, labels, patients[1:]))
    with pytest.raises(DataError, match=r"y has shape \(120, 2\)"):
        next(FoldSplitter().split(features, np.stack([labels, labels], 1)))
    visits = [[patient, str(row % 2)] for row, patient in enumerate(patients)]
    for groups in (features, list(features), visits, list(map(tuple, visits)), 5, np.array(5)):
        with pytest.raises(DataError, match="groups is no column of values"):
            next(FoldSplitter().split(features, labels, groups))
    train, _ = next(FoldSplitter().split(features, labels, iter(patients)))
    assert np.array_equal(train, next(FoldSplitter().split(features, labels, patients))[0])


@pytest.mark.parametrize("unknown", [None, float("nan"), "", pd.NA, pd.NaT])
def test_rows_of_unknown_patients_are_not_taken_for_those_of_one(cohort, unknown):
    features, labels, patients = cohort
    groups = [unknown, unknown, *patients[2:]]
    with pytest.raises(DataError, match="2 of 120 samples have no group"):
        next(FoldSplitter().split(features, labels, groups))
    next(FoldSplitter().split(features, labels, ["NA", "NA", *patients[2:]]))  # a name
