"""Letters in a table: two rows share one if and only if they cannot be told apart."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mritk.evaluate.tie_groups import letter, letters_of, tie_groups


@st.composite
def rows_and_differences(draw):
    names = [f"row {number}" for number in range(draw(st.integers(1, 9)))]
    pairs = list(combinations(names, 2))
    different = draw(st.sets(st.sampled_from(pairs))) if pairs else set()
    return names, different


def test_three_rows_in_a_chain():
    """b is like both, but a and c differ."""
    assert tie_groups(["a", "b", "c"], [("a", "c")]) == {"a": "a", "b": "ab", "c": "b"}


def test_all_alike_share_one_letter_and_all_different_share_none():
    names = ["x", "y", "z"]
    assert tie_groups(names, []) == {"x": "a", "y": "a", "z": "a"}
    assert tie_groups(names, combinations(names, 2)) == {"x": "a", "y": "b", "z": "c"}


@given(rows_and_differences())
@settings(deadline=None)
def test_a_letter_is_shared_if_and_only_if_a_pair_does_not_differ(case):
    names, different = case
    letters = {name: letters_of(text) for name, text in tie_groups(names, different).items()}
    for pair in combinations(names, 2):
        shared = bool(letters[pair[0]] & letters[pair[1]])
        assert shared == (pair not in different)


@pytest.mark.slow
@given(rows_and_differences())
@settings(deadline=None)
def test_no_letter_says_what_another_one_says(case):
    names, different = case
    members: dict[str, set[str]] = {}
    for name, text in tie_groups(names, different).items():
        for one in letters_of(text):
            members.setdefault(one, set()).add(name)
    for one, other in combinations(members.values(), 2):
        assert not one <= other
        assert not other <= one


@pytest.mark.slow
@given(rows_and_differences())
@settings(deadline=None)
def test_letters_begin_with_the_best_row_and_leave_none_out(case):
    names, different = case
    found = tie_groups(names, different)
    assert found[names[0]].startswith("a")
    first_seen = dict.fromkeys(one for name in names for one in sorted(letters_of(found[name])))
    assert list(first_seen) == [letter(number) for number in range(len(first_seen))]


@pytest.mark.slow
@given(rows_and_differences())
@settings(deadline=None)
def test_neither_the_order_of_pairs_nor_that_within_a_pair_matters(case):
    names, different = case
    found = tie_groups(names, different)
    assert tie_groups(names, [pair[::-1] for pair in sorted(different, reverse=True)]) == found


def test_after_z_letters_are_numbered():
    names = [str(number) for number in range(60)]
    found = list(tie_groups(names, combinations(names, 2)).values())
    assert found[:2] + found[25:28] + found[51:53] == ["a", "b", "z", "a2", "b2", "z2", "a3"]


def test_pairs_of_rows_that_are_not_in_the_table_are_passed_over():
    assert tie_groups(["a"], [("a", "gone")]) == {"a": "a"}


def test_no_rows_have_no_letters():
    assert tie_groups([], []) == {}
