"""A file is there whole, or as it was before; so is a folder of files."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from mritk.errors import StoreError
from mritk.files.atomic import open_whole, whole_folder, write_whole
from mritk.files.draft import draft_of


def test_a_file_appears_when_its_block_has_ended(tmp_path):
    path = tmp_path / "new" / "file"
    with open_whole(path) as stream:
        stream.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write_whole(path, b"before")
    with pytest.raises(error), open_whole(path) as stream:
        stream.write(b"half")
        raise error
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path):
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_whole(tmp_path / "file", content), contents))
    assert (tmp_path / "file").read_bytes() in contents
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_told_with_advice(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot write .*file/x: .*; move .*, or buy a disk"):
        write_whole(tmp_path / "file" / "x", b"", "buy a disk")


def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        write_whole(pipe, b"whole")
        assert read.result(timeout=10) == b"whole"
    assert pipe.is_fifo()
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_folder_appears_when_its_block_has_ended_and_its_files_are_on_disk(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "sync", lambda: synced.append((tmp_path / "new" / "data").exists()))
    with whole_folder(tmp_path / "new" / "data") as draft:
        (draft / "a").write_bytes(b"1")
        assert not (tmp_path / "new" / "data").exists()
    assert (tmp_path / "new" / "data" / "a").read_bytes() == b"1"
    assert synced == [False]
    assert len(list((tmp_path / "new").iterdir())) == 1


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_folder_whose_block_fails_leaves_nothing(tmp_path, error):
    with pytest.raises(error), whole_folder(tmp_path / "data") as draft:
        (draft / "a").write_bytes(b"half")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_of_a_folder_is_removed_and_what_others_write_is_not(tmp_path):
    living = draft_of(tmp_path / "data")
    living.mkdir()
    dead = living.with_name(living.name.replace(f"-{os.getpid()}-", "-99999999-"))
    dead.mkdir()
    with whole_folder(tmp_path / "data"):
        pass
    assert set(tmp_path.iterdir()) == {living, tmp_path / "data"}
