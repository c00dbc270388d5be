"""Progress of the program itself: into a file, and at a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins.progress.test_progress import (
    pseudo_terminal,
)

# -- the program itself ------------------------------------------------------------------------


@pytest.fixture
def command(toy, fast_protocol, tmp_path):
    """The command line of one short run."""
    arguments = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
    arguments += ["-o", tmp_path / "results", "--device", "cpu", "--seeds", 1]
    return [sys.executable, "-m", "mritk", *map(str, arguments)]


@pytest.mark.slow
def test_a_run_into_a_file_has_rows_and_no_bar(run_toy):
    ended = run_toy("--seeds", 1)
    assert ended.code == 0
    assert "\r" not in ended.err + ended.out
    assert "%|" not in ended.err
    assert re.search(r"1/1  tiny@scratch on bands seed 0  balanced accuracy \d\.\d{3}  ", ended.err)
    score = re.search(r"balanced accuracy (\d\.\d{3})", ended.err)[1]
    assert f"| {score}" in ended.out, "the same number as in the table"


@pytest.mark.slow
def test_a_run_on_a_pseudo_terminal_shows_the_bar_there_and_the_table_on_stdout(command, tmp_path):
    outer, inner = pseudo_terminal(columns=160)
    environment = {**os.environ, "TERM": "xterm"}
    environment.pop("CI", None)
    with (tmp_path / "stdout.txt").open("w") as stdout:
        process = subprocess.Popen(command, stdout=stdout, stderr=inner, env=environment)
        os.close(inner)
        seen = b""
        while True:
            try:
                block = os.read(outer, 65536)
            except OSError:  # Linux: the other end is closed
                break
            if not block:
                break
            seen += block
        assert process.wait(60) == 0
    os.close(outer)
    shown = seen.decode()
    assert "trial 1/1, epoch 3/3, loss" in shown
    assert "tiny@scratch on bands seed 0" in shown
    assert re.search(r"\r100%\|█+\| .*left", shown)
    table = Path(stdout.name).read_text()
    assert "tiny@scratch" in table
    assert "\r" not in table
