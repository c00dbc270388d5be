"""A trial that was said to be there is there: kills, several writers, a full disk."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mritk.errors import StoreError
from mritk.store.doctor import State, diagnose
from mritk.store.folder import ResultsFolder

WRITER = Path(__file__).with_name("killable_writer.py")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_eighty_kills_lose_no_trial_that_was_said_to_be_there(tmp_path):
    """SIGKILL at random moments of writing trials and the view over them."""
    command = [sys.executable, WRITER, "kills", tmp_path / "results", "80"]
    done = subprocess.run([str(x) for x in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["acknowledged"] > 40
    assert told["lost"] == []
    assert told["serious"] == []


@pytest.mark.slow
def test_several_processes_may_write_into_one_folder(tmp_path):
    """Three at once, whose trials overlap, each renewing the view after each trial."""
    commands = [[sys.executable, WRITER, "writes", tmp_path, str(n)] for n in (0, 20, 40)]
    writers = [subprocess.Popen([str(word) for word in command]) for command in commands]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    folder = ResultsFolder(tmp_path)
    assert len(list(folder.trials())) == 80
    found = diagnose(folder)
    assert found.trials == 80
    assert {ailment.state for ailment in found.ailments} <= {State.STALE}
    folder.rebuild_view()
    assert diagnose(folder).ailments == ()


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if sys.platform != "linux" or subprocess.call(command, stderr=subprocess.DEVNULL):
        pytest.skip("mounting a small disk needs Linux and its root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_a_full_disk_refuses_a_trial_whole_and_keeps_the_others(small_disk, monkeypatch):
    monkeypatch.syspath_prepend(WRITER.parent)
    from killable_writer import record_of

    folder, written = ResultsFolder(small_disk / "results"), 0
    with pytest.raises(StoreError, match=r"No space left on device; free some space, .* are safe"):
        for written in range(100):
            folder.write(record_of(f"trial{written:06d}", written))
    assert 1 < written < 99
    found = diagnose(folder)
    assert found.trials == written
    assert not [ailment for ailment in found.ailments if ailment.state is not State.STALE]
    folder.trial_path("trial000000").unlink()
    folder.write(record_of("trial000100", 100))
    assert diagnose(folder).trials == written, "it goes on once there is room"
