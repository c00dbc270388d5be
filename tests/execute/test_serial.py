"""Trials run one after the other; plugins are told what happens and can do no harm."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from mritk import hookimpl
from mritk.errors import StoreError
from mritk.execute.serial import Events
from mritk.plugins.registry import Registry
from mritk.records import Origin
from mritk.store.folder import ResultsFolder
from mritk.store.record import Predictions
from mritk.train.stage_run import StageRun

DIARY = '''
"""Writes every moment down."""
from pathlib import Path

from mritk import hookimpl

DIARY = Path(__file__).with_suffix(".txt")


def note(line):
    with DIARY.open("a") as stream:
        print(line, file=stream)


@hookimpl
def mritk_run_start(plan):
    note(f"run of {len(plan.todo)}")


@hookimpl
def mritk_trial_start(trial, position, total):
    note(f"trial {position} of {total} seed {trial.seed}")


@hookimpl
def mritk_epoch_end(trial, epoch):
    note(f"epoch {epoch.epoch}/{epoch.epochs} {epoch.stage} seed {trial.seed}")


@hookimpl
def mritk_trial_finish(trial, outcome):
    note(f"finished seed {trial.seed} {outcome.error or 'well'} {outcome.path.is_file()}")


@hookimpl
def mritk_run_finish(outcomes):
    note(f"end of {len(outcomes)}")
'''

RUDE = '''
"""Raises in one moment."""
from mritk import hookimpl


@hookimpl
def {moment}({arguments}):
    raise ValueError("a rude plugin")
'''

MOMENTS = {
    "mritk_run_start": "plan",
    "mritk_trial_start": "trial",
    "mritk_epoch_end": "epoch",
    "mritk_trial_finish": "outcome",
    "mritk_run_finish": "outcomes",
}


@pytest.fixture
def diary(tmp_path):
    path = tmp_path / "diary.py"
    path.write_text(DIARY)
    return path


def lines(diary):
    return diary.with_suffix(".txt").read_text().splitlines()


def trials_in(folder):
    return list(ResultsFolder(folder).trials())


@pytest.mark.slow
def test_the_moments_of_a_run_in_their_order(run_toy, diary):
    run_toy("--seeds", 2, "-p", diary)
    one_trial = ["epoch 1/3 head seed {0}", "epoch 2/3 all seed {0}", "epoch 3/3 all seed {0}"]
    assert lines(diary) == [
        "run of 2",
        "trial 1 of 2 seed 0",
        *[line.format(0) for line in one_trial],
        "finished seed 0 well True",
        "trial 2 of 2 seed 1",
        *[line.format(1) for line in one_trial],
        "finished seed 1 well True",
        "end of 2",
    ]


@pytest.mark.slow
def test_the_announced_epochs_are_the_stored_history(run_toy, diary, tmp_path):
    run_toy("--seeds", 1, "-p", diary)
    (trial,) = trials_in(tmp_path / "results")
    announced = [line for line in lines(diary) if line.startswith("epoch")]
    assert announced == [f"epoch {e.epoch}/{e.epochs} {e.stage} seed 0" for e in trial.history]


@pytest.mark.slow
def test_a_trial_file_is_on_disk_before_the_next_trial_begins(
    run_toy, diary, tmp_path, monkeypatch
):
    stored = []
    real = StageRun.batches

    def count(self, epoch):
        stored.append(len(trials_in(tmp_path / "results")))
        return real(self, epoch)

    monkeypatch.setattr(StageRun, "batches", count)
    run_toy("--seeds", 2)
    assert stored == [0, 0, 0, 1, 1, 1]


@pytest.mark.slow
def test_a_failed_trial_is_announced_with_its_error(run_toy, diary, monkeypatch):
    monkeypatch.setattr(StageRun, "batches", _fail)
    run_toy("--seeds", 1, "-p", diary)
    finished, end = lines(diary)[-2:]
    assert finished.startswith("finished seed 0 RuntimeError: two lines (raised in method finetune")
    assert finished.endswith("True")
    assert end == "end of 1"


def _fail(self, epoch):
    raise RuntimeError("two\n   lines")


@pytest.mark.slow
def test_the_end_of_a_run_is_announced_also_when_it_is_interrupted(run_toy, diary, monkeypatch):
    real = StageRun.batches

    def interrupt(self, epoch):
        if self.training.setup.seed == 1:
            raise KeyboardInterrupt
        return real(self, epoch)

    monkeypatch.setattr(StageRun, "batches", interrupt)
    assert run_toy("--seeds", 3, "-p", diary).code == 130
    assert lines(diary)[-2:] == ["trial 2 of 3 seed 1", "end of 1"]


@pytest.mark.slow
def test_the_end_of_a_run_is_announced_also_when_the_disk_is_full(run_toy, diary, monkeypatch):
    def full(self, record, **_):
        raise StoreError("no space left")

    monkeypatch.setattr(ResultsFolder, "write", full)
    ended = run_toy("--seeds", 2, "-p", diary)
    assert ended.code == 3
    assert "no space left" in ended.err
    assert lines(diary)[-1] == "end of 0"


@pytest.mark.slow
def test_a_result_that_no_file_can_hold_is_a_failed_trial_and_others_are_trained(
    run_toy, tmp_path, monkeypatch
):
    real = Predictions.of.__func__
    calls = []

    def odd_at_first(cls, samples, score, *rest):
        found = real(cls, samples, score, *rest)
        calls.append(found)
        if len(calls) == 1:
            found.covariates["caf\udce9"] = np.zeros(len(found.id))
        return found

    monkeypatch.setattr(Predictions, "of", classmethod(odd_at_first))
    ended = run_toy("--seeds", 2)
    assert ended.code == 3
    assert "cannot hold the result of trial" in ended.err
    states = sorted((trial.seed, trial.status) for trial in trials_in(tmp_path / "results"))
    assert states == [(0, "failed"), (1, "finished")]
    assert run_toy("--seeds", 2).code == 0, "from its checkpoint"


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_plugin_that_raises_harms_no_trial(run_toy, diary, tmp_path, moment, caplog):
    rude = tmp_path / "rude.py"
    rude.write_text(RUDE.format(moment=moment, arguments=MOMENTS[moment]))
    with caplog.at_level(logging.WARNING, "mritk"):
        ended = run_toy("--seeds", 1, "-p", rude, "-p", diary)
    assert ended.code == 0
    assert [trial.status for trial in trials_in(tmp_path / "results")] == ["finished"]
    assert lines(diary)[-1] == "end of 1", "other plugins are still told"
    warnings = [r for r in caplog.records if "is disabled" in r.message]
    assert len(warnings) == 1, "said once, not at every epoch"
    assert "rude" in warnings[0].message
    assert moment in warnings[0].message


# -- announcing --------------------------------------------------------------------------------


class Counting:
    """Counts its calls, and raises in the first epoch."""

    def __init__(self):
        self.calls = []

    @hookimpl
    def mritk_epoch_end(self, epoch):
        self.calls.append(epoch)
        raise ValueError("planted")

    @hookimpl
    def mritk_run_finish(self, outcomes):
        self.calls.append("end")


def test_a_plugin_that_raised_hears_nothing_more_in_this_run_and_all_again_in_the_next():
    registry, plugin = Registry(), Counting()
    registry.register(plugin, Origin("counting"))
    events = Events(registry)
    events.announce("mritk_epoch_end", trial=None, epoch=1)
    events.announce("mritk_epoch_end", trial=None, epoch=2)
    events.announce("mritk_run_finish", outcomes=[])
    assert plugin.calls == [1]
    Events(registry).announce("mritk_epoch_end", trial=None, epoch=3)
    assert plugin.calls == [1, 3]


def test_a_plugin_takes_only_the_arguments_that_it_names():
    heard = []

    class Brief:
        @hookimpl
        def mritk_trial_start(self, total):
            heard.append(total)

    registry = Registry()
    registry.register(Brief(), Origin("brief"))
    Events(registry).announce("mritk_trial_start", trial=SimpleNamespace(), position=1, total=5)
    assert heard == [5]


def test_a_keyboard_interrupt_in_a_plugin_is_a_persons_wish_and_stops_the_run():
    class Stopping:
        @hookimpl
        def mritk_epoch_end(self):
            raise KeyboardInterrupt

    registry = Registry()
    registry.register(Stopping(), Origin("stopping"))
    with pytest.raises(KeyboardInterrupt):
        Events(registry).announce("mritk_epoch_end", trial=None, epoch=None)


def test_a_plugin_that_calls_sys_exit_harms_no_trial():
    class Leaving:
        @hookimpl
        def mritk_epoch_end(self):
            raise SystemExit(0)

    registry = Registry()
    registry.register(Leaving(), Origin("leaving"))
    Events(registry).announce("mritk_epoch_end", trial=None, epoch=None)
