"""``units``: what belongs together, and may therefore not be divided."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mritk import DataError, Regression, Samples
from mritk.data.join import join
from mritk.splits.units import units


def samples_of(count, patients=None) -> Samples:
    return Samples(
        ids=[f"s{i:03d}" for i in range(count)],
        targets=np.zeros(count),
        task=Regression(),
        read=lambda i: np.zeros((2, 2), np.uint8),
        patients=patients,
    )


def by_brute_force(patients, copies) -> list[int]:
    """Join whatever is linked until nothing changes."""
    label = list(range(len(patients)))
    changed = True
    while changed:
        changed = False
        for i in range(len(label)):
            for j in range(len(label)):
                linked = patients[i] == patients[j] or copies[i] == copies[j]
                if linked and label[i] != label[j]:
                    label[i] = label[j] = min(label[i], label[j])
                    changed = True
    return label


def test_a_chain_of_patients_and_copies_is_one_unit():
    """Sample 0 and sample 3 share nothing, but what they share with others binds them."""
    samples = samples_of(5, ["anna", "anna", "bert", "bert", "carl"])
    copies = np.array([0, 1, 1, 2, 3])
    assert units(samples, copies).tolist() == [0, 0, 0, 0, 1]


def test_without_copies_patients_are_the_units():
    assert units(samples_of(4, ["b", "a", "b", "c"])).tolist() == [1, 0, 1, 2]


def test_without_patients_samples_are_their_own_patients():
    assert units(samples_of(3)).tolist() == [0, 1, 2]
    assert units(samples_of(3), np.array([7, 5, 7])).tolist() == [0, 1, 0]


def test_parts_of_a_scan_are_one_unit_with_and_without_patients():
    scans = ["x", "x", "y", "y"]
    alone = replace(samples_of(4), scans=scans)
    assert units(alone).tolist() == [0, 0, 1, 1]
    assert units(alone, np.array([0, 1, 2, 0])).tolist() == [0, 0, 0, 0]
    assert units(replace(alone, patients=["a"] * 4)).tolist() == [0, 0, 0, 0]
    assert units(alone.only([1, 3, 2])).tolist() == [0, 1, 1]


def test_what_was_made_from_a_part_of_a_scan_belongs_to_the_scan():
    made_from = ["", "", "s000", "s001", ""]
    samples = replace(samples_of(5), scans=["x", "x", "x", "x", "z"], made_from=made_from)
    assert units(samples).tolist() == [0, 0, 0, 0, 1]


def test_parts_of_a_scan_have_one_patient_and_one_official_part():
    for column in ({"patients": ["a", "b"]}, {"splits": ["train", "test"]}):
        (name,) = column
        with pytest.raises(DataError, match=f"s000 and s001 are parts of one scan, .* {name} diff"):
            replace(samples_of(2), scans=["x", "x"], **column)


def test_joined_scans_stay_apart_and_do_not_change_a_fingerprint():
    one, other = replace(samples_of(2), scans=["x", "x"]), samples_of(2)
    assert join([("a", one), ("b", other)], "a+b").scans == ("a/x", "a/x", "b/s000", "b/s001")
    assert one.fingerprint == other.fingerprint
    assert join([("a", other), ("b", other)], "a+b").scans is None


def test_a_patient_whose_name_is_that_of_a_sample_is_not_mixed_up_with_it():
    assert units(samples_of(3, ["s002", "s001", "x"])).tolist() == [1, 0, 2]


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(-9, 9)), max_size=30), st.randoms())
def test_units_are_those_of_brute_force_whatever_the_order(links, random):
    patients = [f"p{patient:02d}" for patient, _ in links]
    copies = np.array([copy for _, copy in links], dtype=np.int64)
    samples = samples_of(len(links), patients)
    found = units(samples, copies)
    assert found.dtype == np.int64
    expected = by_brute_force(patients, copies)
    same = np.equal.outer(expected, expected)
    np.testing.assert_array_equal(np.equal.outer(found, found), same)
    assert sorted(set(found.tolist())) == list(range(len(set(expected))))
    order = list(range(len(links)))
    random.shuffle(order)
    shuffled = units(samples.only(np.array(order, dtype=int)), copies[order])
    assert shuffled.tolist() == found[order].tolist()


@pytest.mark.parametrize("copies", [np.zeros(2, int), np.zeros(3), np.zeros((3, 1), int)], ids=str)
def test_copies_that_are_not_one_number_per_sample_are_refused(copies):
    with pytest.raises(ValueError, match="copies have shape"):
        units(samples_of(3), copies)


def test_renaming_patients_in_order_changes_no_number():
    samples = samples_of(4, ["a", "b", "a", "c"])
    renamed = replace(samples, patients=["x1", "x2", "x1", "x3"])
    assert units(samples).tolist() == units(renamed).tolist()
