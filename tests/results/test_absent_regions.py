"""What a table says of cases whose scores are undefined."""

from __future__ import annotations

import numpy as np

from mritk.results.absent_regions import absent_regions, undefined_cases
from mritk.store.record import Predictions


def test_undefined_cases_are_counted_over_trials_and_explained():
    nan = float("nan")
    score = np.asarray([[nan, nan], [0.0, nan], [1.0, 2.0]])
    none = [""] * 3
    test = Predictions(["a", "b", "c"], none, none, none, np.zeros(3), score)
    assert undefined_cases(test) == {}, "they are logits"
    test.cases = ("dice[WT]", "hd95[WT]")
    assert undefined_cases(test) == {"dice[WT]": 1, "hd95[WT]": 2}
    assert absent_regions({"net": [(undefined_cases(test), 3), ({"hd95[WT]": 1}, 3)]}) == [
        "dice[WT] is undefined in 1 of 6 tested cases, where neither label map has the region; "
        "they are left out.",
        "hd95[WT] is undefined in 3 of 6 tested cases, where a label map lacks the region; they "
        "are left out.",
    ]


def test_rows_that_leave_out_more_than_others_are_named():
    (found,) = absent_regions({"unet, none": [({}, 9)], "small": [({"hd95[WT]": 4}, 9)]})
    assert found == (
        "hd95[WT] is undefined in 4 of 18 tested cases, where a label map lacks the region "
        "(unet, none: 0; small: 4); they are left out."
    )
