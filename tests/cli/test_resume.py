"""``mritk run`` that was interrupted: the same command resumes, and ends in the same results."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mritk.store.folder import ResultsFolder
from mritk.train.checkpoint import Checkpoint
from tests.conftest import TOY_PLUGIN, run_toy_in

# What a person's plugin may do to a run. The file named by STUMBLE says how, and at which batch;
# each epoch is noted in EPOCHS. Neither is part of the plugin, which stays the same.
STUMBLING = """

import os
import signal
import time
from pathlib import Path
from mritk import Augmentation

FOLDER = Path(__file__).parent
count = 0


def stumble(images, generator):
    global count
    plan = FOLDER / "stumble"
    how, at = plan.read_text().split() if plan.exists() else ("", -1)
    if count == int(at):
        if how == "ctrl-c":
            raise KeyboardInterrupt
        if how == "kill":
            # A thread writes the checkpoint of the epoch before beside the training.
            written, deadline = FOLDER / "results" / "checkpoints", time.monotonic() + 60
            while not list(written.glob("*.ckpt")) and time.monotonic() < deadline:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "error":
            raise RuntimeError("planted")
    count += 1
    return images + 0.1 * __import__("torch").rand(images.shape, generator=generator)


@hookimpl
def mritk_augmentations():
    yield Augmentation("stumble", stumble)


@hookimpl
def mritk_epoch_end(epoch):
    with (FOLDER / "epochs").open("a") as log:
        log.write(f"{epoch.epoch} ")
"""

# 57 training images in batches of 16 are three steps, for three epochs in two stages.
STEPS, EPOCHS = 3, 3
EACH_STEP = ("--checkpoint-minutes", "1e-9")


@pytest.fixture
def stumbling(run_toy, toy, tmp_path):
    """Run the toy with an augmentation that stops at batch ``at``; return end and epochs."""
    toy.write_text(toy.read_text() + STUMBLING)

    def run(*arguments, how="", at=-1, results="results"):
        plan, log = tmp_path / "stumble", tmp_path / "epochs"
        plan.write_text(f"{how} {at}") if how else plan.unlink(missing_ok=True)
        log.unlink(missing_ok=True)
        options = ("-o", tmp_path / results, "--seeds", 1, "-a", "stumble")
        ended = run_toy(*options, *arguments)
        epochs = [int(number) for number in log.read_text().split()] if log.exists() else []
        return ended, epochs

    return run


def only_trial(folder: Path):
    (trial,) = ResultsFolder(folder).trials()
    return trial


def scores(folder: Path):
    trial = only_trial(folder)
    return np.concatenate([trial.predictions[part].score for part in ("val", "test")])


def assert_equal_trials(one: Path, other: Path):
    """All that a trial file says, times and provenance left out."""
    np.testing.assert_array_equal(scores(one), scores(other))
    left, right = only_trial(one), only_trial(other)
    assert left.id == right.id
    assert left.status == right.status == "finished"
    lines = [
        [(e.epoch, e.stage, e.learning_rate, e.train_loss, e.val_loss) for e in trial.history]
        for trial in (left, right)
    ]
    assert lines[0] == lines[1]
    notes = [{k: v for k, v in t.notes.items() if k != "images_per_second"} for t in (left, right)]
    assert notes[0] == notes[1]


def checkpoints(folder: Path):
    return sorted(path.name for path in (folder / "checkpoints").glob("*"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The results of a run that nothing interrupts."""
    home = tmp_path_factory.mktemp("whole")
    results = run_toy_in(home, TOY_PLUGIN + STUMBLING, "-a", "stumble")
    assert (home / "epochs").read_text() == "1 2 3 "
    assert checkpoints(results) == [], "gone once the trial file is in place"
    return results


@pytest.mark.slow
def test_ctrl_c_and_the_same_command_again(stumbling, whole, tmp_path):
    results = tmp_path / "results"
    ended, epochs = stumbling(how="ctrl-c", at=STEPS + 1)
    assert ended.code == 130
    assert "0 of 1 trials are stored" in ended.err
    assert "the same command resumes" in ended.err
    assert epochs == [1]
    assert list(ResultsFolder(results).trials()) == []
    (name,) = checkpoints(results)
    assert name == f"{only_trial(whole).id}.ckpt"

    ended, epochs = stumbling()
    assert ended.code == 0
    assert epochs == [2, 3], "the first is not trained again"
    assert_equal_trials(results, whole)
    assert checkpoints(results) == []


@pytest.mark.slow
def test_within_an_epoch_a_run_resumes_from_the_last_step_in_a_checkpoint(
    stumbling, whole, tmp_path
):
    stumbling(*EACH_STEP, how="ctrl-c", at=2 * STEPS - 1)
    # One step of the second epoch is left, and the third epoch.
    ended, _ = stumbling(*EACH_STEP, how="ctrl-c", at=1 + STEPS)
    assert ended.code == 0, "the second attempt comes to its end before it could stumble"
    assert_equal_trials(tmp_path / "results", whole)


@pytest.mark.slow
def test_several_interruptions(stumbling, whole, tmp_path):
    trained = []
    for at in (4, 3, 3):
        trained += stumbling(how="ctrl-c", at=at)[1]
    assert trained == [1, 2, 3], "each epoch once"
    assert_equal_trials(tmp_path / "results", whole)


