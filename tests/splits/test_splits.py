"""Splits: parts that share no patient, spread the classes, and never change by themselves."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import RepeatedStratifiedKFold

from mritk import DataError
from mritk.errors import ProtocolError
from mritk.protocol.tomltext import TomlText
from mritk.splits.splits import SplitRule, fold_digest, make_folds, resolved_scheme
from tests.splits.cohort import PARTS, names, samples_of


def test_holdout_is_the_default_and_takes_a_fifth_and_a_fifth_of_the_rest():
    (fold,) = make_folds(samples_of(np.arange(100) % 2), SplitRule())
    assert [len(getattr(fold, part)) for part in PARTS] == [64, 16, 20]


@pytest.mark.parametrize(
    ("fraction", "count"), [(0.5, 50), (0.25, 25), (0.1, 10), (0.3, 30), (0.4, 40), (0.15, 15)]
)
def test_the_test_fraction_is_what_is_asked(fraction, count):
    rule = SplitRule("holdout", test_fraction=fraction)
    (fold,) = make_folds(samples_of(np.arange(100) % 2), rule)
    assert len(fold.test) == count


def test_a_share_of_three_tenths_is_stratified_and_keeps_patients_whole():
    owner = np.arange(120) // 2
    samples = samples_of(owner % 3, [f"p{i}" for i in owner], classes=3)
    (fold,) = make_folds(samples, SplitRule("holdout", test_fraction=0.3, val_fraction=0.25))
    assert len(fold.test) == 36
    assert np.bincount(samples.targets[fold.test]).tolist() == [12, 12, 12]
    assert not set(owner[fold.test]) & set(owner[[*fold.train, *fold.val]])


def test_shares_of_one_in_k_are_drawn_as_they_always_were():
    """Trial ids hold the members of parts: these were drawn before other shares existed."""
    (fold,) = make_folds(samples_of(np.arange(20) % 2), SplitRule("holdout", seed=3))
    assert fold.test.tolist() == [4, 7, 13, 14]
    assert fold.val.tolist() == [1, 5, 12, 16]


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


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(cohorts(), st.sampled_from(["holdout", "kfold"]), st.integers(0, 5))
def test_parts_share_no_patient_and_cover_every_sample(samples, scheme, seed):
    rule = SplitRule(scheme, folds=3, seed=seed)
    try:
        folds = make_folds(samples, rule)
    except DataError:
        assume(False)
    patients = np.asarray(samples.patients)
    for fold in folds:
        rows = [getattr(fold, part) for part in PARTS]
        assert sorted(np.concatenate(rows).tolist()) == list(range(len(samples)))
        owners = [set(patients[part]) for part in rows]
        assert not owners[0] & owners[1]
        assert not owners[0] & owners[2]
        assert not owners[1] & owners[2]
        for part in rows:
            assert set(samples.targets[part]) == set(range(samples.task.outputs))
    if scheme == "kfold":
        tested = np.concatenate([fold.test for fold in folds])
        assert sorted(tested.tolist()) == list(range(len(samples)))
    again = make_folds(samples, rule)
    assert [names(fold) for fold in folds] == [names(fold) for fold in again]


def test_the_seed_of_the_split_draws_another_split():
    samples = samples_of(np.arange(60) // 2 % 3, [f"p{i // 2}" for i in range(60)])
    tests = {
        tuple(make_folds(samples, SplitRule("holdout", seed=seed))[0].test) for seed in range(4)
    }
    assert len(tests) > 1


@pytest.mark.parametrize("grouped", [True, False], ids=["patients", "no patients"])
def test_the_split_does_not_depend_on_the_order_of_the_rows(grouped):
    """The fingerprint of a dataset ignores the order of rows, so the split must, too."""
    patients = [f"p{i // 3}" for i in range(60)] if grouped else None
    samples = samples_of(np.arange(60) // 3 % 2, patients)
    shuffled = samples.only(np.random.default_rng(0).permutation(60))
    assert samples.fingerprint == shuffled.fingerprint

    def drawn(table):
        (fold,) = make_folds(table, SplitRule("holdout"))
        return {part: {table.ids[i] for i in getattr(fold, part)} for part in PARTS}

    assert drawn(samples) == drawn(shuffled)


def test_a_known_split_never_changes():
    """A change of this list changes every result that was ever computed."""
    (fold,) = make_folds(samples_of(np.arange(20) % 2), SplitRule("holdout"))
    assert fold.test.tolist() == [5, 8, 13, 16]


@pytest.mark.parametrize("grouped", [True, False])
def test_classes_are_spread_evenly(grouped):
    rng = np.random.default_rng(1)
    by_patient = rng.choice(3, 200, p=[0.6, 0.3, 0.1])
    targets = np.repeat(by_patient, 2)
    patients = [f"p{i // 2}" for i in range(400)] if grouped else None
    samples = samples_of(targets, patients)
    whole = np.bincount(targets) / 400
    for fold in make_folds(samples, SplitRule("kfold", folds=5)):
        for part in PARTS:
            rows = getattr(fold, part)
            np.testing.assert_allclose(
                np.bincount(targets[rows], minlength=3) / len(rows), whole, atol=0.03
            )


def test_regression_targets_are_spread_by_their_quantiles():
    targets = np.random.default_rng(0).gamma(1.0, 20.0, 300)
    for fold in make_folds(samples_of(targets), SplitRule("kfold")):
        quantiles = np.quantile(targets, [0.25, 0.5, 0.75])
        for part in PARTS:
            below = [(targets[getattr(fold, part)] <= q).mean() for q in quantiles]
            np.testing.assert_allclose(below, [0.25, 0.5, 0.75], atol=0.1)


def test_equal_regression_targets_can_be_divided():
    (fold,) = make_folds(samples_of(np.ones(40)), SplitRule("holdout"))
    assert len(fold.test) == 8


@pytest.mark.parametrize("grouped", [True, False], ids=["patients", "no patients"])
def test_twenty_regression_samples_can_be_divided_into_five_parts(grouped):
    patients = [f"p{i}" for i in range(20)] if grouped else None
    folds = make_folds(samples_of(np.arange(20.0), patients), SplitRule("kfold", folds=5))
    assert sorted(i for fold in folds for i in fold.test) == list(range(20))


def test_kfold_makes_each_sample_a_test_sample_once():
    folds = make_folds(samples_of(np.arange(60) % 3), SplitRule("kfold", folds=4))
    assert len(folds) == 4
    assert sorted(i for fold in folds for i in fold.test) == list(range(60))


def official(*splits, **columns):
    return samples_of(np.arange(len(splits)) % 2, splits=splits, **columns)


SPLITS = ("train",) * 8 + ("val",) * 4 + ("test",) * 4


def test_the_official_split_is_honoured():
    (fold,) = make_folds(official(*SPLITS), SplitRule("official"))
    expected = {"train": [*range(8)], "val": [*range(8, 12)], "test": [*range(12, 16)]}
    assert names(fold) == expected


def test_a_missing_official_validation_part_is_drawn_from_the_training_part():
    (fold,) = make_folds(official(*("train",) * 20, *("test",) * 4), SplitRule("official"))
    assert fold.test.tolist() == [20, 21, 22, 23]
    assert sorted([*fold.train, *fold.val]) == list(range(20))
    assert len(fold.val) == 4


def test_auto_means_official_where_there_is_an_official_test_part():
    assert resolved_scheme(official(*SPLITS), SplitRule()) == "official"
    assert resolved_scheme(samples_of(np.arange(8) % 2), SplitRule()) == "holdout"
    assert resolved_scheme(official("train", "val"), SplitRule()) == "holdout"
    assert resolved_scheme(official(*SPLITS), SplitRule("kfold")) == "kfold"
    (fold,) = make_folds(official(*SPLITS), SplitRule())
    assert fold.test.tolist() == [12, 13, 14, 15]


@pytest.mark.parametrize("splits", [None, ("train",) * 8, ("test",) * 8], ids=str)
def test_official_needs_official_parts(splits):
    samples = samples_of(np.arange(8) % 2, splits=splits)
    with pytest.raises(DataError, match="'holdout' or 'kfold'"):
        make_folds(samples, SplitRule("official"))


def test_a_class_that_is_absent_from_a_part_is_an_error_that_names_both():
    samples = samples_of([0, 1] * 6 + [0] * 4, splits=SPLITS)
    with pytest.raises(DataError, match=r"class 'b' has no sample in the test set \(6 in total\)"):
        make_folds(samples, SplitRule("official"))


def test_a_class_without_any_sample_is_an_error():
    with pytest.raises(DataError, match="class 'c' has no sample"):
        make_folds(samples_of(np.arange(40) % 2, classes=3), SplitRule("holdout"))


def test_too_few_patients_is_an_error():
    samples = samples_of(np.arange(40) % 2, [f"p{i % 3}" for i in range(40)])
    with pytest.raises(DataError, match="3 patients cannot be split into 5 sets"):
        make_folds(samples, SplitRule("holdout"))


def test_too_few_samples_is_an_error():
    with pytest.raises(DataError, match="3 samples cannot be split into 5 sets"):
        make_folds(samples_of([0, 1, 0]), SplitRule("kfold"))


def test_a_division_that_cannot_be_made_is_explained_in_the_words_of_a_radiologist():
    """Not in those of scikit-learn: nobody typed ``n_splits``."""
    samples = samples_of(np.arange(8) % 2, [f"p{i}" for i in range(8)])
    with pytest.raises(DataError) as caught:
        make_folds(samples, SplitRule("holdout", test_fraction=0.1))
    assert "n_splits" not in str(caught.value)


def test_patients_that_are_unknown_for_some_samples_are_an_error_for_a_person():
    patients = [None, None, *(f"p{i}" for i in range(38))]
    with pytest.raises(DataError):
        make_folds(samples_of(np.arange(40) % 2, patients), SplitRule("holdout"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"test_fraction": 0.0},
        {"test_fraction": 0.6},
        {"test_fraction": float("nan")},
        {"val_fraction": -0.1},
        {"val_fraction": 1.0},
        {"folds": 1},
        {"folds": 2.5},
        {"scheme": "k-fold"},
        {"copies": "Drop"},
        {"validation": "Test"},
        {"unlabelled": True},
        {"repeats": 0},
        {"shots": -1},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": 2**32},
    ],
    ids=str,
)
def test_a_rule_that_makes_no_sense_is_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SplitRule(**wrong)


@pytest.mark.slow
def test_repeats_are_numbered_one_after_the_other_and_the_first_is_the_unrepeated_split():
    samples = samples_of(np.arange(60) // 2 % 3, [f"p{i // 2}" for i in range(60)])
    folds = make_folds(samples, SplitRule("kfold", folds=3, repeats=4))
    assert len(folds) == 12
    first = make_folds(samples, SplitRule("kfold", folds=3))
    assert [names(f) for f in folds[:3]] == [names(f) for f in first]
    for repeat in range(4):
        tested = np.concatenate([f.test for f in folds[3 * repeat : 3 * repeat + 3]])
        assert sorted(tested.tolist()) == list(range(60))
    assert len({tuple(fold.test) for fold in folds}) == 12, "each repeat divides anew"


def test_repeats_without_patients_have_the_sizes_of_scikit_learns_repeated_folds():
    targets = np.repeat([0, 1, 2], [30, 20, 13])
    folds = make_folds(samples_of(targets), SplitRule("kfold", folds=4, repeats=3))
    theirs = RepeatedStratifiedKFold(n_splits=4, n_repeats=3).split(targets, targets)
    counts = [np.bincount(targets[fold.test]).tolist() for fold in folds]
    assert sorted(counts) == sorted(np.bincount(targets[test]).tolist() for _, test in theirs)


def test_repeats_of_an_official_split_draw_another_validation_part():
    samples = official(*("train",) * 20, *("test",) * 4)
    folds = make_folds(samples, SplitRule("official", repeats=3))
    assert {tuple(fold.test) for fold in folds} == {(20, 21, 22, 23)}
    assert len({tuple(fold.val) for fold in folds}) == 3


def test_repeats_that_would_draw_nothing_are_refused():
    with pytest.raises(DataError, match="the same official split"):
        make_folds(official(*SPLITS), SplitRule("official", repeats=2))
    assert len(make_folds(official(*SPLITS), SplitRule("official", repeats=2, shots=1))) == 2


@pytest.mark.slow
def test_a_rare_class_is_drawn_into_every_part_where_it_is_possible():
    """Two of three patients of class c must not both be drawn for test."""
    sizes = [9, 1, 12, *range(3, 33)]
    owners = np.repeat(np.arange(33), sizes)
    targets = np.where(owners < 3, 2, owners % 2)
    samples = samples_of(targets, [f"p{i}" for i in owners])
    for seed in range(20):
        (fold,) = make_folds(samples, SplitRule("holdout", seed=seed))
        for part in PARTS:
            assert set(targets[getattr(fold, part)]) == {0, 1, 2}


def test_a_class_of_too_few_patients_is_refused_by_name():
    owners = np.repeat(np.arange(20), 3)
    samples = samples_of(np.where(owners < 2, 2, owners % 2), [f"p{i}" for i in owners])
    with pytest.raises(DataError, match=r"class 'c' has 6 samples of 2 patients, but 3"):
        make_folds(samples, SplitRule("holdout"))


def test_the_digest_of_a_fold_tells_which_samples_are_where_and_nothing_else():
    samples = samples_of(np.arange(60) % 3, [f"p{i // 2}" for i in range(60)])
    (fold,) = make_folds(samples, SplitRule("holdout"))
    expected = {part: sorted(f"s{i:03d}" for i in getattr(fold, part)) for part in PARTS}
    text = json.dumps(expected, sort_keys=True)
    assert fold_digest(samples, fold) == hashlib.sha256(text.encode()).hexdigest()
    shuffled = samples.only(np.random.default_rng(0).permutation(60))
    assert fold_digest(shuffled, make_folds(shuffled, SplitRule("holdout"))[0]) == fold_digest(
        samples, fold
    )
    (other,) = make_folds(samples, SplitRule("holdout", seed=1))
    assert fold_digest(samples, other) != fold_digest(samples, fold)
    assert fold_digest(samples, replace(fold, val=fold.test, test=fold.val)) != fold_digest(
        samples, fold
    )


def test_a_protocol_file_can_say_all_of_it():
    text = '[split]\nscheme = "site"\nrepeats = 2\nshots = 5\ncopies = "keep"'
    source = TomlText(text, "protocol")
    rule = source.into(SplitRule, source.parse()["split"], ("split",))
    assert rule == SplitRule("site", repeats=2, shots=5, copies="keep")
    with pytest.raises(ProtocolError, match=r"line 2: split\.copies: input should be 'drop' or"):
        wrong = TomlText("[split]\ncopies = 'hide'", "protocol")
        wrong.into(SplitRule, wrong.parse()["split"], ("split",))


def test_every_key_of_the_rule_is_in_the_documents():
    document = Path(__file__).parents[2] / "docs" / "protocols.md"
    table = document.read_text(encoding="utf-8").split("[split]")[1].split("[selection]")[0]
    for field in fields(SplitRule):
        assert re.search(rf"^{field.name} = ", table, re.MULTILINE), field.name
