"""Tables at a terminal: they fit it; in a pipe or a file they are whole."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest

from mritk.store.folder import ResultsFolder


@pytest.fixture
def results(make_record, tmp_path):
    """A results folder whose table takes more than 100 columns."""
    for seed in (0, 1):
        record = make_record(id=f"t{seed}", seed=seed, cost={"parameters": 1e6})
        ResultsFolder(tmp_path / "results").write(record)
    return tmp_path / "results"


def at_terminal(columns, *arguments):
    """Run the program in a terminal of this width, and return what it shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "mritk", *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.PIPE, env=environment) as done:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert done.wait() == 0, done.stderr.read()
    os.close(ours)
    return shown.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other end is closed
        return b""


@pytest.mark.slow
def test_at_a_terminal_a_table_fits_and_names_what_is_left_out(results):
    shown = at_terminal(70, "leaderboard", results)
    assert max(map(len, shown.splitlines())) <= 70
    assert "Columns omitted to fit the terminal: " in shown
    assert "| backbone" not in shown, "plain, for a person"


@pytest.fixture
def terminal(monkeypatch):
    """Standard output that says it is a terminal of 70 columns."""

    class Terminal:
        def isatty(self):
            return True

        def fileno(self):
            raise OSError

    monkeypatch.setenv("COLUMNS", "70")
    monkeypatch.setattr("mritk.cli.terminal.output", Terminal)


@pytest.mark.usefixtures("terminal")
def test_wide_shows_all_columns_and_a_format_is_obeyed(mritk, results):
    assert "log loss" not in mritk("leaderboard", results).out.partition("omitted")[0]
    wide = mritk("leaderboard", results, "--wide").out
    assert "log loss" in wide
    assert "omitted" not in wide
    assert "| backbone" in mritk("leaderboard", results, "--format", "github").out


@pytest.mark.usefixtures("terminal")
def test_files_get_all_columns_as_markdown_even_from_a_terminal(mritk, results, tmp_path):
    assert mritk("leaderboard", results, "-o", tmp_path / "table.md").code == 0
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| log loss ↓ |" in text
    assert "omitted" not in text


def test_in_a_pipe_tables_are_whole_and_markdown(mritk, results, monkeypatch):
    monkeypatch.setenv("COLUMNS", "70")
    assert "| log loss ↓ |" in mritk("leaderboard", results).out


@pytest.mark.usefixtures("terminal")
def test_a_comparison_keeps_the_difference_where_there_is_no_room(mritk, results, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    shown = mritk("compare", results, results, "--given-these-models").out
    assert "Columns omitted to fit the terminal: base" in shown
    assert "difference" in shown
    assert "**" not in shown


@pytest.mark.usefixtures("terminal")
def test_lists_take_several_lines_where_one_is_too_short(mritk, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    lines = mritk("list", "datasets").out.splitlines()
    assert max(map(len, lines)) <= 110
    assert sum(line.startswith(" ") for line in lines) > 3, "the rest of what a thing is"
    monkeypatch.setenv("COLUMNS", "1000")
    whole = mritk("list", "datasets").out.splitlines()
    assert len(whole) < len(lines)
