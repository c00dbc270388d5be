"""No patient and no copy is on both sides: what leaks is dropped, or kept and told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import LeaveOneGroupOut

from mritk import DataError
from mritk.splits.splits import SplitRule, make_folds
from mritk.splits.units import units
from tests.splits.cohort import PARTS, names, samples_of

ALL_PARTS = (*PARTS, "dropped", "unused")


@st.composite
def cohorts(draw):
    """Patients with a few images each, of one class per patient or of several."""
    classes = draw(st.integers(2, 4))
    patients = draw(st.integers(5 * classes, 40))
    images = draw(st.lists(st.integers(1, 6), min_size=patients, max_size=patients))
    mixed = draw(st.booleans())
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    owner = np.repeat(np.arange(patients), images)
    targets = rng.integers(0, classes, len(owner)) if mixed else owner % classes
    order = rng.permutation(len(owner))
    return samples_of(targets[order], [f"p{i}" for i in owner[order]], classes=classes)


def official(*splits, **columns):
    return samples_of(np.arange(len(splits)) % 2, splits=splits, **columns)


SPLITS = ("train",) * 8 + ("val",) * 4 + ("test",) * 4


def test_training_samples_of_official_validation_and_test_patients_are_dropped():
    patients = [f"p{i}" for i in range(16)]
    patients[1] = "p15"  # in training and in test
    patients[2] = "p8"  # in training and in validation
    patients[9] = "p14"  # in validation and in test
    (fold,) = make_folds(official(*SPLITS, patients=patients), SplitRule("official"))
    assert fold.train.tolist() == [0, 3, 4, 5, 6, 7]
    assert fold.val.tolist() == [8, 10, 11]
    assert fold.test.tolist() == [12, 13, 14, 15], "the test part stays whole"
    assert fold.dropped.tolist() == [1, 2, 9]
    assert fold.clean.tolist() == [True, True, False, False]


def test_copies_of_official_test_samples_are_dropped_even_along_a_chain():
    patients = [f"p{i}" for i in range(16)]
    patients[1] = "p0"
    copies = np.arange(16)
    copies[12] = copies[1]  # so patient p0, sample 0 included, is bound to test sample 12
    samples = official(*SPLITS, patients=patients)
    (fold,) = make_folds(samples, SplitRule("official"), copies)
    assert fold.dropped.tolist() == [0, 1]
    assert fold.clean.tolist() == [False, True, True, True]


def test_copies_and_patients_on_both_sides_can_be_kept_and_show():
    patients = [f"p{i}" for i in range(16)]
    patients[15] = "p0"
    copies = np.arange(16)
    copies[12] = copies[1]
    rule = SplitRule("official", copies="keep")
    (fold,) = make_folds(official(*SPLITS, patients=patients), rule, copies)
    assert names(fold) == names(make_folds(official(*SPLITS), rule)[0])
    assert fold.clean.tolist() == [False, True, True, False]
    assert not len(fold.dropped)


def test_a_test_sample_is_clean_of_what_k_shot_training_does_not_see():
    """With keep, clean describes the trial as it is; with drop, the data as they came."""
    samples = samples_of(np.arange(24) % 2, splits=("train",) * 16 + ("val",) * 4 + ("test",) * 4)
    copies = np.r_[np.arange(20), np.arange(4)]  # each test sample copies a training sample
    (kept,) = make_folds(samples, SplitRule("official", copies="keep", shots=1), copies)
    seen = set(copies[kept.train])
    assert kept.clean.tolist() == [copy not in seen for copy in copies[20:]]
    (dropped,) = make_folds(samples, SplitRule("official", shots=1), copies)
    assert not dropped.clean.any()


def test_dropping_a_whole_class_is_an_error_that_counts_and_names_the_remedy():
    copies = np.r_[np.arange(12), 1, 3, 5, 7]  # every training sample of class b is in test
    samples = samples_of([0, 1] * 6 + [1] * 3 + [0], splits=SPLITS)
    with pytest.raises(DataError) as caught:
        make_folds(samples, SplitRule("official"), copies)
    message = str(caught.value)
    assert "class 'b' has no sample in the train set" in message
    assert "of its 4 there, 4 were dropped" in message
    assert "'holdout' or 'kfold'" in message
    assert 'copies = "keep"' in message


def test_dropping_all_training_samples_is_an_error_too():
    samples = samples_of(np.arange(8.0), splits=("train",) * 4 + ("test",) * 4)
    with pytest.raises(DataError, match="train set is empty: of its 4 there, 4"):
        make_folds(samples, SplitRule("official"), np.tile(np.arange(4), 2))


@st.composite
def tangled(draw):
    """Cohorts whose patients are also bound by copies."""
    samples = draw(cohorts())
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    copies = np.arange(len(samples))
    for one, other in rng.integers(0, len(samples), (draw(st.integers(0, 6)), 2)):
        copies[one] = copies[other]
    home = np.array([int(patient[1:]) % 3 for patient in samples.patients])
    sites = np.where(rng.random(len(home)) < 0.05, 0, home).astype(str)
    splits = np.array(PARTS)[[0, 0, 0, 1, 2]][
        [int(patient[1:]) % 5 for patient in samples.patients]
    ]
    astray = rng.random(len(splits)) < 0.1
    splits[astray] = rng.choice(PARTS, astray.sum())
    patients = samples.patients if draw(st.booleans()) else None
    return replace(samples, sites=sites, splits=splits, patients=patients), copies


RULES = st.builds(
    SplitRule,
    scheme=st.sampled_from(["official", "holdout", "kfold", "site"]),
    folds=st.integers(2, 4),
    shots=st.integers(0, 2),
    seed=st.integers(0, 3),
)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(tangled(), RULES)
def test_no_unit_is_in_two_parts_and_every_sample_in_one(cohort, rule):
    samples, copies = cohort
    try:
        folds = make_folds(samples, rule, copies)
    except DataError:
        assume(False)
    unit = units(samples, copies)
    for fold in folds:
        rows = {part: getattr(fold, part) for part in ALL_PARTS}
        assert sorted(np.concatenate(list(rows.values())).tolist()) == list(range(len(samples)))
        for part, own in rows.items():
            assert own.tolist() == sorted(own), part
        learned = {part: set(unit[rows[part]]) for part in PARTS}
        assert not learned["train"] & learned["val"]
        assert not learned["train"] & learned["test"]
        assert not learned["val"] & learned["test"]
        assert not set(unit[fold.unused]) & (learned["val"] | learned["test"])
        assert set(unit[fold.dropped]) <= learned["val"] | learned["test"], "dropped for a reason"
        mates = set(unit[np.concatenate([fold.train, fold.val, fold.unused, fold.dropped])])
        assert fold.clean.tolist() == [number not in mates for number in unit[fold.test]]
        if rule.scheme in ("holdout", "kfold"):
            assert fold.clean.all()
            assert not len(fold.dropped)


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(tangled(), RULES, st.integers(0, 100))
def test_the_order_of_rows_never_matters(cohort, rule, seed):
    samples, copies = cohort
    order = np.random.default_rng(seed).permutation(len(samples))
    try:
        folds = make_folds(samples, rule, copies)
    except DataError as error:
        with pytest.raises(DataError) as caught:
            make_folds(samples.only(order), rule, copies[order])
        assert str(caught.value) == str(error)
        return
    shuffled = make_folds(samples.only(order), rule, copies[order])
    for fold, other in zip(folds, shuffled, strict=True):
        for part in ALL_PARTS:
            assert set(order[getattr(other, part)]) == set(getattr(fold, part)), part
        clean = dict(zip(fold.test, fold.clean, strict=True))
        assert dict(zip(order[other.test], other.clean, strict=True)) == clean


def test_copies_that_are_kept_may_fall_on_both_sides():
    samples = samples_of(np.arange(60) % 2)
    copies = np.arange(60) // 4
    (dropped,) = make_folds(samples, SplitRule("holdout"), copies)
    assert dropped.clean.all()
    (kept,) = make_folds(samples, SplitRule("holdout", copies="keep"), copies)
    assert names(kept) == names(make_folds(samples, SplitRule("holdout"))[0])
    assert not kept.clean.all()


def test_knowing_that_there_are_no_copies_changes_nothing():
    samples = samples_of(np.arange(60) // 2 % 3, [f"p{i // 2}" for i in range(60)])
    for rule in (SplitRule("holdout"), SplitRule("kfold")):
        known = make_folds(samples, rule, np.arange(60)[::-1].copy())
        assert [names(f) for f in known] == [names(f) for f in make_folds(samples, rule)]


def test_each_site_is_the_test_part_once():
    rng = np.random.default_rng(0)
    sites = rng.choice(["Basel", "Chur", "Aarau"], 90)
    samples = samples_of(np.arange(90) % 2, [f"p{i}" for i in range(90)], sites=sites)
    folds = make_folds(samples, SplitRule("site"))
    theirs = LeaveOneGroupOut().split(sites, groups=sites)
    assert [fold.test.tolist() for fold in folds] == [test.tolist() for _, test in theirs]
    for fold, site in zip(folds, ["Aarau", "Basel", "Chur"], strict=True):
        assert set(sites[fold.test]) == {site}
        assert site not in sites[np.concatenate([fold.train, fold.val])]
        assert fold.clean.all()


def test_a_patient_who_was_at_two_sites_is_only_tested():
    sites = ["a"] * 20 + ["b"] * 20
    patients = [f"p{i}" for i in range(40)]
    patients[0] = patients[39]
    samples = samples_of(np.arange(40) % 2, patients, sites=sites)
    at_a, at_b = make_folds(samples, SplitRule("site"))
    assert at_a.dropped.tolist() == [39]
    assert at_b.dropped.tolist() == [0]
    assert at_a.clean.tolist() == [False] + [True] * 19
    at_a, _ = make_folds(samples, SplitRule("site", copies="keep"))
    assert not len(at_a.dropped)
    assert at_a.clean.tolist() == [False] + [True] * 19


def test_a_site_need_not_hold_every_class_but_the_others_must():
    sites = ["a"] * 10 + ["b"] * 30
    targets = np.r_[np.zeros(10, int), np.arange(30) % 2]
    samples = samples_of(targets, sites=sites)
    with pytest.raises(DataError, match="with site 'b' as the test set: class 'b' has no sample"):
        make_folds(samples, SplitRule("site"))
    balanced = samples_of(
        np.r_[np.zeros(10, int), np.arange(30) % 2], sites=sites[:25] + ["c"] * 15
    )
    assert set(balanced.targets[make_folds(balanced, SplitRule("site"))[0].test]) == {0}


@pytest.mark.parametrize(
    ("sites", "named"),
    [(None, "no site"), ([""] * 8, "no site"), (["here"] * 8, "only one site, here")],
)
def test_leaving_a_site_out_needs_two_sites(sites, named):
    with pytest.raises(DataError, match=named):
        make_folds(samples_of(np.arange(8) % 2, sites=sites), SplitRule("site"))


def test_leaving_a_site_out_needs_the_site_of_every_sample():
    samples = samples_of(np.arange(8) % 2, sites=["a", "b", "", "b"] * 2)
    with pytest.raises(DataError, match="2 of 8 samples have no site, and could be of the one"):
        make_folds(samples, SplitRule("site"))
