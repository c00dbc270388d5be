"""What rows cost: summed or averaged over trials, and left out where a trial does not tell."""

from __future__ import annotations

import pytest

from mritk.results.analysis import Analysis
from mritk.results.cost import cost_of, cost_together
from mritk.results.formats import format_leaderboard
from mritk.results.leaderboard import build_leaderboard

WHOLE = {
    "seconds_fit": 3600.0,
    "seconds_predict": 3600.0,
    "gpu_seconds": 7200.0,
    "energy_joules": 5e3,
    "peak_device_memory_bytes": 2.0**30,
    "parameters": 2e6,
}
RESUMED = {**WHOLE, "seconds_fit": 1.0, "resumed_after_epochs": 9.0}


def test_what_a_resumed_trial_took_before_is_unknown_and_its_size_is_not():
    assert cost_of([WHOLE]) == pytest.approx(
        {"parameters": 2, "hours": 2, "gpu_hours": 2, "energy": 5, "memory": 1}
    )
    assert cost_of([WHOLE, RESUMED]) == {"parameters": 2}


@pytest.mark.parametrize("members", [[WHOLE, RESUMED], [RESUMED, WHOLE]])
def test_an_ensemble_of_a_resumed_trial_has_no_hours_either(members):
    assert cost_of([cost_together(members)]) == {"parameters": 4}
    assert cost_of([cost_together([WHOLE, WHOLE])])["hours"] == 4


def test_missing_hours_are_a_dash_with_its_reason(make_record):
    made = [make_record(backbone="a", cost=WHOLE), make_record(backbone="b", cost=RESUMED)]
    board = build_leaderboard(made, analysis=Analysis(interval="none"))
    shown = format_leaderboard(board, "github", ["hours", "parameters"])
    assert "hours: – where a trial does not tell, as one that was resumed" in shown
    assert "hours: –" not in format_leaderboard(board, "github", ["parameters"])
    whole = build_leaderboard(made[:1], analysis=Analysis(interval="none"))
    assert "hours: –" not in format_leaderboard(whole, "github", ["hours"])
