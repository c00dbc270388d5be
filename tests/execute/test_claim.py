"""Two runs of one benchmark into one folder share its trials."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, TimeoutError
from shutil import copy
from time import sleep, time

import filelock
import pytest

from mritk.errors import Stopped
from mritk.execute.claim import claimed, finished_meanwhile, stamp_of
from mritk.execute.notice import Notice
from mritk.store.claims import CLAIMS
from mritk.store.folder import ResultsFolder

# Holds the claim to a trial, as a run in another process does, until it is killed.
HOLDER = """
import sys, time
from pathlib import Path
from mritk.execute.claim import claimed
from mritk.store.folder import ResultsFolder

with claimed(ResultsFolder(Path(sys.argv[1])), sys.argv[2], wait=True):
    print("held", flush=True)
    time.sleep(600)
"""

DIARY = """
from pathlib import Path
from mritk import hookimpl


@hookimpl
def mritk_trial_start(trial):
    with Path(__file__).with_suffix(".txt").open("a") as stream:
        print(trial.seed, file=stream)
    RELEASE(trial.seed)
"""


@pytest.fixture
def results(tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    folder.require_writable()
    return folder


def test_a_claim_is_held_by_one_at_a_time_and_leaves_nothing_behind(results):
    with claimed(results, "one", wait=False) as mine:
        assert mine
        with claimed(results, "one", wait=False) as again, claimed(results, "two", wait=False) as o:
            assert not again
            assert o
    assert not (results.path / CLAIMS).exists()


def test_a_claim_does_not_bring_a_results_folder_back_that_is_gone(results):
    results.path.rename(results.path.with_name("elsewhere"))
    with claimed(results, "one", wait=True) as mine:
        assert mine
        assert not results.path.exists()


@pytest.fixture
def hold(results):
    """Let another process hold the claim to a trial; return the process."""
    held = []

    def start(trial_id):
        command = [sys.executable, "-c", HOLDER, str(results.path), trial_id]
        held.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert held[-1].stdout.readline() == "held\n"
        return held[-1]

    yield start
    for process in held:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_trial_that_another_process_trains_comes_last_and_a_kill_frees_it(
    run_toy, mritk, results, hold, tmp_path, monkeypatch
):
    """Seed 0 is claimed; seed 1 is trained first, and then the other process is killed."""
    first = next(t["id"] for t in run_planned(run_toy, "--seeds", 2) if t["seed"] == 0)
    holder = hold(first)
    monkeypatch.setattr("builtins.RELEASE", lambda seed: holder.kill(), raising=False)
    (tmp_path / "diary.py").write_text(DIARY)
    ended = run_toy("-p", tmp_path / "diary.py", "--seeds", 2)
    assert ended.code == 0, ended.err
    assert (tmp_path / "diary.txt").read_text().split() == ["1", "0"]
    assert len(list(results.trials())) == 2


@pytest.mark.slow
def test_who_waits_for_another_process_ends_when_the_run_must(results, hold, caplog):
    hold("one")
    soon = Notice(ends=time() + 1)
    with pytest.raises(Stopped), claimed(results, "one", wait=True, notice=soon):
        raise AssertionError("another process holds it")
    assert [m.partition(" (")[0] for m in caplog.messages] == [
        "waiting for another process that is training trial one"
    ]


@pytest.mark.slow
def test_who_waits_also_waits_for_a_results_folder_that_is_away(results, hold, monkeypatch):
    """A lock in an empty place would be another one than that of the other process."""
    monkeypatch.setattr("mritk.execute.away.LOOK_S", 0.05)
    results.require_writable()
    holder, away = hold("one"), results.path.with_name("elsewhere")
    with ThreadPoolExecutor() as pool:

        def trained():
            with claimed(results, "one", wait=True) as mine:
                return mine

        waiting = pool.submit(trained)
        sleep(1)
        results.path.rename(away)
        results.path.mkdir()  # where nothing is mounted
        with pytest.raises(TimeoutError):
            waiting.result(2)
        assert not any(results.path.iterdir())
        results.path.rmdir()
        away.rename(results.path)
        with pytest.raises(TimeoutError):
            waiting.result(2)
        holder.kill()
        assert waiting.result(10)


def run_planned(run_toy, *arguments):
    return json.loads(run_toy(*arguments, "--dry-run", "--json").out)


def test_what_another_process_has_finished_meanwhile_is_not_trained_again(results, make_record):
    record = make_record()
    path = results.trial_path(record.id)
    stamp = stamp_of(path)
    assert stamp == 0
    assert not finished_meanwhile(results, record.id, stamp)
    results.write(make_record(id=record.id, status="failed"))
    assert not finished_meanwhile(results, record.id, stamp), "one that failed is tried again"
    results.write(record)
    assert finished_meanwhile(results, record.id, stamp)
    assert not finished_meanwhile(results, record.id, stamp_of(path)), "as with --rerun"


def test_where_there_are_no_locks_nobody_waits(results, monkeypatch):
    def no_locks(*_, **__):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(filelock.FileLock, "acquire", no_locks)
    with claimed(results, "one", wait=False) as mine:
        assert mine


# Stores trials as a run in another process does.
OTHER = """
import sys
from pathlib import Path
from mritk.execute.claim import claimed
from mritk.store.folder import ResultsFolder

