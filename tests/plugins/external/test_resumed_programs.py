"""A program that was stopped, killed or has failed goes on where it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.plugins.external.conftest import NEAREST_MEAN, stored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="uses programs for POSIX shells"),
]


def test_a_results_folder_that_was_moved_goes_on_where_it_is(run, program, tmp_path):
    stop = "epoch == 3 and 1 / 0\n        tell(epoch, train"
    program.write_text(NEAREST_MEAN.replace("tell(epoch, train", stop))
    assert run().code == 3
    (job,) = (tmp_path / "results").rglob("job.json")
    before = str(tmp_path / "results")
    told = job.read_text()
    assert before in told
    job.write_text(told.replace(before, str(tmp_path / "elsewhere")))
    assert run().code == 3
    assert before in job.read_text()
    assert not (tmp_path / "elsewhere").exists()


def test_the_next_run_goes_on_behind_a_failure(run, program, tmp_path, caplog):
    program.write_text(
        NEAREST_MEAN.replace("tell(epoch, train", "epoch == 3 and 1 / 0\n        tell(epoch, train")
    )
    assert run().code == 3
    failed = stored(tmp_path / "results")
    assert failed.failure.epoch == 2
    assert run().code == 3  # by the same program it goes on, and has nothing to do but epoch 3
    assert [epoch.epoch for epoch in stored(tmp_path / "results").history] == [1, 2]
    program.write_text(NEAREST_MEAN)
    ended = run()
    assert ended.code == 0
    assert "of another environment or program; the trial restarts" in caplog.text
    record = stored(tmp_path / "results")
    assert [epoch.epoch for epoch in record.history] == [1, 2, 3]
    assert "resumed_after_epochs" not in record.cost


def test_killed_in_training_it_goes_on_and_ends_as_if_it_had_not_been(
    run, program, protocol, toy, tmp_path
):
    slow = NEAREST_MEAN.replace(
        "tell(epoch, train", "import time; time.sleep(1.0); tell(epoch, train"
    )
    program.write_text(slow)
    command = [
        *(sys.executable, "-m", "mritk", "run", "-p", str(toy), "-d", "bands", "--device", "cpu"),
        *("--protocol", str(protocol()), "--seeds", "1", "-o", str(tmp_path / "results")),
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        until = time.monotonic() + 60
        while time.monotonic() < until:
            logs = list((tmp_path / "results").glob("checkpoints/*.files/program/log.txt"))
            if logs and '"epoch": 2' in logs[0].read_text():
                break
            time.sleep(0.02)
        time.sleep(0.3)  # the second epoch is noted, the third is being trained
        running.send_signal(signal.SIGKILL)
    while found := still_running(str(program)):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    assert run().code == 0
    assert run("-o", tmp_path / "whole").code == 0
    resumed, expected = stored(tmp_path / "results"), stored(tmp_path / "whole")
    assert resumed.cost["resumed_after_epochs"] == 2
    assert [epoch.epoch for epoch in resumed.history] == [1, 2, 3]
    for one, other in zip(resumed.history, expected.history, strict=True):
        assert one.train_loss == other.train_loss
    np.testing.assert_array_equal(
        resumed.predictions["test"].score, expected.predictions["test"].score
    )


def still_running(word):
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if word in words and int(path.parent.name) != os.getpid():
            found.append(words)
    return found


def test_epochs_that_mritk_did_not_see_are_read_from_the_log(tmp_path, make_setup, bands):
    """Killed between a step of the program and its note, mritk takes the epoch from the log."""
    from mritk.external import Progress
    from mritk.method import Epoch

    told = []
    progress = Progress(told.append, None, resumed=True)
    earlier = {n: Epoch(n, 4, "all", 0.1, n / 10, 0.0, 0.0, 1.0) for n in (1, 2)}
    progress.remember(earlier)
    progress.tell(Epoch(3, 4, "all", 0.1, 0.3, 0.0, 0.0, 1.0))
    progress.tell(Epoch(3, 4, "all", 0.1, 0.9, 0.0, 0.0, 1.0))  # again: once is enough
    assert [(one.epoch, one.train_loss) for one in told] == [(1, 0.1), (2, 0.2), (3, 0.3)]
