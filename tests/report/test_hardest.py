"""The samples that all networks find hard."""

from __future__ import annotations

import numpy as np

from mritk.report.hardest import hardest
from mritk.results.leaderboard import build_leaderboard
from tests.report.conftest import FEW


def hardest_of(records):
    (table,) = build_leaderboard(records, analysis=FEW).tables
    return hardest(table)


def test_a_trial_whose_scores_are_no_numbers_says_nothing_of_a_sample(make_trial):
    good, broken = (make_trial(0.8, backbone=name) for name in ("good", "broken"))
    expected = hardest_of([good])
    broken.predictions["test"].score = np.full((90, 3), np.nan, np.float32)
    assert hardest_of([good, broken]) == expected
    assert [sample.loss for sample in expected] == sorted((s.loss for s in expected), reverse=True)
