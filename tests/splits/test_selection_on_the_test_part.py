"""Selection on the test part, as published: a named rule that is another protocol."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mritk import DataError
from mritk.splits.splits import SplitRule, make_folds
from tests.splits.cohort import samples_of

# -- selection on the test set, as published ------------------------------------------------------


@pytest.fixture
def with_test_part():
    """24 samples of 12 patients, the last third an official test set."""
    parts = ["train"] * 16 + ["test"] * 8
    patients = [f"p{i // 2}" for i in range(24)]
    return samples_of(np.arange(24) // 2 % 2, patients, splits=parts)


def test_a_named_rule_makes_the_test_part_the_validation_part(with_test_part):
    (fold,) = make_folds(with_test_part, SplitRule(validation="test"))
    assert fold.val.tolist() == fold.test.tolist() == list(range(16, 24))
    assert fold.train.tolist() == list(range(16)), "nothing is held out for selection"
    assert fold.clean.all(), "training has nothing of the test patients"


def test_it_is_another_protocol_and_its_absence_is_none(with_test_part):
    (drawn,) = make_folds(with_test_part, SplitRule())
    assert not set(drawn.val) & set(drawn.test)
    assert SplitRule() == SplitRule(validation="drawn")


def test_an_official_validation_part_then_joins_the_training_part():
    parts = ["train"] * 8 + ["val"] * 8 + ["test"] * 8
    samples = samples_of(np.arange(24) // 2 % 2, [f"p{i // 2}" for i in range(24)], splits=parts)
    (fold,) = make_folds(samples, SplitRule(validation="test"))
    assert fold.train.tolist() == list(range(16))


def test_copies_of_test_samples_are_still_dropped_from_training(with_test_part):
    copies = np.arange(24)
    copies[3] = copies[20] = 99
    (fold,) = make_folds(with_test_part, SplitRule(validation="test"), copies)
    assert 3 not in fold.train
    (kept,) = make_folds(with_test_part, SplitRule(validation="test", copies="keep"), copies)
    assert 3 in kept.train
    assert not kept.clean[kept.test.tolist().index(20)]


def test_patients_in_the_official_training_and_validation_parts_are_then_kept():
    parts = ["train"] * 8 + ["val"] * 8 + ["test"] * 8
    patients = ["p3" if i in (8, 9) else f"p{i // 2}" for i in range(24)]
    samples = samples_of(np.arange(24) // 2 % 2, patients, splits=parts)
    (fold,) = make_folds(samples, SplitRule(validation="test"))
    assert fold.train.tolist() == list(range(16))
    assert not len(fold.dropped)
    (drawn,) = make_folds(samples, SplitRule())
    assert drawn.dropped.tolist() == [6, 7]


@pytest.mark.parametrize("scheme", ["official", "site"])
def test_repeats_then_draw_nothing_and_are_refused(with_test_part, scheme):
    samples = replace(with_test_part, sites=[*"xxxxyyyy"] * 3)
    with pytest.raises(DataError, match=r'repeats = 2 would repeat .* validation = "test"'):
        make_folds(samples, SplitRule(scheme, validation="test", repeats=2))
    make_folds(samples, SplitRule(scheme, validation="test", repeats=2, shots=1))
    make_folds(samples, SplitRule("holdout", validation="test", repeats=2))
