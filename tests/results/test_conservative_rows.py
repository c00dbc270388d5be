"""An interval that may cover more than 95 % has a sign, and a footnote that says why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mritk.results.analysis import Analysis
from mritk.results.by_group import with_groups
from mritk.results.covariate import Covariate
from mritk.results.formats import format_leaderboard
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions

NOTE = "may cover more than 95 %: fewer than 8 wrong predictions"


@pytest.fixture(scope="module")
def records(make_record):
    """Of 80 patients of two sites, one row is wrong in 4, the other in 20; two seeds."""
    n = 80
    target, names = np.arange(n) % 2, [f"s{number}" for number in range(n)]
    site = ["north" if number < n // 2 else "south" for number in range(n)]
    made = []
    for backbone, wrong in (("sure@scratch", 4), ("unsure@scratch", 20)):
        for seed in (0, 1):
            missed = np.isin(np.arange(n), np.random.default_rng(seed).permutation(n)[:wrong])
            score = 3 * np.eye(2, dtype=np.float32)[np.where(missed, 1 - target, target)]
            test = Predictions(names, names, site, [""] * n, target, score)
            found = {"val": test, "test": test}
            made.append(
                make_record(backbone=backbone, seed=seed, id=f"{backbone}{seed}", predictions=found)
            )
    return made


@pytest.fixture(scope="module")
def board(records):
    return build_leaderboard(records, analysis=Analysis(resamples=200))


@pytest.mark.parametrize(
    ("style", "sign", "percent"),
    [("github", "°", "%"), ("plain", "°", "%"), ("html", "°", "%"), ("latex", r"^\circ", r"\%")],
)
def test_the_sign_stands_behind_the_interval_of_that_row(board, style, sign, percent):
    lines = format_leaderboard(board, style).splitlines()
    (sure,) = [line for line in lines if "0.950" in line]
    (unsure,) = [line for line in lines if "0.750" in line]
    assert sign in sure
    assert sign not in unsure
    assert any(sign in line and NOTE.replace("%", percent) in line for line in lines)


def test_data_hold_the_reason(board):
    (table,) = json.loads(format_leaderboard(board, "json"))["tables"]
    told = {
        row["name"]: row["metrics"]["balanced_accuracy"]["interval"]["conservative"]
        for row in table["rows"]
    }
    assert told == {"sure@scratch": "fewer than 8 wrong predictions", "unsure@scratch": ""}
    assert any(NOTE in note for note in table["notes"])


def test_without_such_rows_there_is_no_note(records):
    board = build_leaderboard(records[2:], analysis=Analysis(resamples=200))
    assert "°" not in format_leaderboard(board, "github")


def test_scores_of_groups_have_it_too(board, records):
    text = format_leaderboard(with_groups(board, [Covariate("site")]), "plain")
    _, by_site = text.split("By site")
    (row,) = [line for line in by_site.splitlines() if "unsure" not in line and "sure@" in line]
    assert row.count("]°") == 2, "2 of 40 patients of either site are wrong"
    assert f"{NOTE}." in by_site


def test_notes_tell_of_the_intervals_that_are_shown(records):
    """By default only the first metric shows intervals, and this one has none."""
    board = build_leaderboard(
        records, metrics=["ece", "balanced_accuracy"], analysis=Analysis(resamples=200)
    )
    bare = format_leaderboard(board, "plain")
    assert "95 % interval" not in bare
    assert "°" not in bare
    assert "No interval: " in bare
    every = format_leaderboard(board, "plain", ["intervals"])
    assert "[95 % interval]: Student's" in every
    assert f"° Conservative interval, {NOTE}" in every
    other = build_leaderboard(
        records, metrics=["balanced_accuracy", "ece"], analysis=Analysis(resamples=200)
    )
    assert "No interval: " not in format_leaderboard(other, "plain")
    assert "No interval: " in format_leaderboard(other, "plain", ["intervals"])