@pytest.mark.slow
def test_a_run_that_was_interrupted_is_told_by_dry_run(stumbling, tmp_path):
    def states():
        ended, epochs = stumbling("-n", "--json")
        assert epochs == []
        return [row["state"] for row in json.loads(ended.out)]

    assert states() == ["would run"]
    stumbling(how="ctrl-c", at=STEPS + 1)
    before = checkpoints(tmp_path / "results")
    assert states() == ["interrupted, would resume"]
    assert "1 of 1 trials would run" in stumbling("-n")[0].err
    assert checkpoints(tmp_path / "results") == before, "looking changes nothing"
    stumbling()
    assert states() == ["done"]


@pytest.mark.slow
def test_rerun_starts_anew(stumbling, whole, tmp_path):
    stumbling(how="ctrl-c", at=2 * STEPS + 1)
    ended, epochs = stumbling("--rerun")
    assert ended.code == 0
    assert epochs == [1, 2, 3]
    assert_equal_trials(tmp_path / "results", whole)
    assert checkpoints(tmp_path / "results") == []


@pytest.mark.slow
def test_a_failed_trial_keeps_its_checkpoint_and_resumes_when_it_is_tried_again(
    stumbling, whole, tmp_path, monkeypatch
):
    """The reason may be gone: a full disk, a device that another process used."""
    monkeypatch.setattr(Checkpoint, "worthwhile", True)  # also after the shortest epoch
    results = tmp_path / "results"
    ended, epochs = stumbling(how="error", at=2 * STEPS)
    assert ended.code == 3
    assert epochs == [1, 2]
    assert only_trial(results).status == "failed"
    assert len(only_trial(results).history) == 2
    assert len(checkpoints(results)) == 1
    _, epochs = stumbling()
    assert epochs == [3]
    assert_equal_trials(results, whole)
    assert checkpoints(results) == []


@pytest.mark.slow
def test_a_damaged_checkpoint_is_told_and_the_trial_starts_again(
    stumbling, whole, tmp_path, caplog
):
    results = tmp_path / "results"
    stumbling(how="ctrl-c", at=STEPS + 1)
    (path,) = (results / "checkpoints").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    ended, epochs = stumbling()
    assert ended.code == 0
    assert epochs == [1, 2, 3]
    told = f"checkpoint {path} is not used: it is damaged; the trial restarts"
    assert told in " ".join((ended.err + caplog.text).split())
    assert_equal_trials(results, whole)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["mritk", "torch"])
def test_a_checkpoint_of_another_version_is_told_and_the_trial_starts_again(
    stumbling, tmp_path, monkeypatch, caplog, which
):
    import mritk.execute.run_trial as trial_module

    with monkeypatch.context() as patch:
        if which == "mritk":
            patch.setattr(trial_module.mritk, "__version__", "0.0.0")
        else:
            patch.setattr(trial_module, "version", lambda name: "0.0.0")
        stumbling(how="ctrl-c", at=STEPS + 1)
    ended, epochs = stumbling()
    assert epochs == [1, 2, 3]
    told = " ".join((ended.err + caplog.text).split())
    assert f"it belongs to {which} 0.0.0, not " in told
    assert ended.code == 0


@pytest.mark.slow
def test_another_protocol_is_another_trial_and_starts_from_its_beginning(
    stumbling, fast_protocol, tmp_path
):
    stumbling(how="ctrl-c", at=STEPS + 1)
    text = fast_protocol.read_text()
    fast_protocol.write_text(text.replace("batch_size = 16", "batch_size = 16\naverage = 0.9"))
    assert stumbling()[1] == [1, 2, 3]
    assert len(checkpoints(tmp_path / "results")) == 1, "that of the first trial waits"
    fast_protocol.write_text(text)
    assert stumbling()[1] == [2, 3]


@pytest.mark.slow
def test_the_deterministic_form_is_another_protocol(stumbling):
    def plan(*arguments):
        (row,) = json.loads(stumbling("-n", "--json", *arguments)[0].out)
        return row

    usual, deterministic = plan(), plan("--deterministic")
    assert usual["protocol"] != deterministic["protocol"]
    assert usual["id"] != deterministic["id"]


@pytest.mark.parametrize("value", ["0", "-1", "often"])
def test_an_impossible_interval(stumbling, value):
    ended, _ = stumbling("--checkpoint-minutes", value)
    assert ended.code == 2
    assert "--checkpoint-minutes" in ended.err


# -- a process that is killed ------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_process_that_is_killed_and_the_same_command_again(
    stumbling, whole, toy, fast_protocol, tmp_path
):
    (tmp_path / "stumble").write_text(f"kill {STEPS + 1}")
    command = [
        *(sys.executable, "-m", "mritk", "run", "-p", toy, "-b", "tiny", "-d", "bands"),
        *("--protocol", fast_protocol, "-o", tmp_path / "results", "--device", "cpu"),
        *("--seeds", 1, "-a", "stumble"),
    ]
    process = subprocess.run(
        [str(argument) for argument in command],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    assert (tmp_path / "epochs").read_text() == "1 "
    ended, epochs = stumbling()
    assert ended.code == 0
    assert epochs == [2, 3]
    assert_equal_trials(tmp_path / "results", whole)
