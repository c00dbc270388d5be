"""What is told of a results folder while trials are trained into it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from mritk.execute.agenda import agenda, announced
from mritk.execute.claim import claimed
from mritk.execute.diary import Diary, diary_path
from mritk.execute.status import Status
from mritk.method import Epoch
from mritk.store.folder import ResultsFolder
from mritk.store.record import Failure


class FakeTrial:
    """A trial by its id."""

    def __init__(self, name):
        self.id = name

    def __str__(self):
        return f"resnet on brains seed {self.id}"


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path)
    folder.require_writable()
    return folder


def epoch(number, seconds=10.0, of=4):
    return Epoch(number, of, "all", 1e-3, 0.1, 0.5, 0.6, seconds)


def test_a_trial_that_is_trained_is_told_with_place_epoch_and_time_left(results):
    with (
        announced(results, [FakeTrial("1"), FakeTrial("2")]),
        claimed(results, "1", wait=False),
        Diary(results, "1") as diary,
    ):
        (running,) = Status.of(results).running
        assert (running.epoch, running.left) == (None, None)
        diary.note(epoch(1))
        diary.note(epoch(2))
        found = Status.of(results)
    (running,) = found.running
    assert (running.trial, running.name) == ("1", "resnet on brains seed 1")
    assert (running.training.host, running.training.process) == (socket.gethostname(), os.getpid())
    assert running.epoch == epoch(2)
    assert running.left == pytest.approx(20, abs=5)
    assert found.to_do == {"2": "resnet on brains seed 2"}
    assert Status.of(results) == Status(0, (), {}, {}, {}, 0)
    assert not (results.path / "claims").exists()


def test_the_time_since_the_last_epoch_counts(results):
    with claimed(results, "1", wait=False), Diary(results, "1") as diary:
        diary.note(epoch(2))
        long_ago = time.time() - 15
        os.utime(diary_path(results, "1"), (long_ago, long_ago))
        (running,) = Status.of(results).running
        assert running.left == pytest.approx(5, abs=2)
        os.utime(diary_path(results, "1"), (0, 0))
        (running,) = Status.of(results).running
        assert running.left == 0


@pytest.mark.parametrize("planned", [0, 2])
def test_behind_the_planned_epochs_it_is_unknown_what_is_left(results, planned):
    with claimed(results, "1", wait=False), Diary(results, "1") as diary:
        diary.note(epoch(3, of=planned))
        (running,) = Status.of(results).running
    assert running.left is None


def test_what_a_killed_process_has_left_is_not_running_but_to_do(results):
    with announced(results, [FakeTrial("1")]), claimed(results, "1", wait=False):
        diary = Diary(results, "1").__enter__()
        diary.note(epoch(1))
        left = {path: path.read_bytes() for path in (results.path / "claims").iterdir()}
    (results.path / "claims").mkdir(exist_ok=True)
    for path, content in left.items():
        path.write_bytes(content)
    found = Status.of(results)
    assert found.running == ()
    assert found.to_do == {"1": "resnet on brains seed 1"}
    assert (found.left, found.goes_on) == ((), True), "this process lives"
    (agenda_of_this,) = (results.path / "claims").glob("*.run")
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    agenda_of_this.rename(agenda_of_this.with_name(f"{socket.gethostname()}-{ended.pid}.run"))
    assert Status.of(results) == replace(found, goes_on=False)
    (results.path / "claims" / "elsewhere-17.run").write_text('{"trials": {"2": "two"}}')
    assert Status.of(results).goes_on, "of another machine nothing is known"


def test_a_trial_with_a_checkpoint_that_nobody_trains_is_to_do_and_interrupted(
    results, make_record
):
    for trial in ("1", "2", ".3"):
        results.checkpoint_path(trial).parent.mkdir(exist_ok=True)
        results.checkpoint_path(trial).touch()
    finished = make_record()
    results.write(finished)
    results.checkpoint_path(finished.id).touch()
    with announced(results, [FakeTrial("2")]):
        found = Status.of(results)
    assert found.to_do == {"1": "1", "2": "resnet on brains seed 2"}
    assert (found.finished, found.interrupted) == (1, 2)
    assert (found.left, found.goes_on) == (("1",), True), "no run names the first"
    assert not Status.of(results).goes_on
    with claimed(results, "1", wait=False), Diary(results, "1"):
        assert Status.of(results).to_do == {"2": "2"}


def test_what_a_killed_run_has_left_is_removed_once_its_trials_are_stored(results):
    (results.path / "claims").mkdir()
    left = results.path / "claims" / "elsewhere-17.run"
    left.write_text(json.dumps({"trials": {"1": "one", "2": "two"}}))
    results.trial_path("1").touch()
    with announced(results, []):
        pass
    assert agenda(results) == {"1": "one", "2": "two"}, "the second is to do"
    results.trial_path("2").touch()
    with announced(results, []):
        pass
    assert not left.exists()


@pytest.mark.parametrize(("folds", "named"), [(1, ""), (2, " fold 0")])
def test_a_failed_trial_is_called_what_its_run_calls_it(results, make_record, folds, named):
    record = make_record(status="failed", folds=folds)
    results.write(record)
    assert Status.of(results).failed == {
        record.id: (f"tiny@scratch on bands{named} seed 0", "RuntimeError: planted")
    }


@pytest.mark.parametrize(
    ("kind", "message", "told"),
    [
        ("SystemExit", "5", "SystemExit: 5"),
        ("KeyError", "first\n  second", "KeyError: first second"),
        ("AssertionError", "", "AssertionError"),
        ("NonFiniteLoss", "the loss is not\nfinite", "the loss is not finite"),
        ("import_extra", "x", "import_extra: x"),
    ],
)
def test_the_reason_of_a_failure_is_the_line_that_its_run_has_told(
    results, make_record, kind, message, told
):
    record = make_record(status="failed", failure=Failure(kind, message, "Traceback …", 0))
    results.write(record)
    assert [reason for _, reason in Status.of(results).failed.values()] == [told]


def test_of_a_worker_that_died_the_words_tell_all(results, make_record):
    failure = Failure("WorkerDied", "the worker was killed", "", 0)
    results.write(make_record(status="failed", failure=failure))
    assert [why for _, why in Status.of(results).failed.values()] == ["the worker was killed"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"trials": 3}', "{}", "\ufeff"])
def test_an_agenda_that_is_being_written_is_passed_over(results, text):
    (results.path / "claims").mkdir()
    (results.path / "claims" / "a-1.run").write_text(text)
    assert agenda(results) == {}


@pytest.mark.parametrize("text", ["", "\n", "{}\n", "nonsense\n", '{"host": "a"}\n'])
def test_a_diary_that_is_being_begun_is_passed_over(results, text):
    with claimed(results, "1", wait=False):
        diary_path(results, "1").write_text(text)
        assert Status.of(results).running == ()
        diary_path(results, "1").unlink()
