"""How a trial and its repetition are compared."""

from __future__ import annotations

import math

import numpy as np

from mritk import Segmentation
from mritk.execute.reproduce import agreement
from mritk.store.record import Predictions

TASK = Segmentation(("background", "tumour"))


def of_cases(make_record, score):
    none = [""] * len(score)
    names = [f"case {row}" for row in range(len(score))]
    target = np.zeros(len(score))
    test = Predictions(names, none, none, none, target, np.asarray(score), cases=TASK.columns)
    return make_record(task=TASK, predictions={"test": test})


def test_a_region_that_is_absent_in_both_is_no_difference(make_record):
    score = [[0.8, 2.0], [math.nan, math.nan], [0.0, math.nan]]
    found = agreement(of_cases(make_record, score), of_cases(make_record, score), "file")
    assert (found.largest, found.decisions) == (0, 0)
    assert found.scores["dice"] == (0.4, 0.4)


def test_a_region_that_is_absent_in_one_is_the_largest_difference(make_record):
    one = of_cases(make_record, [[0.8, 2.0], [0.5, 1.0]])
    other = of_cases(make_record, [[0.8, 2.0], [0.0, math.nan]])
    assert agreement(one, other, "file").largest == math.inf
