"""Training sets of N patients: nested, stratified, whole patients, from training alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from mritk import DataError, Regression
from mritk.protocol.protocol import Protocol
from mritk.splits.splits import SplitRule, make_folds
from tests.splits.test_shots import cohort


def fold_of(samples, count, scheme="holdout", **options):
    (fold,) = make_folds(samples, SplitRule(scheme, train_patients=count, **options))
    return fold


def patients(samples, rows):
    return {samples.patients[row] for row in rows}


def test_n_patients_train_with_all_their_samples_and_the_other_parts_stay():
    samples = cohort(patients=40)
    whole = fold_of(samples, 0)
    for count in (3, 7, 20):
        fold = fold_of(samples, count)
        chosen = patients(samples, fold.train)
        assert len(chosen) == count
        assert len(fold.train) == 4 * count, "whole patients"
        assert (fold.val.tolist(), fold.test.tolist()) == (whole.val.tolist(), whole.test.tolist())
        assert sorted([*fold.train, *fold.unused]) == whole.train.tolist()


@pytest.mark.slow
def test_larger_sets_contain_the_smaller_ones():
    samples = cohort(patients=40)
    sets = [set(fold_of(samples, count).train) for count in range(3, 25)]
    for smaller, larger in pairwise(sets):
        assert smaller < larger


@pytest.mark.slow
def test_classes_keep_their_share_and_each_is_there():
    """Of 60 training patients 2 in 12 are of the rare class; every beginning has its share."""
    samples = cohort(patients=96, per_patient=2)
    owners = np.arange(96) % 12
    targets = np.repeat(np.where(owners < 2, 0, np.where(owners < 6, 1, 2)), 2)
    samples = replace(samples, targets=targets)
    whole = fold_of(samples, 0)
    held = Counter(targets[whole.train].tolist())
    for count in (3, 10, 25, 50):
        found = Counter(targets[fold_of(samples, count).train].tolist())
        for label in range(3):
            share = held[label] / len(whole.train)
            assert abs(found[label] / (2 * count) - share) <= 1.5 / count, (count, label)
            assert found[label]


@pytest.mark.parametrize("scheme", ["kfold", "site"])
def test_every_fold_draws_its_own(scheme):
    samples = cohort(patients=36, sites=[f"site-{i // 12 % 3}" for i in range(144)])
    folds = make_folds(samples, SplitRule(scheme, folds=3, train_patients=6))
    assert [len(patients(samples, fold.train)) for fold in folds] == [6, 6, 6]


def test_the_order_of_samples_does_not_matter_and_the_seed_does():
    samples = cohort(patients=40)
    fold = fold_of(samples, 8)
    shuffled = samples.only(np.random.default_rng(0).permutation(len(samples)))
    again = fold_of(shuffled, 8)
    assert {samples.ids[i] for i in fold.train} == {shuffled.ids[i] for i in again.train}
    splits = ["train"] * 100 + ["val"] * 30 + ["test"] * 30
    official = make_folds(
        cohort(patients=40, splits=splits), SplitRule("official", train_patients=5, repeats=4)
    )
    assert len({tuple(fold.train) for fold in official}) == 4, "a repeat is another draw"


def test_a_regression_has_no_strata_and_works_alike():
    samples = replace(cohort(patients=40), task=Regression("years"), targets=np.arange(160.0))
    assert len(patients(samples, fold_of(samples, 6).train)) == 6
    assert set(fold_of(samples, 6).train) < set(fold_of(samples, 7).train)


def test_without_patient_ids_each_sample_is_one():
    samples = replace(cohort(), patients=None)
    assert len(fold_of(samples, 9).train) == 9
    with pytest.raises(DataError, match="train_patients = 100, but the training set has 76"):
        fold_of(samples, 100)


def test_more_patients_than_there_are_is_an_error_that_counts_them():
    samples = cohort(patients=30)
    found = len(patients(samples, fold_of(samples, 0).train))
    with pytest.raises(
        DataError, match=f"train_patients = 40, but the training set has {found} patients; lower"
    ):
        fold_of(samples, 40)


def test_fewer_patients_than_classes_are_refused():
    with pytest.raises(DataError, match=r"leaves no training sample of class '[abc]'; raise it"):
        fold_of(cohort(patients=30), 2)


def test_shots_and_patients_are_not_both_limited():
    with pytest.raises(ValueError, match="both limit the training set"):
        SplitRule(shots=5, train_patients=10)
    with pytest.raises(ValueError, match="train_patients must be at least 0"):
        SplitRule(train_patients=-1)


def test_at_its_default_it_is_in_no_fingerprint():
    plain = Protocol("p", "finetune", None)
    assert "train_patients" not in plain.canonical_json()
    limited = replace(plain, split=SplitRule(train_patients=50))
    assert limited.fingerprint != plain.fingerprint
