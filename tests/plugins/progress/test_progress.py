"""Progress: a bar for a person at a terminal, lines for everything else."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import select
import struct
import termios
import time
from types import SimpleNamespace

import pytest

from mritk.method import Epoch
from mritk_progress import Progress
from mritk_progress.log import ProgressLog
from mritk_progress.rows import duration


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


class FakeTrial(str):
    """A trial that is called so."""

    def __new__(cls, name, augmentation="none", protocol="quick"):
        trial = super().__new__(cls, name)
        trial.backbone_name = name.split()[0]
        trial.dataset = SimpleNamespace(record=SimpleNamespace(name="brains"))
        trial.augmentation = SimpleNamespace(name=augmentation)
        trial.protocol = SimpleNamespace(name=protocol)
        return trial


def pseudo_terminal(columns):
    """Return both ends of a terminal of so many columns: ours, and the program's."""
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    return outer, inner


def put_stderr(monkeypatch, stream):
    """Put a stream in the place of stderr, which pytest itself exchanges before a test."""
    for module in ("mritk_progress", "mritk_progress.bar", "mritk_progress.log"):
        monkeypatch.setattr(f"{module}.sys", SimpleNamespace(stderr=stream))


@pytest.fixture
def terminal(monkeypatch):
    """Put a terminal of any width in the place of stderr."""
    for name in ("CI", "COLUMNS"):  # pytest-xdist may set the latter
        monkeypatch.delenv(name, raising=False)
    stream = Terminal()
    put_stderr(monkeypatch, stream)
    return stream


@pytest.fixture
def file(monkeypatch):
    """Put a file in the place of stderr."""
    stream = io.StringIO()
    put_stderr(monkeypatch, stream)
    return stream


def trials(count):
    return [FakeTrial(f"resnet on brains seed {number}") for number in range(count)]


def plan(count):
    return SimpleNamespace(todo=trials(count))


def epoch(number, of=4, seconds=0.0):
    return Epoch(number, of, "all", 1e-3, 0.12345, 0.67891, 0.6, seconds)


def outcome(error="", score="balanced accuracy 0.812"):
    return SimpleNamespace(error=error, score="" if error else score, seconds=41.2)


def run(progress, count=2, epochs=4, error=""):
    progress.mritk_run_start(plan(count))
    for position, trial in enumerate(trials(count), 1):
        progress.mritk_trial_start(trial, position, count)
        for number in range(1, epochs + 1):
            progress.mritk_epoch_end(trial, epoch(number, epochs))
        progress.mritk_trial_finish(trial, outcome(error))
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
    progress.mritk_trial_start(FakeTrial("t"), 1, 2)
    progress.mritk_epoch_end(FakeTrial("t"), epoch(1))
    progress.mritk_trial_finish(FakeTrial("t"), outcome())
    assert " 50%|" in frames(terminal)[-1]
    progress.mritk_run_finish([])


def test_a_failed_trial_is_told_at_once(terminal):
    progress = Progress()
    progress.mritk_run_start(plan(2))
    progress.mritk_trial_start(FakeTrial("resnet"), 1, 2)
    progress.mritk_trial_finish(FakeTrial("resnet"), outcome("out of memory"))
    assert "failed: resnet: out of memory" in terminal.getvalue()
    progress.mritk_run_finish([])


def test_the_line_is_left_at_the_end(terminal):
    run(Progress())
    assert terminal.getvalue().endswith("\n")


@pytest.mark.slow
def test_on_a_terminal_of_80_columns_the_loss_and_the_time_left_are_seen(monkeypatch):
    """The name of a default backbone on the default dataset must not push them off the line."""
    name = "efficientnet_lite0@imagenet on phantom seed 0"
    monkeypatch.delenv("CI", raising=False)
    outer, inner = pseudo_terminal(columns=80)
    with os.fdopen(inner, "w") as stream:
        put_stderr(monkeypatch, stream)
        progress = Progress()
        progress.mritk_run_start(plan(6))
        progress.mritk_trial_start(FakeTrial(name), 1, 6)
        progress.mritk_epoch_end(FakeTrial(name), epoch(1))
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


