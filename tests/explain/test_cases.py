"""Which test samples are explained."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.errors import UsageError
from mritk.explain.cases import chosen_cases
from mritk.store.record import Predictions


@pytest.fixture
def test_part():
    """Twenty samples, of which the last four are of class 1."""
    target = (np.arange(20) >= 16).astype(np.int64)
    none = [""] * 20
    return Predictions([f"s{i}" for i in range(20)], none, none, none, target, np.zeros((20, 2)))


def test_a_number_is_spread_over_the_classes(test_part):
    chosen = chosen_cases(test_part, "8")
    assert len(chosen) == 8
    assert test_part.target[chosen].sum() == 4
    assert list(chosen) == sorted(chosen)


def test_more_cases_contain_fewer(test_part):
    assert {*chosen_cases(test_part, "4")} < {*chosen_cases(test_part, "9")}


def test_all_and_more_than_there_are(test_part):
    assert chosen_cases(test_part, "all").tolist() == list(range(20))
    assert chosen_cases(test_part, "99").tolist() == list(range(20))


def test_a_number_is_a_number_also_where_a_sample_is_called_by_it(test_part):
    test_part.id = [str(i) for i in range(20)]
    assert len(chosen_cases(test_part, "8")) == 8
    assert chosen_cases(test_part, "8,").tolist() == [8]
    assert chosen_cases(test_part, "8,3").tolist() == [3, 8]


def test_one_id_may_have_commas(test_part):
    test_part.id[5] = "a,b"
    assert chosen_cases(test_part, "a,b").tolist() == [5]


def test_cases_by_id(test_part):
    assert chosen_cases(test_part, "s7, s2").tolist() == [2, 7]
    with pytest.raises(UsageError, match=r"'s99' is no sample of the test set; write a number"):
        chosen_cases(test_part, "s2,s99")
    with pytest.raises(UsageError, match="--cases -3: write 1 or more"):
        chosen_cases(test_part, "-3")
    with pytest.raises(UsageError, match="'--3' is no sample of the test set"):
        chosen_cases(test_part, "--3")
