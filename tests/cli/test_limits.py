"""``mritk run`` with limits: a budget of time, a timeout for each trial, and SIGTERM."""

from __future__ import annotations

import json
import signal
import sys
import time

import pytest

from mritk.store.folder import ResultsFolder
from mritk.study.forecast import Forecast
from tests.liveness import is_alive
from tests.trial_essence import essence

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

# At the fourth batch, in the second epoch, it does what the file beside it says. One worker is told
# to end, though two may come to that batch at once; each attempt hangs.
TROUBLED = """
import os, signal, subprocess, time
from pathlib import Path
from mritk import Augmentation, hookimpl

FOLDER = Path(__file__).parent
count = 0


def is_told():
    try:
        (FOLDER / "sigterm").unlink()
    except FileNotFoundError:
        return False
    return True


def apply(images, generator):
    global count
    count += 1
    if count == 4 and is_told():
        os.kill(os.getpid(), signal.SIGTERM)
    again = (FOLDER / "children").exists()
    if count == (1 if again else 4) and (FOLDER / "hang").exists():
        child = subprocess.Popen(["sleep", "600"])
        with (FOLDER / "children").open("a") as stream:
            stream.write(f"{child.pid} ")
        time.sleep(600)
    return images


@hookimpl
def mritk_augmentations():
    yield Augmentation("troubled", apply)
"""


@pytest.fixture
def troubled(tmp_path, run_toy, monkeypatch):
    """Run the toy study with the troubled augmentation, on one thread."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)
    plugin = tmp_path / "troubled.py"
    plugin.write_text(TROUBLED)

    def run(*arguments, trouble=""):
        for name in ("sigterm", "hang"):
            (tmp_path / name).unlink(missing_ok=True)
        if trouble:
            (tmp_path / trouble).touch()
        return run_toy("-p", plugin, "-a", "troubled", *arguments)

    return run


@pytest.mark.parametrize("value", ["", "0", "-1", "soon", "nan", "inf", "2x"])
def test_a_budget_that_is_no_time_is_refused(mritk, value):
    ended = mritk("run", "--budget", value)
    assert ended.code == 2
    assert f"'{value}' is no time, such as 8 (hours), 2h, 90m or 45s" in ended.err


@pytest.mark.parametrize("value", ["", "3", "1x", "x", "-3x", "infx", "nanx", "2 h"])
def test_a_timeout_that_is_neither_time_nor_multiple_is_refused(mritk, value):
    ended = mritk("run", "--trial-timeout", value)
    assert ended.code == 2
    assert f"'{value}' is neither a multiple above 1 of the expected time, such as 3x" in ended.err


def test_a_multiple_of_what_nobody_knows_is_refused(run_toy):
    ended = run_toy("--seeds", 1, "--trial-timeout", "3x")
    assert ended.code == 2
    assert "how long tiny@scratch on bands seed 0 takes is unknown" in ended.err
    assert "--trial-timeout 2h" in ended.err


@pytest.mark.slow
def test_a_trial_that_does_not_fit_into_the_budget_is_not_begun(run_toy, tmp_path, monkeypatch):
    """The others are, and the same command goes on where the run has ended."""

    def foresee(plan, results):
        return Forecast({trial.id: 5e3 if trial.seed == 1 else 1.0 for trial in plan.trials})

    with monkeypatch.context() as patch:
        patch.setattr(Forecast, "of", foresee)
        ended = run_toy("--seeds", 3, "--budget", "1")
    assert ended.code == 130
    assert "the budget of 1 h 0 min is used: 2 of 3 trials are stored in" in ended.err
    assert ended.err.rstrip().endswith("the same command resumes")
    assert {t.seed for t in ResultsFolder(tmp_path / "results").trials()} == {0, 2}
    assert run_toy("--seeds", 3, "--budget", "1").code == 0
    assert run_toy("--seeds", 3, "-o", tmp_path / "whole").code == 0
    assert essence(tmp_path / "results") == essence(tmp_path / "whole")


def test_with_no_time_left_nothing_is_trained(run_toy, tmp_path):
    ended = run_toy("--seeds", 2, "--budget", "0.000001s")
    assert ended.code == 130
    assert "0 of 2 trials are stored" in ended.err
    assert "mritk show" not in ended.err, "there is no trial to be shown"
    assert not ResultsFolder(tmp_path / "results").any()


def test_json_says_why_what_is_stored_of_a_trial_behind_the_budget_is_no_result(
    run_toy, tmp_path, make_record, monkeypatch
):
    monkeypatch.setattr("mritk.cli.run.make_room", lambda *_: None)  # the file is torn behind that
    failed, torn, absent = (t["id"] for t in json.loads(run_toy("--seeds", 3, "-n", "--json").out))
    results = ResultsFolder(tmp_path / "results")
    results.write(make_record(id=failed, status="failed"))
    results.trial_path(torn).write_bytes(b"torn")
    ended = run_toy("--seeds", 3, "--budget", "0.000001s", "--json")
    found = {trial["id"]: trial for trial in json.loads(ended.out)["trials"]}
    assert found[failed]["error"] == "RuntimeError: planted"
    assert str(results.trial_path(torn)) in found[torn]["error"]
    assert (found[absent]["error"], found[absent]["file"]) == ("", None)
    assert not any(trial["trained"] for trial in found.values())


@POSIX
@pytest.mark.slow
def test_a_trial_is_checkpointed_when_the_process_is_told_to_end(troubled, tmp_path):
    """Within its second epoch, and it ends as if nothing had happened."""
    before = signal.getsignal(signal.SIGTERM)
    ended = troubled("--seeds", 2, trouble="sigterm")
    assert signal.getsignal(signal.SIGTERM) is before
    assert ended.code == 130
    line = "told to end by SIGTERM: 0 of 2 trials are stored in"
    assert line in ended.err
    assert "1 interrupted with a checkpoint; the same command resumes" in ended.err
    (checkpoint,) = (tmp_path / "results" / "checkpoints").iterdir()
    from mritk.train.checkpoint import _content_of

    content = _content_of(checkpoint)
    assert len(content["history"]) == 1
    assert content["state"]["run"]["step"] > 0, "in the middle of an epoch"
    assert troubled("--seeds", 2).code == 0
    assert troubled("--seeds", 2, "-o", tmp_path / "whole").code == 0
    assert essence(tmp_path / "results") == essence(tmp_path / "whole")


@POSIX
@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_is_told_to_end_is_replaced(troubled, tmp_path, jobs):
    """As by a system that takes a part of a machine away; the run itself goes on."""
    ended = troubled("--seeds", 2, "--executor", "processes", "--jobs", jobs, trouble="sigterm")
    assert ended.code == 0, ended.err
    assert troubled("--seeds", 2, "-o", tmp_path / "whole").code == 0
    assert essence(tmp_path / "results") == essence(tmp_path / "whole")


# Tells the run, but not its workers, to end after the first epoch; batches take a moment.
TOLD_TO_END = """
import os, signal, time
from mritk import Augmentation, hookimpl