def test_at_a_terminal_the_row_of_a_trial_stays_above_the_bar(terminal):
    run(Progress())
    rows = [frame for frame in frames(terminal) if "balanced accuracy" in frame]
    assert rows == [
        "1/2  resnet on brains seed 0  balanced accuracy 0.812  41 s",
        "2/2  resnet on brains seed 1  balanced accuracy 0.812  41 s",
    ]


def test_nothing_is_shown_where_nothing_is_to_do(terminal):
    progress = Progress()
    progress.mritk_run_start(plan(0))
    progress.mritk_run_finish([])
    assert terminal.getvalue() == ""


def test_a_log_of_continuous_integration_gets_lines_and_no_bar(terminal, monkeypatch):
    monkeypatch.setenv("CI", "true")
    run(Progress())
    assert "%|" not in terminal.getvalue()
    assert "\r" not in terminal.getvalue()
    assert terminal.getvalue().count("balanced accuracy 0.812") == 2


def test_a_file_gets_a_line_after_the_second_epoch_and_one_per_trial(file):
    run(Progress())
    first, *rows = file.getvalue().splitlines()
    left = r", about \d+ s left"
    assert re.fullmatch(rf"trial 1/2, epoch 2/4, loss .*, val .*, resnet on .* 0{left}", first)
    assert re.fullmatch(rf"1/2  resnet on brains seed 0  balanced accuracy .* 41 s{left}", rows[0])
    assert re.fullmatch(r"2/2  resnet on brains seed 1  balanced accuracy 0\.812  41 s", rows[1])
    assert len(rows) == 2


