"""k-shot training sets: k of each class, nested, spread over patients, from training alone."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mritk import Classification, DataError, Regression, Samples
from mritk.splits.shots import draw_shots
from mritk.splits.splits import SplitRule, make_folds
from mritk.splits.units import units


def cohort(per_patient=4, patients=30, classes=3, **columns) -> Samples:
    owners = np.repeat(np.arange(patients), per_patient)
    return Samples(
        ids=[f"s{i:03d}" for i in range(len(owners))],
        targets=owners % classes,
        task=Classification(tuple("abcdef"[:classes])),
        read=lambda i: np.zeros((2, 2), np.uint8),
        patients=[f"p{i:02d}" for i in owners],
        **columns,
    )


def fold_of(samples, shots, **options):
    (fold,) = make_folds(samples, SplitRule("holdout", shots=shots, **options))
    return fold


def test_each_class_gives_k_training_samples_and_the_other_parts_stay():
    samples = cohort()
    whole = fold_of(samples, 0)
    assert not len(whole.unused)
    for shots in (1, 5, 12):
        fold = fold_of(samples, shots)
        assert Counter(samples.targets[fold.train].tolist()) == {0: shots, 1: shots, 2: shots}
        assert fold.val.tolist() == whole.val.tolist()
        assert fold.test.tolist() == whole.test.tolist()
        assert sorted([*fold.train, *fold.unused]) == whole.train.tolist()


@pytest.mark.slow
def test_larger_sets_contain_the_smaller_ones():
    samples = cohort()
    sets = [set(fold_of(samples, shots).train) for shots in range(1, 20)]
    for smaller, larger in pairwise(sets):
        assert smaller < larger


def test_shots_come_from_as_many_patients_as_there_are():
    samples = cohort(per_patient=4)
    whole = fold_of(samples, 0).train
    patients = np.asarray(samples.patients)
    for shots in (2, 6, 9, 15):
        fold = fold_of(samples, shots)
        for label in range(3):
            own = fold.train[samples.targets[fold.train] == label]
            available = len(set(patients[whole[samples.targets[whole] == label]]))
            each = Counter(patients[own].tolist())
            assert len(each) == min(shots, available)
            assert max(each.values()) - min(each.values()) <= 1 or len(each) < available


def test_a_copy_is_a_second_shot_only_when_every_original_is_taken():
    samples = cohort(per_patient=1, patients=60, classes=2)
    copies = np.arange(60) // 4 * 2 + np.arange(60) % 2  # two copies of one class each
    (fold,) = make_folds(samples, SplitRule("holdout", shots=8), copies)
    assert len(set(copies[fold.train])) == 16


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=50),
    st.integers(1, 5),
    st.integers(0, 1000),
)
def test_the_order_of_samples_never_matters_and_turns_are_taken(rows, shots, seed):
    """Oracle: no patient gives a further sample while another has given fewer and has one left."""
    targets = np.array([target for target, _ in rows])
    samples = Samples(
        ids=[f"s{i:03d}" for i in range(len(rows))],
        targets=targets,
        task=Classification(("a", "b", "c")),
        read=lambda i: np.zeros(1),
        patients=[f"p{patient}" for _, patient in rows],
    )
    everything = np.arange(len(rows))
    if min(Counter(targets.tolist()).get(label, 0) for label in range(3)) < shots:
        with pytest.raises(DataError, match=f"fewer than the {shots} shots"):
            draw_shots(samples, everything, units(samples), shots, seed)
        return
    chosen = draw_shots(samples, everything, units(samples), shots, seed)
    for label in range(3):
        given_by = Counter(samples.patients[i] for i in chosen if targets[i] == label)
        held_by = Counter(samples.patients[i] for i in everything if targets[i] == label)
        assert sum(given_by.values()) == shots
        unexhausted = [given_by[p] for p in held_by if given_by[p] < held_by[p]]
        if unexhausted and given_by:
            assert max(given_by.values()) - min(unexhausted) <= 1
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = samples.only(order)
    again = draw_shots(shuffled, everything, units(shuffled), shots, seed)
    assert {shuffled.ids[i] for i in again} == {samples.ids[i] for i in chosen}


def test_another_seed_draws_other_shots_and_so_does_a_repeat():
    splits = ["train"] * 80 + ["val"] * 20 + ["test"] * 20
    samples = cohort(splits=splits)
    folds = make_folds(samples, SplitRule("official", shots=3, repeats=5))
    assert len({tuple(fold.train) for fold in folds}) == 5
    assert {tuple(fold.test) for fold in folds} == {tuple(range(100, 120))}
    (other,) = make_folds(samples, SplitRule("official", shots=3, seed=1))
    assert other.train.tolist() != folds[0].train.tolist()


def test_shots_are_never_dropped_samples():
    splits = ["train"] * 90 + ["val"] * 15 + ["test"] * 15
    samples = cohort(splits=splits)  # patients of 4 samples straddle 90 and 105
    (fold,) = make_folds(samples, SplitRule("official", shots=10))
    assert len(fold.dropped) > 0
    assert not set(fold.dropped) & set(fold.train)


def test_a_class_with_fewer_training_samples_than_shots_is_refused_by_name():
    with pytest.raises(DataError, match=r"class 'a' has \d+ training samples, fewer than the 99"):
        fold_of(cohort(), 99)


def test_a_number_has_no_shots():
    samples = Samples(
        [f"s{i}" for i in range(40)], np.arange(40.0), Regression("years"), lambda i: np.zeros(1)
    )
    with pytest.raises(DataError, match="regression has no classes; remove shots"):
        fold_of(samples, 3)
