"""Names of folders and values that mean training, validation or test."""

from __future__ import annotations

import pytest

from mritk.reading.parts import part_of

NAMES = {
    "train": ("train", "Training", "TRAIN_SET", "1. train", "training images", "train-data"),
    "val": ("val", "valid", "Validate", "validation", "2) val", "Validation Set"),
    "test": ("test", "Testing", "Testing Images", "3. test", "test_split"),
    None: ("invalid", "tester", "trained", "value", "retest", "validity", "", "testing_unit"),
}


@pytest.mark.parametrize(("part", "name"), [(part, n) for part, of in NAMES.items() for n in of])
def test_usual_spellings_are_known_and_no_other_word_is(part, name):
    assert part_of(name) == part
