"""A column of texts becomes classes or numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mritk import Classification, DataError, Regression
from mritk_folders.target_column import read_targets


def read(*texts, task="auto"):
    return read_targets(texts, task, "years", "t.csv: column age")


def test_words_are_classes_sorted_by_name():
    task, targets = read("AD", "CN", "MCI", "CN")
    assert task == Classification(("AD", "CN", "MCI"))
    assert targets.tolist() == [0, 1, 2, 1]


@pytest.mark.parametrize(
    ("distinct", "kind"), [(2, Classification), (10, Classification), (11, Regression)]
)
def test_more_than_10_different_numbers_are_a_measurement(distinct, kind):
    task, _ = read(*[str(i) for i in range(distinct)] * 3)
    assert isinstance(task, kind)


def test_a_regression_keeps_values_and_unit():
    task, targets = read(*[f"{i}.5" for i in range(11)])
    assert task == Regression("years")
    np.testing.assert_array_equal(targets, np.arange(11) + 0.5)


def test_numeric_classes_are_sorted_by_value_and_have_one_spelling():
    task, targets = read("10", "2", "2.0", "1e1", "-1")
    assert task == Classification(("-1", "2", "10"))
    assert targets.tolist() == [2, 1, 1, 2, 0]


def test_codes_longer_than_a_float_keeps_stay_apart():
    """Extensions of SNOMED CT have 18 digits."""
    codes = "900000000000207008", "900000000000207009"
    task, targets = read(*codes, codes[0])
    assert task == Classification(codes)
    assert targets.tolist() == [0, 1, 0]
    spellings = ("1e18", "1" + 18 * "0", "1" + 18 * "0" + ".0", "-0.0", "0")
    assert read(*spellings)[1].tolist() == [1, 1, 1, 0, 0]


def test_the_task_can_be_chosen():
    assert isinstance(read("1", "2", task="regression")[0], Regression)
    ages = [str(i) for i in range(20)]
    assert read(*ages, task="classification")[0] == Classification(tuple(ages))


def test_a_word_among_few_numbers_makes_a_classification_and_among_many_it_is_a_mistake():
    assert isinstance(read(*map(str, range(10)), "old")[0], Classification)
    with pytest.raises(DataError, match="'old' among 20 different numbers; use numbers"):
        read(*map(str, range(20)), "old")
    assert isinstance(read(*map(str, range(20)), "old", task="classification")[0], Classification)


@pytest.mark.parametrize(
    "date", ["2021-03-{:02}", "{}.3.2021", "3/{}/21", "2021-03-{:02} 10:30", "2021-03-{:02}T10:30"]
)
def test_many_dates_are_no_classes_unless_they_are_called_so(date):
    dates = [date.format(day) for day in range(1, 12)]
    with pytest.raises(DataError, match=r"contains dates, such as .* 11 different ones; use"):
        read(*dates)
    assert isinstance(read(*dates, task="classification")[0], Classification)
    assert isinstance(read(*dates, "unknown")[0], Classification), "not every value is a date"
    assert isinstance(read(*dates[:2])[0], Classification), "before and after a day"


def test_many_days_as_dicom_writes_them_are_no_measurement_unless_they_are_called_so():
    days = [f"202401{day:02}" for day in range(1, 13)]
    with pytest.raises(DataError, match=r"contains dates, .* 12 different .*task=regression"):
        read(*days)
    assert isinstance(read(*days, task="regression")[0], Regression)
    assert isinstance(read(*days, "20241301")[0], Regression), "not every number is a date"


@pytest.mark.parametrize("text", ["1_000", "inf", "nan", "12 years", "0x10", "1e999"])
def test_what_only_looks_like_a_number_is_a_name(text):
    assert isinstance(read(*map(str, range(10)), text)[0], Classification)
    with pytest.raises(DataError, match=r"is not a number.*task=classification"):
        read("1", "2", text, task="regression")


@pytest.mark.parametrize("texts", [["a"], ["a", "a"], ["1", "1.0"], []])
def test_a_column_of_one_value_predicts_nothing(texts):
    with pytest.raises(DataError, match=r"t\.csv: column age"):
        read(*texts)


@pytest.mark.slow
@given(st.lists(st.text(st.characters(categories=("L", "N")), min_size=1), min_size=2))
def test_every_target_names_its_text(texts):
    if len(set(texts)) < 2:
        return
    try:
        task, targets = read_targets(texts, "classification", "", "here")
    except DataError:
        assert all(text.isdigit() for text in texts), "one number, in several spellings"
        return
    for text, target in zip(texts, targets, strict=True):
        name = task.classes[target]
        assert name == text or float(name) == pytest.approx(float(text))
