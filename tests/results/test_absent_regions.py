"""What a table says of cases whose scores are undefined, or are not what their unit says."""

from __future__ import annotations

import numpy as np
import pytest

from mritk import Segmentation
from mritk.evaluate.metrics import find_metric
from mritk.results.absent_regions import absent_regions, undefined_cases
from mritk.results.leaderboard import build_leaderboard
from mritk.store.label_maps import LabelMaps
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
        "Dice WT is undefined in 1 of 6 tested cases, where neither label map has the region; "
        "they are left out.",
        "HD95 (mm) WT is undefined in 3 of 6 tested cases, where a label map lacks the region; "
        "they are left out.",
    ]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        (["dice[core]"], ["Dice core"]),
        (["hd95"], ["HD95 (mm) core", "HD95 (mm) WT"]),
        (["dice[WT]"], []),
    ],
)
def test_only_what_a_table_shows_is_told_to_be_undefined(columns, told):
    lost = {"dice[core]": 1, "hd95[core]": 2, "hd95[WT]": 1}
    task = Segmentation(
        ("background", "core", "oedema"), {"WT": ("core", "oedema"), "core": ("core",)}
    )
    found = absent_regions({"net": [(lost, 3)]}, [find_metric(name, task) for name in columns])
    assert [line.partition(" is undefined")[0] for line in found] == told


def test_rows_that_leave_out_more_than_others_are_named():
    (found,) = absent_regions({"unet, none": [({}, 9)], "small": [({"hd95[WT]": 4}, 9)]})
    assert found == (
        "HD95 (mm) WT is undefined in 4 of 18 tested cases, where a label map lacks the region "
        "(unet, none: 0; small: 4); they are left out."
    )


@pytest.mark.parametrize("spacing", [None, np.full((2, 3), 0.5)], ids=["unknown", "known"])
def test_a_table_says_that_its_millimetres_are_voxels(make_record, spacing):
    """Data that do not state their spacing are measured as if it were 1 mm."""
    maps = LabelMaps.of(np.ones((2, 2, 2, 2), np.uint8), spacing)
    none = ["", ""]
    test = Predictions(["a", "b"], none, none, none, np.zeros(2), np.ones((2, 2)))
    test.cases, test.masks, test.references = ("dice[x]", "hd95[x]"), maps, maps
    record = make_record(task=Segmentation(("background", "x")), predictions={"test": test})
    (table,) = build_leaderboard([record]).tables
    assert any("1 mm" in line for line in table.warnings) == (spacing is None)
