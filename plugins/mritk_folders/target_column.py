"""Turn a column of texts into a task and its targets."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from mritk import Classification, DataError, Regression

# More distinct numbers than this are a measurement, fewer a grade or a code.
MOST_NUMERIC_CLASSES = 10

# Narrower than what float() takes: 1_000 and infinity are names.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
LONGEST = 30  # digits of a code
# Year first or last, or as DICOM writes it, and perhaps a time.
DATE = re.compile(
    r"(\d{4}([-/.])\d\d?\2\d\d?|\d\d?([-/.])\d\d?\3(\d{4}|\d\d)"
    r"|(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01]))([T ]\d\d?:\d\d.*)?"
)


def read_targets(
    texts: Sequence[str], task: str, unit: str, where: str
) -> tuple[Classification | Regression, np.ndarray]:
    """Return the task and the targets of a column without missing values.

    Args:
        texts: N cells.
        task: ``classification``, ``regression``, or ``auto``: a regression if all cells are
            numbers and more than 10 of them differ, else a classification.
        unit: Unit of a regression.
        where: How the column is called in messages.

    Returns:
        The task, and (N,) class indices or values. Classes are sorted by name, or by value where
        all are numbers; two spellings of one number, such as ``1`` and ``1.0``, are one class.

    Raises:
        DataError: All cells are equal, one of a regression is no number, numbers have commas,
            some of many are none, or many are dates.
    """
    numbers = [number(text) for text in texts]
    values = [number for number in numbers if number is not None]
    numeric = len(values) == len(texts)
    names = list(map(_spelled, texts)) if numeric else list(texts)
    if len(set(names)) < 2:
        raise DataError(
            f"{where} is {texts[0] if texts else 'empty'} for every sample; use another column or "
            "add samples"
        )
    if task != "classification":
        _refuse_decimal_commas(texts, where)
    if task == "auto":
        _refuse_dates(texts, where)
        measured = len(set(values)) > MOST_NUMERIC_CLASSES
        if measured and not numeric:
            other = texts[numbers.index(None)]
            raise DataError(
                f"{where} contains {other!r} among {len(set(values))} different numbers; use "
                "numbers with a decimal point and no unit, or task=classification if all are names"
            )
        task = "regression" if measured else "classification"
    if task == "regression":
        if not numeric:
            raise DataError(
                f"{where} contains {texts[numbers.index(None)]!r}, which is not a number; use "
                "numbers with a decimal point and no unit, or task=classification"
            )
        return Regression(unit), np.asarray(values)
    classes = sorted(set(names), key=Decimal if numeric else None)
    index = {name: position for position, name in enumerate(classes)}
    return Classification(tuple(classes)), np.asarray([index[name] for name in names])


def _spelled(text: str) -> str:
    """Return the one spelling of a number; a code such as SNOMED's keeps its 18 digits."""
    exact = Decimal(text)
    whole = exact == exact.to_integral_value() and exact.adjusted() < LONGEST
    return str(int(exact)) if whole else f"{float(text):.15g}"


def _refuse_decimal_commas(texts: Sequence[str], where: str) -> None:
    """Ages such as ``31,5`` would become as many classes."""
    commas = [text for text in texts if "," in text]
    if commas and all(number(text.replace(",", ".", 1)) is not None for text in texts):
        raise DataError(
            f"{where} contains {commas[0]!r}, a number with a comma; use a decimal point, or "
            "task=classification if these are codes"
        )


def _refuse_dates(texts: Sequence[str], where: str) -> None:
    """Days of examinations would become as many classes, or numbers such as 20240131."""
    if len(set(texts)) > MOST_NUMERIC_CLASSES and all(map(DATE.fullmatch, texts)):
        raise DataError(
            f"{where} contains dates, such as {texts[0]!r}, {len(set(texts))} different ones; use "
            "another column, or numbers such as ages, or task=classification if these are classes, "
            "task=regression if measurements"
        )


def number(text: str) -> float | None:
    """Return the number that a cell holds; None if it holds another text."""
    if not NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
