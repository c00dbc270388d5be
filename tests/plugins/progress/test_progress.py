"""The progress bar: there for a person at a terminal, silent for everything else."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace

import pytest

from mritk.train.setup import Epoch
from mritk_progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def pseudo_terminal(columns):
    """Return both ends of a terminal of so many columns: ours, and the program's."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return outer, inner


@pytest.fixture
def terminal(monkeypatch):
    """Put a terminal of any width in the place of stderr."""
    monkeypatch.delenv("CI", raising=False)
    stream = Terminal()
    # pytest itself exchanges sys.stderr between a fixture and its test.
    monkeypatch.setattr("mritk_progress.sys", SimpleNamespace(stderr=stream))
    return stream


def plan(count):
    return SimpleNamespace(todo=["resnet on brains seed 0"] * count)


def epoch(number, of=4):
    return Epoch(number, of, "all", 1e-3, 0.12345, 0.67891, 0.6, 0.1)


def outcome(error=""):
    return SimpleNamespace(error=error)


def run(progress, trials=2, epochs=4, error=""):
    progress.mritk_run_start(plan(trials))
    for position in range(1, trials + 1):
        name = f"resnet on brains seed {position - 1}"
        progress.mritk_trial_start(name, position, trials)
        for number in range(1, epochs + 1):
            progress.mritk_epoch_end(epoch(number, epochs))
        progress.mritk_trial_finish(name, outcome(error))
    progress.mritk_run_finish([])


def frames(terminal):
    return [frame for frame in re.split(r"[\r\n]+", terminal.getvalue()) if frame.strip()]


def test_a_terminal_is_shown_trial_epoch_losses_and_time_left(terminal):
    run(Progress())
    text = terminal.getvalue()
    assert "trial 1/2, epoch 3/4, loss 0.123, val 0.679, resnet on brains seed 0" in text
    assert "trial 2/2, epoch 3/4, loss 0.123, val 0.679, resnet on brains seed 1" in text
    assert re.search(r"\d\d:\d\d left", text)


def test_the_bar_moves_forward_from_nothing_to_all(terminal):
    run(Progress())
    shown = [int(match) for match in re.findall(r"(\d+)%\|", terminal.getvalue())]
    assert shown == sorted(shown)
    assert shown[0] == 0
    assert shown[-1] == 100
    assert 50 in shown, "one of two trials"
    assert 12 in shown, "one of four epochs of one of two trials"


def test_a_trial_that_stops_early_counts_as_whole(terminal):
    progress = Progress()
    progress.mritk_run_start(plan(2))
    progress.mritk_trial_start("t", 1, 2)
    progress.mritk_epoch_end(epoch(1))
    progress.mritk_trial_finish("t", outcome())
    assert " 50%|" in frames(terminal)[-1]
    progress.mritk_run_finish([])


def test_a_failed_trial_is_told_at_once(terminal):
    progress = Progress()
    progress.mritk_run_start(plan(2))
    progress.mritk_trial_start("resnet", 1, 2)
    progress.mritk_trial_finish("resnet", outcome("out of memory"))
    assert "failed: resnet: out of memory" in terminal.getvalue()
    progress.mritk_run_finish([])


def test_the_line_is_left_at_the_end(terminal):
    run(Progress())
    assert terminal.getvalue().endswith("\n")


def test_on_a_terminal_of_80_columns_the_loss_and_the_time_left_are_seen(monkeypatch):
    """The name of a default backbone on the default dataset must not push them off the line."""
    name = "efficientnet_lite0@imagenet on phantom seed 0"
    monkeypatch.delenv("CI", raising=False)
    outer, inner = pseudo_terminal(columns=80)
    with os.fdopen(inner, "w") as stream:
        monkeypatch.setattr("mritk_progress.sys", SimpleNamespace(stderr=stream))
        progress = Progress()
        progress.mritk_run_start(plan(6))
        progress.mritk_trial_start(name, 1, 6)
        progress.mritk_epoch_end(epoch(1))
        shown = b""
        while select.select([outer], [], [], 0.5)[0]:  # a terminal hands on what it has so far
            shown += os.read(outer, 65536)
        line = shown.decode().split("\r")[-1]
        progress.mritk_run_finish([])
    os.close(outer)
    line = re.sub(r"\x1b\[[A-Z]", "", line)
    assert len(line) <= 80
    assert "loss" in line
    assert "left" in line


@pytest.mark.parametrize("reason", ["no terminal", "CI", "nothing to do"])
def test_nothing_is_drawn_where_nobody_looks(terminal, monkeypatch, reason):
    stream = terminal
    if reason == "no terminal":
        stream = io.StringIO()
        monkeypatch.setattr("mritk_progress.sys", SimpleNamespace(stderr=stream))
    if reason == "CI":
        monkeypatch.setenv("CI", "true")
    progress = Progress()
    if reason == "nothing to do":
        progress.mritk_run_start(plan(0))
        progress.mritk_run_finish([])
    else:
        run(progress, error="planted")
    assert stream.getvalue() == ""


def test_each_run_has_a_bar_of_its_own(terminal):
    progress = Progress()
    run(progress)
    middle = len(terminal.getvalue())
    run(progress)
    assert re.search(r" 0%\|", terminal.getvalue()[middle:])


def test_moments_of_a_run_without_a_bar_are_ignored():
    progress = Progress()
    progress.mritk_epoch_end(epoch(1))
    progress.mritk_trial_start("t", 1, 1)
    progress.mritk_trial_finish("t", outcome())
    progress.mritk_run_finish([])


# -- the program itself ------------------------------------------------------------------------


@pytest.fixture
def command(toy, fast_protocol, tmp_path):
    """The command line of one short run."""
    arguments = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
    arguments += ["-o", tmp_path / "results", "--device", "cpu", "--seeds", 1]
    return [sys.executable, "-m", "mritk", *map(str, arguments)]


def test_a_run_into_a_file_has_no_bar_on_stderr_or_stdout(run_toy):
    ended = run_toy("--seeds", 1)
    assert ended.code == 0
    assert "\r" not in ended.err + ended.out
    assert "%|" not in ended.err


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
