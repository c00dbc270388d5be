"""Trials that an executor trains, while another run trains some of them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mritk.errors import ExitCode
from mritk.execute.job import Done, Job
from mritk.execute.with_executor import ExecutorRun
from mritk.machine.engine import Engine
from mritk.plugins.registry import Registry
from mritk.records import Executor, LostJob
from mritk.store.folder import ResultsFolder


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_trials_that_another_process_trains_come_last_and_keep_no_worker_waiting(tmp_path, device):
    """On a processor each has a worker of its own, whatever GPUs there are."""
    asked, on_cpu = [], device == "cpu"

    def run(function, jobs, at_once):
        for job in jobs:
            asked.append((job.trial, job.wait, job.alone))
            yield Done(job.trial, busy=job.trial == "a" and not job.wait)

    def trial(name):
        dataset = SimpleNamespace(
            digests=(),
            record=SimpleNamespace(name="bands"),
            samples=SimpleNamespace(spatial_dims=None),
        )
        protocol = SimpleNamespace(parameters=None)
        return SimpleNamespace(id=name, dataset=dataset, protocol=protocol, backbone_name="none")

    todo = [trial("a"), trial("b")]
    plan = SimpleNamespace(todo=todo, benchmarks={"a": None, "b": None}, stamps={})
    (tmp_path / "trials").mkdir()
    registry = Registry.load(environ={"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"})
    job = Job(None, (), tmp_path, None, tmp_path, Engine(device))
    outcomes = ExecutorRun(registry, Executor("all", run), job).run(plan)
    assert asked == [("a", False, on_cpu), ("b", False, on_cpu), ("a", True, True)]
    assert [outcome.trial.id for outcome in outcomes] == ["b", "a"]


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