results = ResultsFolder(Path(sys.argv[1]))
for path in Path(sys.argv[2]).iterdir():
    with claimed(results, path.stem, wait=True):
        results.write_content(path.stem, path.read_bytes())
"""

# Lets it do so when this run is planned, and says what it trains itself.
MEANWHILE = """
import subprocess, sys
from pathlib import Path
from mritk import hookimpl

HERE = Path(__file__).parent


@hookimpl
def mritk_run_start(plan):
    trained = HERE / "others" / "trials"
    subprocess.run([sys.executable, HERE / "other.py", HERE / "results", trained], check=True)


@hookimpl
def mritk_trial_start(trial):
    with (HERE / "trained.txt").open("a") as stream:
        print(trial.seed, file=stream)
"""
WAYS = {
    "one after the other": ["--jobs", 1],
    "in lanes": ["--jobs", 2],
    "by an executor": ["--executor", "processes"],
}


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True], ids=["first", "rerun"])
@pytest.mark.parametrize("way", WAYS)
def test_what_another_process_stores_once_a_run_is_planned_is_not_trained_again(
    run_toy, results, tmp_path, monkeypatch, way, again
):
    """Even before the run looks at the first of its trials."""
    monkeypatch.setattr("mritk.machine.device.is_one_gpu", lambda wish: way == "in lanes")
    asked = ["--seeds", 2, *(["--rerun"] if again else [])]
    if again:
        assert run_toy("--seeds", 2).code == 0
    assert run_toy("--seeds", 2, "-o", tmp_path / "others").code == 0
    (tmp_path / "other.py").write_text(OTHER)
    (tmp_path / "meanwhile.py").write_text(MEANWHILE)
    ended = run_toy("-p", tmp_path / "meanwhile.py", *asked, *WAYS[way])
    assert ended.code == 0, ended.err
    assert not (tmp_path / "trained.txt").exists()
    assert "2 of 2 trials were stored by another process meanwhile" in ended.err
    assert "already finished" not in ended.err
    assert "| tiny@scratch" in ended.out, "they stand in its table"
    others = {path.name: path.read_bytes() for path in (tmp_path / "others/trials").iterdir()}
    assert {path.name: path.read_bytes() for path in results.trial_files()} == others


@pytest.mark.slow
def test_a_trial_that_failed_meanwhile_is_tried_again_and_a_rerun_replaces_what_is_there(
    run_toy, results, tmp_path, monkeypatch
):
    def fail(*_):
        raise RuntimeError("planted")

    with monkeypatch.context() as patch:
        patch.setattr("mritk.train.stage_run.StageRun.batches", fail)
        assert run_toy("--seeds", 1, "-o", tmp_path / "failed").code == 3
    (failed,) = (tmp_path / "failed" / "trials").glob("*.h5")
    path = results.trial_path(failed.stem)
    # As another process would, once the run is planned.
    monkeypatch.setattr("mritk.cli.run.make_room", lambda *_: copy(failed, path))
    ended = run_toy("--seeds", 1, "--jobs", 1)
    assert results.status(failed.stem) == "finished"
    assert "another process" not in ended.err
    monkeypatch.undo()
    before = path.read_bytes()
    assert "another process" not in run_toy("--seeds", 1, "--jobs", 1, "--rerun").err
    assert path.read_bytes() != before
