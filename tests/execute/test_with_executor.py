"""Trials that an executor trains, while another run trains some of them."""

from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from mritk.errors import ExitCode
from mritk.execute.claim import claimed
from mritk.execute.diary import Diary
from mritk.execute.job import Done, Job
from mritk.execute.with_executor import ExecutorRun
from mritk.machine.engine import Engine
from mritk.method import Epoch
from mritk.plugins.registry import Registry
from mritk.records import Executor, LostJob
from mritk.store.folder import ResultsFolder

EPOCH = Epoch(1, 4, "all", 1e-3, 0.1, 0.5, 0.6, 10.0)


def trial_of(name):
    dataset = SimpleNamespace(
        digests=(), record=SimpleNamespace(name="bands"), samples=SimpleNamespace(spatial_dims=None)
    )
    protocol = SimpleNamespace(parameters=None)
    return SimpleNamespace(id=name, dataset=dataset, protocol=protocol, backbone_name="none")


def outcomes_of(run, tmp_path, names, device="auto", shares_folders=True):
    """Run trials of these names by an executor that gives what ``run`` yields."""
    plan = SimpleNamespace(
        todo=list(map(trial_of, names)), benchmarks=dict.fromkeys(names), stamp=lambda trial: 0
    )
    (tmp_path / "trials").mkdir()
    registry = Registry.load(environ={"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"})
    job = Job(None, (), tmp_path, None, tmp_path, Engine(device))
    return ExecutorRun(registry, Executor("all", run, shares_folders), job).run(plan)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_trials_that_another_process_trains_come_last_and_keep_no_worker_waiting(tmp_path, device):
    """On a processor each has a worker of its own, whatever GPUs there are."""
    asked, on_cpu = [], device == "cpu"

    def run(function, jobs, at_once):
        for job in jobs:
            asked.append((job.trial, job.wait, job.alone))
            yield Done(job.trial, busy=job.trial == "a" and not job.wait)

    outcomes = outcomes_of(run, tmp_path, ["a", "b"], device)
    assert asked == [("a", False, on_cpu), ("b", False, on_cpu), ("a", True, True)]
    assert [outcome.trial.id for outcome in outcomes] == ["b", "a"]


def test_a_trial_of_another_process_has_no_outcome_and_one_of_a_worker_that_died_has(tmp_path):
    """The worker of ``mine`` dies behind its last step: what the next one finds is this run's."""
    died = []

    def run(function, jobs, at_once):
        for job in jobs:
            if job.trial == "mine" and not died:
                died.append(job.trial)
                yield LostJob(job, "was killed")
            else:
                yield Done(job.trial, elsewhere=True)

    outcomes = outcomes_of(run, tmp_path, ["mine", "theirs"])
    assert [outcome.trial.id for outcome in outcomes] == ["mine"]


@pytest.mark.parametrize(("shared", "how"), [(True, "from its checkpoint"), (False, "tried again")])
def test_a_trial_that_its_executor_tries_again_is_told_and_is_this_runs(
    tmp_path, shared, how, caplog
):
    def run(function, jobs, at_once):
        yield from (LostJob(jobs[0], f"fell {n}", attempts=n, retried=True) for n in (1, 2))
        yield Done("mine", elsewhere=True)  # the second died behind the last step

    outcomes = outcomes_of(run, tmp_path, ["mine"], shares_folders=shared)
    assert [outcome.trial.id for outcome in outcomes] == ["mine"]
    told = [line.getMessage() for line in caplog.records]
    assert [("fell 1" in line, "attempt 2 of 3" in line) for line in told] == [(1, 1), (0, 0)]
    assert [("fell 2" in line, "attempt 3 of 3" in line) for line in told] == [(0, 0), (1, 1)]
    assert all(how in line for line in told)


def test_a_trial_whose_start_was_told_is_told_to_its_end_but_is_no_outcome_if_another_trains_it(
    tmp_path, monkeypatch
):
    told = []

    def announce(events, hook, trial=None, **given):
        told.append((hook, trial and trial.id))

    monkeypatch.setattr("mritk.execute.events.Events.announce", announce)
    monkeypatch.setattr("mritk.execute.diary.Reader.begun", lambda self, run: ["theirs"])
    monkeypatch.setattr("mritk.execute.diary.Reader.news", lambda self, trial: [])

    def run(function, jobs, at_once):
        yield None  # a second has gone by
        yield from (Done(job.trial, elsewhere=True) for job in jobs)

    assert outcomes_of(run, tmp_path, ["theirs", "unseen"]) == []
    assert told[1:-1] == [("mritk_trial_start", "theirs"), ("mritk_trial_finish", "theirs")]


def test_a_worker_that_died_while_the_folder_was_away_leaves_a_finished_trial(
    tmp_path, make_record, monkeypatch
):
    """It died behind its last step, or another run has stored the trial."""
    results = ResultsFolder(tmp_path / "results")
    results.write(make_record(id="a"))
    away = results.path.rename(tmp_path / "away")
    monkeypatch.setattr("mritk.execute.away.sleep", lambda _: away.rename(results.path))
    registry = Registry.load(environ={"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"})
    job = Job(None, (), tmp_path, None, results.path, Engine())
    run = ExecutorRun(registry, Executor("all", lambda *_: iter(())), job)
    done = run._lost(SimpleNamespace(id="a"), LostJob(None, "was killed"))
    assert not done.error
    assert results.status("a") == "finished"


def test_a_trial_that_another_run_trains_is_not_told_and_one_of_a_worker_is(tmp_path, monkeypatch):
    told = []

    def announce(events, hook, trial=None, **given):
        told.append((hook, trial and trial.id))

    monkeypatch.setattr("mritk.execute.events.Events.announce", announce)
    results = ResultsFolder(tmp_path)

    def run(function, jobs, at_once):
        mine = next(job.stop.stem for job in jobs)
        claims = (claimed(results, name, wait=False) for name in ("mine", "theirs", "alone"))
        with ExitStack() as stack:
            for claim in claims:
                stack.enter_context(claim)
            for name, of in (("mine", mine), ("theirs", "elsewhere-7"), ("alone", "")):
                stack.enter_context(Diary(results, name, of)).note(EPOCH)
            yield None  # a second has gone by
        yield from (Done(job.trial, elsewhere=job.trial != "mine") for job in jobs)

    outcomes = outcomes_of(run, tmp_path, ["mine", "theirs", "alone"])
    assert [outcome.trial.id for outcome in outcomes] == ["mine"]
    hooks = ["mritk_trial_start", "mritk_epoch_end", "mritk_trial_finish"]
    assert told[1:-1] == [(hook, "mine") for hook in hooks]


BROKEN = """
from mritk import Executor, hookimpl
from mritk.errors import ExitCode
from mritk.execute.job import Done


def run(function, jobs, at_once):
    for job in jobs:
        yield Done(job.trial, "the worker has no data", ExitCode.UNAVAILABLE)


@hookimpl
def mritk_executors():
    yield Executor("broken", run)
"""


@pytest.mark.slow
def test_a_trial_that_its_worker_cannot_begin_is_stored_as_failed(run_toy, mritk, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    ended = run_toy("-p", tmp_path / "broken.py", "--executor", "broken", "--seeds", 1)
    assert ended.code == ExitCode.UNAVAILABLE
    (trial,) = ResultsFolder(tmp_path / "results").trials()
    assert (trial.status, trial.failure.type) == ("failed", "WorkerFailed")
    assert "the worker has no data" in mritk("show", trial.id, "-o", tmp_path / "results").out
