"""A lock that another process holds is waited for, and the person is told."""

from __future__ import annotations

from threading import Event, Thread

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