def test_the_time_left_counts_the_last_epoch_for_those_that_follow(file, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("mritk_progress.log.time", SimpleNamespace(monotonic=lambda: now[0]))
    log = ProgressLog(["a"] * 3, interval=3600)
    log.start_trial("t", "a", "trial 1/3, a")
    now[0] += 1
    log.end_epoch("t", epoch(1, seconds=1.0), "epoch 1")  # of the head alone
    now[0] += 10
    log.end_epoch("t", epoch(2, seconds=10.0), "epoch 2")
    assert file.getvalue().endswith("about 82 s left\n"), "20 of this trial, 31 of each other"
    now[0] += 20
    log.finish_trial("t", "row")
    assert file.getvalue().endswith("row, about 62 s left\n")
    log.close()


@pytest.mark.parametrize("planned", [0, 2])
def test_of_epochs_that_are_not_planned_no_time_left_is_told(file, planned):
    progress = Progress()
    progress.mritk_run_start(plan(1))
    progress.mritk_trial_start(trials(1)[0], 1, 1)
    progress.mritk_epoch_end(trials(1)[0], epoch(3, of=planned))
    progress.display._tell_now()
    assert "trial 1/1, epoch 3, loss" in file.getvalue()
    assert "left" not in file.getvalue()
    progress.mritk_run_finish([])


def test_of_trials_side_by_side_each_row_and_the_time_left_are_told(file, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("mritk_progress.log.time", SimpleNamespace(monotonic=lambda: now[0]))
    progress = Progress()
    progress.mritk_run_start(plan(4))
    first, second, third, _ = trials(4)
    progress.mritk_trial_start(first, 1, 4)
    progress.mritk_trial_start(second, 2, 4)
    now[0] = 10.0
    progress.mritk_epoch_end(first, epoch(1, of=2, seconds=10.0))
    progress.mritk_epoch_end(second, epoch(1, of=4, seconds=10.0))
    now[0] = 20.0
    progress.mritk_epoch_end(second, epoch(2, of=4, seconds=10.0))
    told = file.getvalue().splitlines()[-1]
    assert told.startswith("2 trials running, trial 2/4, epoch 2/4, ")
    # The first takes 20 s, the second 40 s; of two to come each 30 s, two at once.
    assert told.endswith("about 40 s left")
    progress.mritk_trial_finish(second, outcome())
    progress.mritk_trial_start(third, 3, 4)
    progress.mritk_trial_finish(first, outcome())
    rows = [line for line in file.getvalue().splitlines() if "balanced" in line]
    assert rows[0].startswith("1/4  resnet on brains seed 1 ")
    assert rows[1].startswith("2/4  resnet on brains seed 0 ")
    progress.mritk_run_finish([])


def test_no_time_is_told_while_a_backbone_is_to_come_of_which_nothing_is_known(file):
    progress = Progress()
    quick, slow = FakeTrial("linear seed 0"), FakeTrial("resnet seed 0")
    progress.mritk_run_start(SimpleNamespace(todo=[quick, slow]))
    progress.mritk_trial_start(quick, 1, 2)
    progress.mritk_trial_finish(quick, outcome())
    assert "left" not in file.getvalue()
    progress.mritk_trial_start(slow, 2, 2)
    progress.mritk_epoch_end(slow, epoch(1))
    progress.mritk_epoch_end(slow, epoch(2))
    progress.mritk_trial_finish(slow, outcome())
    progress.mritk_run_finish([])


def test_epochs_that_an_executor_tells_afterwards_say_nothing_of_the_time_left(file):
    log = ProgressLog(["r"] * 2)
    log.start_trial("r", "r", "trial 1/2, resnet on brains seed 0")
    log.end_epoch("r", epoch(1, seconds=60.0), "epoch 1")
    log.close()
    assert file.getvalue() == ""


def test_trials_of_which_an_executor_tells_when_they_are_done_took_until_then(file, monkeypatch):
    now = [0.0]
    monkeypatch.setattr("mritk_progress.log.time", SimpleNamespace(monotonic=lambda: now[0]))
    log = ProgressLog(["a"] * 5, interval=3600)
    for position in (1, 2):
        now[0] += 40
        log.start_trial(position, "a", f"trial {position}/5, a")
        log.finish_trial(position, "row")
    assert file.getvalue().endswith("row, about 2 min left\n")
    log.close()


def test_a_failed_trial_is_told_in_a_file_with_its_reason(file):
    run(Progress(), error="out of memory")
    assert "1/2  failed: resnet on brains seed 0: out of memory" in file.getvalue()


def test_rows_tell_augmentation_and_protocol_apart_where_they_differ(file):
    progress = Progress()
    named = [FakeTrial("a", "flip"), FakeTrial("a", "affine")]
    progress.mritk_run_start(SimpleNamespace(todo=named))
    for position, trial in enumerate(named, 1):
        progress.mritk_trial_start(trial, position, 2)
        progress.mritk_trial_finish(trial, outcome())
    progress.mritk_run_finish([])
    assert "1/2  a, flip    balanced accuracy" in file.getvalue()
    assert "2/2  a, affine  balanced accuracy" in file.getvalue()


def test_while_a_long_epoch_goes_on_a_line_comes_at_every_interval(file):
    log = ProgressLog(["r"] * 2, interval=0.01)
    log.start_trial("r", "r", "trial 1/2, resnet on brains seed 0")
    log.end_epoch("r", epoch(1), "trial 1/2, epoch 1/4")
    deadline = time.monotonic() + 10
    while file.getvalue().count("epoch 1/4") < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    log.close()
    lines = file.getvalue().splitlines()
    assert sum("trial 1/2, epoch 1/4" in line for line in lines) >= 4
    time.sleep(0.05)
    assert file.getvalue().splitlines() == lines, "nothing comes once it is closed"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (41.2, "41 s"), (100, "2 min"), (5340, "89 min"), (7500, "2 h 05 min")],
)
def test_durations_are_told_as_a_person_says_them(seconds, text):
    assert duration(seconds) == text


def test_each_run_has_a_bar_of_its_own(terminal):
    progress = Progress()
    run(progress)
    middle = len(terminal.getvalue())
    run(progress)
    assert re.search(r" 0%\|", terminal.getvalue()[middle:])


def test_moments_of_a_run_without_a_bar_are_ignored():
    progress = Progress()
    progress.mritk_epoch_end(FakeTrial("t"), epoch(1))
    progress.mritk_trial_start(FakeTrial("t"), 1, 1)
    progress.mritk_trial_finish(FakeTrial("t"), outcome())
    progress.mritk_run_finish([])
