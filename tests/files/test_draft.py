"""What killed processes leave behind is named, and goes; what others work at stays."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from mritk.files.draft import (
    SECONDS_OF_SILENCE,
    draft_of,
    drafts_in,
    is_abandoned,
    remove_abandoned,
)

BY_ANOTHER = """
import sys
from pathlib import Path
from mritk.files.draft import draft_of
draft = draft_of(Path(sys.argv[1]) / "entry")
draft.mkdir()
(draft / "values.npy").write_bytes(b"half")
print(draft)
"""


@pytest.fixture
def of_a_dead_process(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BY_ANOTHER, tmp_path], capture_output=True, text=True, check=True
    )
    return tmp_path / done.stdout.strip()


def long_ago(path):
    then = time.time() - SECONDS_OF_SILENCE - 60
    for inner in [*path.rglob("*"), path] if path.is_dir() else [path]:
        os.utime(inner, (then, then))


def test_a_draft_of_a_dead_process_is_abandoned_at_once(of_a_dead_process, tmp_path):
    own = draft_of(tmp_path / "entry")
    own.write_bytes(b"")
    assert set(drafts_in(tmp_path)) == {own, of_a_dead_process}
    assert is_abandoned(of_a_dead_process)
    assert not is_abandoned(own)
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [own]


def test_a_lock_is_no_draft_however_old(tmp_path):
    (tmp_path / ".entry.lock").write_bytes(b"")
    long_ago(tmp_path / ".entry.lock")
    assert list(drafts_in(tmp_path)) == []


@pytest.mark.parametrize("name", [".entry.0000abcd-1-0123456789ab.tmp", "entry.0123abcd.tmp"])
@pytest.mark.parametrize("folder", [True, False])
def test_a_draft_whose_process_cannot_be_asked_has_a_day(tmp_path, name, folder):
    """It is of another machine that shares the cache, or of an earlier mritk."""
    draft = tmp_path / name
    if folder:
        draft.mkdir()
        (draft / "values.npy").write_bytes(b"half")
    else:
        draft.write_bytes(b"half")
    assert not is_abandoned(draft)
    long_ago(draft)
    assert is_abandoned(draft)
    if folder:
        (draft / "values.npy").write_bytes(b"more")
        assert not is_abandoned(draft), "somebody writes into it"


def test_complete_entries_are_no_drafts(tmp_path):
    (tmp_path / "0123456789abcdef").mkdir()
    long_ago(tmp_path / "0123456789abcdef")
    remove_abandoned(tmp_path)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("name", [".bashrc", "notes.tmp", ".entry.tmp"])
def test_old_files_of_people_beside_a_draft_stay(tmp_path, name):
    (tmp_path / name).write_bytes(b"theirs")
    long_ago(tmp_path / name)
    remove_abandoned(tmp_path)
    assert (tmp_path / name).read_bytes() == b"theirs"


def test_no_two_drafts_share_a_name(tmp_path):
    names = {draft_of(tmp_path / "entry").name for _ in range(100)}
    assert len(names) == 100
    assert all(name.startswith(".entry.") and name.endswith(".tmp") for name in names)