def apply(images, generator):
    time.sleep(0.25)
    return images


@hookimpl
def mritk_augmentations():
    yield Augmentation("slow", apply)


@hookimpl
def mritk_epoch_end(epoch):
    os.kill(os.getpid(), signal.SIGTERM)
"""


@POSIX
@pytest.mark.slow
def test_workers_checkpoint_when_their_run_is_told_to_end(run_toy, tmp_path):
    """And those trials that have not begun do not."""
    arguments = ("-a", "slow", "--seeds", 3, "--executor", "processes", "--jobs", 2)
    (tmp_path / "told.py").write_text(TOLD_TO_END)
    ended = run_toy("-p", tmp_path / "told.py", *arguments)
    assert ended.code == 130
    assert "told to end by SIGTERM: 0 of 3 trials are stored" in ended.err
    assert "2 interrupted with a checkpoint" in ended.err
    assert not (tmp_path / "results" / "claims").exists()
    assert len(list((tmp_path / "results" / "checkpoints").iterdir())) == 2


@POSIX
@pytest.mark.slow
def test_a_trial_that_hangs_is_ended_three_times_and_stored_as_failed(troubled, mritk, tmp_path):
    """With all that it has started; without workers asked for, it is trained in one."""
    ended = troubled("--seeds", 1, "--trial-timeout", "2s", trouble="hang")
    assert ended.code == 3
    assert "took longer than 2 s (--trial-timeout), in 3 attempts" in ended.err
    (trial,) = ResultsFolder(tmp_path / "results").trials()
    assert trial.status == "failed"
    assert trial.failure.type == "TrialTimeout"
    assert trial.failure.epoch == len(trial.history) == 1
    children = list(map(int, (tmp_path / "children").read_text().split()))
    assert len(children) == 3
    deadline = time.monotonic() + 30
    while any(is_alive(child) for child in children):
        assert time.monotonic() < deadline, "a process of the trial outlives it"
        time.sleep(0.05)
    assert "1 trial is intact" in mritk("doctor", tmp_path / "results").out
    assert troubled("--seeds", 1).code == 0
    assert troubled("--seeds", 1, "-o", tmp_path / "whole").code == 0
    assert essence(tmp_path / "results") == essence(tmp_path / "whole")
