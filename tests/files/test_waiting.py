"""A lock that another process holds is waited for, and the person is told."""

from __future__ import annotations

import errno
import os
import sys
from threading import Event, Thread

import pytest
from filelock import FileLock

from mritk.files import waiting
from mritk.files.waiting import locked


def test_who_waits_is_told_for_what(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.02)
    lock = tmp_path / "a.lock"
    held, released = Event(), Event()

    def hold() -> None:
        with FileLock(lock):
            held.set()
            while not caplog.messages:
                released.wait(0.01)
            released.set()

    other = Thread(target=hold)
    other.start()
    held.wait()
    with locked(lock, "unpacks scans.zip"):
        assert released.is_set()
    other.join()
    (told,) = caplog.messages
    assert told == f"waiting for another process that unpacks scans.zip (lock: {lock})"


def test_a_free_lock_is_taken_without_a_word_and_given_back(tmp_path, caplog):
    for _ in range(2):
        with locked(tmp_path / "a.lock", "unpacks scans.zip"):
            pass
    assert caplog.messages == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_file_system_has_no_locks_nobody_waits_and_no_mark_is_left(
    tmp_path, monkeypatch, number
):
    """A mark would outlive a killed process, and all others would wait for it."""

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", refuse)
    lock = tmp_path / "a.lock"
    with locked(lock, "unpacks scans.zip", wait=False) as mine:
        assert mine
        assert not lock.exists() or not lock.read_bytes()
        with locked(lock, "unpacks scans.zip", wait=False) as other:
            assert other
