"""A trial file that cannot be opened now is not damaged: it is named, and left as it is."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from mritk.store.folder import ResultsFolder
from mritk.store.layout import SCHEMA
from mritk.store.trial_file import read_trial, write_trial
from mritk.store.trial_state import ForeignFile, TrialState, UnreadableTrial

TRAINS = {
    TrialState.ABSENT: True,
    TrialState.INTERRUPTED: True,
    TrialState.FAILED: True,
    TrialState.TORN: True,
    TrialState.FOREIGN: True,
    TrialState.ALTERED: True,
    TrialState.MISNAMED: True,
    TrialState.FINISHED: False,
    TrialState.NEWER: False,
    TrialState.UNREADABLE: False,
}


@pytest.fixture
def folder(make_record, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    for seed, name in enumerate(("aaaa", "bbbb")):
        folder.write(make_record(id=name, seed=seed))
    folder.rebuild_view()
    return folder


@pytest.fixture
def refuse(monkeypatch):
    """Let the system refuse to read a file, as it does a user without the permission."""

    def refuse(path: Path, number: int = errno.EACCES) -> None:
        real = Path.read_bytes

        def read_bytes(self):
            if self == path:
                raise OSError(number, os.strerror(number), str(path))
            return real(self)

        monkeypatch.setattr(Path, "read_bytes", read_bytes)
        path.chmod(path.stat().st_mode)  # the system notes when a permission is taken away

    return refuse


@pytest.mark.parametrize("state", TrialState)
def test_a_run_trains_what_is_not_finished_unless_it_may_be(state):
    assert state.to_train is TRAINS[state]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ENOLCK, errno.ESTALE])
def test_whatever_the_system_says_the_file_cannot_be_read_now(folder, refuse, number):
    refuse(folder.trial_path("aaaa"), number)
    with pytest.raises(UnreadableTrial, match=os.strerror(number)):
        read_trial(folder.trial_path("aaaa"))
    assert folder.status("aaaa") is TrialState.UNREADABLE


def test_a_file_that_another_program_holds_open_for_writing_is_read(folder):
    """HDF5 locks what it opens, and refuses what others have locked; mritk reads bytes."""
    script = (
        "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print(flush=True); sys.stdin.read()"
    )
    path = folder.trial_path("aaaa")
    before = path.read_bytes()
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        holder.stdout.readline()
        with pytest.raises(OSError), h5py.File(path, "r"):
            pass
        assert folder.status("aaaa") is TrialState.FINISHED
        holder.stdin.close()
        holder.wait()
    assert path.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with a name")
def test_a_pipe_or_a_folder_is_no_trial_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    (tmp_path / "folder.h5").mkdir()
    for name in ("pipe.h5", "folder.h5"):
        with pytest.raises(ForeignFile):
            read_trial(tmp_path / name)


@pytest.mark.parametrize("command", ["leaderboard", "rescore"])
def test_every_command_names_it_shows_the_rest_and_ends_with_4(mritk, folder, refuse, command):
    refuse(folder.trial_path("aaaa"))
    ended = mritk(command, folder.path)
    assert ended.code == 4
    assert "aaaa.h5 is currently inaccessible" in ended.err


def make_newer(path):
    with h5py.File(path, "r+") as file:
        file.attrs["schema"] = SCHEMA + 1


def tear(path):
    path.write_bytes(b"torn")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["leaderboard", "rescore"])
@pytest.mark.parametrize(
    ("spoil", "names", "code"),
    [
        (tear, ["aaaa"], 0),
        (tear, ["aaaa", "bbbb"], 5),
        (make_newer, ["aaaa"], 0),
        (make_newer, ["aaaa", "bbbb"], 5),
    ],
)
def test_a_table_beside_other_files_that_are_not_read(mritk, folder, command, spoil, names, code):
    for name in names:
        spoil(folder.trial_path(name))
    ended = mritk(command, folder.path)
    assert ended.code == code, ended.err
    assert all(f"{name}.h5" in ended.err for name in names)


def test_commands_about_the_trial_itself_end_with_4_too(mritk, folder, refuse, tmp_path):
    refuse(folder.trial_path("aaaa"))
    for command in (("verify",), ("show",)):
        assert mritk(*command, "aaaa", "--results", folder.path).code == 4
    ended = mritk("merge", folder.path, "-o", tmp_path / "other", "--json")
    assert ended.code == 4
    assert [len(json.loads(ended.out)[key]) for key in ("copied", "unreadable")] == [1, 1]


# -- what a run does about it ----------------------------------------------------------------------


@pytest.fixture
def stored(run_toy, tmp_path):
    """Two trials that ``mritk run`` made; their files in the order of its seeds."""
    assert run_toy("--seeds", 2).code == 0
    folder = ResultsFolder(tmp_path / "results")
    trials = sorted(folder.trials(), key=lambda trial: trial.seed)
    return folder, [folder.trial_path(trial.id) for trial in trials]


@pytest.mark.slow
def test_a_run_leaves_a_trial_alone_that_it_cannot_read_and_says_so(run_toy, stored, refuse):
    folder, (first, second) = stored
    before = first.read_bytes()
    second.unlink()
    refuse(first)
    ended = run_toy("--seeds", 2)
    assert ended.code == 4
    assert f"not trained: {first} is currently inaccessible: Permission denied" in ended.err
    assert second.is_file(), "the other one is trained"
    again = run_toy("--seeds", 2, "--rerun", "--dry-run")
    assert "file currently inaccessible, would not run" in again.out
    with first.open("rb") as stream:
        assert stream.read() == before
    assert not (folder.path / "quarantine").exists()


@pytest.mark.slow
def test_a_run_is_refused_where_a_newer_mritk_wrote_one_of_its_trials(run_toy, stored):
    _, (first, second) = stored
    make_newer(first)
    before = first.read_bytes()
    second.unlink()
    for options in ((), ("--rerun",)):
        ended = run_toy("--seeds", 2, *options)
        assert ended.code == 4
        assert f"{first} has schema {SCHEMA + 1}" in ended.err
    assert first.read_bytes() == before
    assert not second.exists()


@pytest.mark.slow
def test_a_run_sets_altered_and_misnamed_trials_aside_before_it_trains_them_again(run_toy, stored):
    folder, (first, second) = stored
    with h5py.File(first, "r+") as file:
        file["predictions/test/score"][0, 0] = 9
    altered = first.read_bytes()
    second.write_bytes(b"torn")
    ended = run_toy("--seeds", 2)
    assert ended.code == 0, ended.err
    assert "was modified after it was written" in ended.err
    assert (folder.path / "quarantine" / first.name).read_bytes() == altered
    assert (folder.path / "quarantine" / second.name).read_bytes() == b"torn"
    assert {trial.status for trial in folder.trials()} == {"finished"}


def test_a_file_that_came_meanwhile_and_cannot_be_read_is_not_overwritten(folder, make_record):
    path = folder.trial_path("cccc")
    for content in (b"one", b"two"):
        path.write_bytes(content)
        folder.write(make_record(id="cccc"))
        assert folder.status("cccc") is TrialState.FINISHED
    kept = {path.read_bytes() for path in (folder.path / "quarantine").iterdir()}
    assert kept == {b"one", b"two"}, "each under a name of its own"


@pytest.mark.slow
def test_a_metric_that_a_damaged_file_may_have_is_not_refused(mritk, folder, tmp_path):
    folder.trial_path("ages").write_bytes(b"torn")
    both = ("--metric", "accuracy", "--metric", "mae", "--interval", "none")
    ended = mritk("leaderboard", folder.path, *both)
    assert ended.code == 0, ended.err
    assert "| tiny@scratch" in ended.out
    assert "not read: " in ended.err
    assert mritk("report", folder.path, *both, "-o", tmp_path / "report.html").code == 0


# -- names -----------------------------------------------------------------------------------------


def test_a_copy_under_another_name_is_counted_once_and_named(mritk, folder):
    copy = folder.trial_path("zzzz")
    copy.write_bytes(folder.trial_path("aaaa").read_bytes())
    ids = [getattr(trial, "id", None) for trial in folder.trials()]
    assert ids == ["aaaa", "bbbb", None]
    assert folder.status("zzzz") is TrialState.MISNAMED
    ended = mritk("leaderboard", folder.path, "--json")
    assert "contains trial aaaa" in ended.err
    data = json.loads(ended.out)
    assert np.sum([row["trials"] for table in data["tables"] for row in table["rows"]]) == 2


@pytest.mark.parametrize("name", ["../../escaped", "a/b", "", ".hidden", "-x", "a" * 65, "a\\b"])
def test_an_id_that_could_lead_elsewhere_is_no_id(mritk, make_record, tmp_path, name):
    source = ResultsFolder(tmp_path / "deep" / "source")
    write_trial(make_record(id=name), source.trial_path("aaaa"))
    ended = mritk("merge", source.path, "-o", tmp_path / "deep" / "into")
    assert ended.code == 1
    assert "is not a trial id" in ended.out
    assert sorted(path.name for path in tmp_path.rglob("*.h5")) == ["aaaa.h5"]
