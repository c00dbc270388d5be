"""Which rows of a table have a rank: none that the test set helped to make, beside others."""

from __future__ import annotations

import json

import pytest

from mritk.results.footnotes import footnotes
from mritk.results.formats import as_data
from mritk.results.leaderboard import build_leaderboard
from mritk.results.tabular_export import csv_text

WRONG, RIGHT = (0, 1, 1, 0), (0, 0, 1, 1)


def audit(copies: str, clean: int = 2) -> dict:
    return {
        "split": "x", "copies": copies, "clean": clean, "test": 4, "dropped": 0, "clusters": 1,
        "samples_in_clusters": 2, "shared_with_validation": 0, "audited": True, "findings": [],
    }  # fmt: skip


@pytest.fixture
def make(make_record):
    """Make three runs under a protocol that differs from others in this field of its split."""

    def made(predicted, name, **split):
        return [
            make_record(
                predicted,
                seed=seed,
                protocol=name,
                fingerprint=name[0] * 64,
                scheme="official",
                protocol_json=json.dumps({"split": {"scheme": "auto"} | split}),
                audit=audit(split.get("copies", "drop")),
            )
            for seed in range(3)
        ]

    return made


@pytest.mark.parametrize(
    ("sign", "split"),
    [("†", {"copies": "keep"}), ("§", {"validation": "test"}), ("◊", {"unlabelled": "all"})],
)
def test_a_row_that_the_test_set_helped_to_make_stands_below_others_without_a_letter(
    make, sign, split
):
    (table,) = build_leaderboard(make(RIGHT, "leak", **split) + make(WRONG, "fair")).tables
    fair, leaking = table.rows
    assert [row.keys["protocol"] for row in (fair, leaking)] == ["fair", "leak"]
    assert leaking.cells["balanced_accuracy"].mean > fair.cells["balanced_accuracy"].mean
    assert (fair.ranked, leaking.ranked) == (True, False)
    assert (leaking.marks, leaking.tie) == (sign, "")
    assert any(f"Rows marked {sign} are not ranked" in line for line in footnotes(table))


def test_its_difference_from_others_is_still_told(make):
    (table,) = build_leaderboard(make(RIGHT, "leak", copies="keep") + make(WRONG, "fair")).tables
    (pair,) = table.comparisons["balanced_accuracy"]
    assert abs(pair.difference) == pytest.approx(0.5)


def test_rows_that_are_all_alike_in_this_are_ranked_among_themselves(make):
    records = make(RIGHT, "one", copies="keep") + make(WRONG, "two", copies="keep")
    (table,) = build_leaderboard(records).tables
    assert [row.keys["protocol"] for row in table.rows] == ["one", "two"]
    assert all(row.ranked for row in table.rows)
    assert not any("not ranked" in line for line in footnotes(table))


def test_a_row_without_finished_trials_does_not_make_others_unfair(make):
    failed = make(WRONG, "fair")
    for record in failed:
        record.status, record.predictions = "failed", {}
    (table,) = build_leaderboard(make(RIGHT, "leak", copies="keep") + failed).tables
    assert all(row.ranked for row in table.rows)


def test_data_and_csv_tell_which_rows_are_ranked(make):
    board = build_leaderboard(make(RIGHT, "leak", copies="keep") + make(WRONG, "fair"))
    (table,) = as_data(board)["tables"]
    assert [row["ranked"] for row in table["rows"]] == [True, False]
    head, *lines = [line.split(",") for line in csv_text(board).splitlines()]
    assert [line[head.index("ranked")] for line in lines] == ["True", "False"]
