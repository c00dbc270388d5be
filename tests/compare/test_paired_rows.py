"""What is compared fold by fold is of the same samples in both rows."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mritk.compare.paired_rows import PairedRows
from mritk.compare.paired_tests import TESTS, compare_all_pairs
from mritk.errors import UsageError
from mritk.evaluate.metrics import find_metric
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions
from mritk.tasks.segmentation import Segmentation

TASK = Segmentation(("background", "tumour"))
FOLDS, CASES = 4, 6


def rows(make_record, lost: int) -> PairedRows:
    """Two rows over four folds, the second without a distance for so many cases of each."""
    records = []
    for name, absent in (("whole", 0), ("gives up", lost)):
        for fold in range(FOLDS):
            rng = np.random.default_rng(10 * fold + len(name))
            score = np.stack([rng.uniform(0.5, 1, CASES), rng.uniform(1, 9, CASES)], axis=1)
            score[:absent] = 0.0, np.nan
            ids, none = [f"{fold}-{case}" for case in range(CASES)], [""] * CASES
            test = Predictions(ids, ids, none, none, np.zeros(CASES), score, cases=TASK.columns)
            records.append(
                make_record(
                    id=f"{name} {fold}",
                    backbone=name,
                    fold=fold,
                    folds=FOLDS,
                    scheme="kfold",
                    task=TASK,
                    protocol_json=json.dumps({"split": {"scheme": "kfold"}}),
                    predictions={"test": test},
                )
            )
    (table,) = build_leaderboard(records, metrics=["hd95"]).tables
    return PairedRows(table, find_metric("hd95"))


def test_distances_of_different_cases_are_not_compared_fold_by_fold(make_record):
    with pytest.raises(UsageError, match="leaves out 8 cases of one row only"):
        compare_all_pairs(rows(make_record, lost=2), TESTS["corrected_t"])


def test_distances_of_the_same_cases_are(make_record):
    (line,) = compare_all_pairs(rows(make_record, lost=0), TESTS["corrected_t"])
    assert line.comparison.tested
