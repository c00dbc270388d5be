"""Tables for an output that lacks characters line up, and say the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mritk.store.folder import ResultsFolder
from mritk.text.printable import encoding, printable
from mritk.text.text_table import Column, text_table


@pytest.fixture
def of_encoding():
    given = []
    yield lambda name: given.append(encoding.set(name))
    for token in reversed(given):
        encoding.reset(token)


@pytest.mark.parametrize("style", ["github", "plain"])
@pytest.mark.parametrize("name", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_lines_of_a_table_are_equally_long_once_they_are_bytes(of_encoding, name, style):
    of_encoding(name)
    columns = [
        Column("Cohen's κ ↑", ["0.5 ± 0.1", "–"], right=True),
        Column("größe ≥ 60 · ×2", ["名", "a"]),
        Column("end", ["†‡x", "xyz"], right=True),
    ]
    lines = text_table(columns, style).split("\n")
    written = [line.encode(name, "strict") for line in lines]
    if name != "utf-8":
        assert len({len(line) for line in written}) == 1


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ascii", "a . b ^ v +-x \\xe9 \\u540d"),
        ("latin-1", "a · b ^ v ±× é \\u540d"),
        ("utf-8", "a · b ↑ ↓ ±× é 名"),
    ],
)
def test_only_what_is_lacking_is_replaced(of_encoding, name, shown):
    of_encoding(name)
    assert printable("a · b ↑ ↓ ±× é 名") == shown


@pytest.mark.slow
def test_a_leaderboard_on_an_ascii_terminal_and_in_a_file(tmp_path, make_record):
    ResultsFolder(tmp_path).write(make_record(backbone="T1–T2"))
    file = tmp_path / "board.md"
    environ = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}

    def leaderboard(*more: str | Path) -> str:
        words = [sys.executable, "-m", "mritk", "leaderboard", tmp_path, *more]
        return subprocess.check_output([str(word) for word in words], env=environ).decode("ascii")

    table = [line for line in leaderboard().splitlines() if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    assert " ^ " in table[0]
    assert "T1\\u2013T2" in leaderboard("--format", "csv"), "T1-T2 may be another"
    leaderboard("-o", file)
    assert " ↑ " in file.read_text(encoding="utf-8")
