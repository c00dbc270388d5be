"""A report is a table on stdout and a JSON file with every repetition."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.speed.command_line import chosen_cases, command_line
from benchmarks.speed.measurement import Sample
from benchmarks.speed.report import Report, rounded, verdict

FACTS = {"command", "date", "device", "cores", "threads", "torch", "python"}


def report(json_file: Path | None) -> Report:
    return Report("benchmarks.speed.x", Namespace(repeats=2, json=json_file), "cpu")


def test_the_table_and_the_file_hold_the_row_and_the_machine(tmp_path, capsys):
    file = tmp_path / "x.json"
    written = report(file)
    written.add({"what": "step", "ratio": 1.5}, step=[Sample(1.0, 2.0, 0.02)])
    written.show()
    out = capsys.readouterr().out
    assert "| what   |   ratio | others' load   |" in out
    assert "| step   |     1.5 | 2 %            |" in out
    content = json.loads(file.read_text(encoding="utf-8"))
    assert set(content) >= FACTS | {"repetitions", "options", "rows"}
    (row,) = content["rows"]
    assert row["what"] == "step" and row["ratio"] == 1.5
    assert row["samples"] == {"step": [{"seconds": 1.0, "cpu_seconds": 2.0, "other_load": 0.02}]}


def test_an_interrupted_measurement_keeps_the_rows_it_has(tmp_path):
    file = tmp_path / "x.json"
    written = report(file)
    written.add({"what": "first"}, a=[Sample(1, 1)])
    assert [row["what"] for row in json.loads(file.read_text())["rows"]] == ["first"]


def test_a_busy_machine_is_told(capsys):
    written = report(None)
    written.add({"what": "quiet"}, a=[Sample(1, 1, 0.01)])
    written.add({"what": "busy"}, a=[Sample(1, 1, 0.4)])
    written.add({"what": "who knows"}, a=[Sample(1, 1)])
    written.show()
    captured = capsys.readouterr()
    assert "1 of 3 rows were measured while others used more than 6 %" in captured.err
    assert "unknown" in captured.out


@pytest.mark.parametrize(
    ("goal", "text"),
    [
        ({"at_most": 1.05}, "≤ 1.05: met"),
        ({"at_most": 1.0}, "≤ 1: missed"),
        ({"at_least": 1.04}, "≥ 1.04: met"),
        ({"at_least": 2}, "≥ 2: missed"),
        ({}, ""),
    ],
)
def test_goals(goal, text):
    assert verdict(1.04, **goal) == text


def test_three_digits_say_enough():
    assert [rounded(1234.5), rounded(0.012345)] == [1230, 0.0123]


def test_options_choose_cases_and_else_the_defaults_hold():
    defaults = [("a", 96), ("a", 224), ("b", 96)]
    parser = command_line("What.", cases="Default: all.", images=8)
    assert chosen_cases(parser.parse_args([]), defaults) == defaults
    some = parser.parse_args(["--backbone", "c", "--backbone", "d"])
    assert chosen_cases(some, defaults) == [("c", 96), ("c", 224), ("d", 96), ("d", 224)]
    one = parser.parse_args(["--backbone", "c", "--size", "64"])
    assert chosen_cases(one, defaults) == [("c", 64)]


@pytest.mark.parametrize("value", ["0", "-3", "many"])
def test_counts_are_at_least_one(value, capsys):
    with pytest.raises(SystemExit):
        command_line("What.", cases="", images=8).parse_args(["--repeats", value])
    assert "--repeats" in capsys.readouterr().err
