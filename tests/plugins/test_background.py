"""Calls in the background: in order, never in the way, and told when they fail or get lost."""

from __future__ import annotations

import subprocess
import sys
import time
from threading import Event, current_thread, main_thread

import pytest

from mritk import Background


def ended(background):
    """Wait until the thread has nothing more to do, however long that takes."""
    background._thread.join(60)
    assert not background._thread.is_alive()


@pytest.fixture
def impatient(monkeypatch):
    """Let no call hold up the end for long."""
    monkeypatch.setattr(Background, "PATIENCE", 0.05)


def test_calls_are_made_in_order_on_one_other_thread():
    made = []
    background = Background("mine", "remedy")
    for number in range(500):
        background.call(lambda n: made.append((n, current_thread())), number)
    background.close()
    assert [number for number, _ in made] == list(range(500))
    (thread,) = {thread for _, thread in made}
    assert thread is not main_thread()
    assert thread.daemon


def test_nothing_is_said_when_all_went_well(caplog):
    background = Background("mine", "remedy")
    background.call(str)
    background.close()
    assert caplog.text == ""


@pytest.mark.parametrize("error", [OSError("the disk\nis full"), SystemExit("the disk is full")])
def test_the_first_error_is_one_line_and_the_last_call(caplog, error):
    made = []

    def fail():
        made.append("failed")
        raise error

    background = Background("mine", "buy a disk")
    background.call(fail)
    ended(background)
    background.call(made.append, "later")
    background.close()
    assert made == ["failed"]
    (record,) = caplog.records
    assert record.getMessage() == (
        "mine is disabled for the rest of this run: "
        f"{type(error).__name__}: the disk is full; buy a disk"
    )


def test_what_does_not_fit_into_the_queue_is_dropped_and_counted(caplog):
    made, begun, go_on = [], Event(), Event()

    def hang():
        begun.set()
        go_on.wait(60)

    background = Background("mine", "buy a faster disk", capacity=2)
    background.call(hang)
    assert begun.wait(60)
    for number in range(5):
        background.call(made.append, number)
    go_on.set()
    background.close()
    assert made == [0, 1], "the earliest are kept: they say what a trial is"
    (record,) = caplog.records
    assert "mine was too slow: 3 calls were dropped" in record.getMessage()
    assert record.getMessage().endswith("buy a faster disk")


def test_what_must_be_called_is_queued_behind_a_full_queue(caplog):
    made, begun, go_on = [], Event(), Event()

    def hang():
        begun.set()
        go_on.wait(60)

    background = Background("mine", "remedy", capacity=1)
    background.call(hang)
    assert begun.wait(60)
    for number in range(3):
        background.call(made.append, number)
    background.call(made.append, "the end", must=True)
    go_on.set()
    background.close()
    assert made == [0, "the end"]
    assert "2 calls were dropped" in caplog.text


@pytest.mark.slow
def test_at_the_end_what_must_be_called_is_not_kept_from_it_by_what_need_not(caplog, monkeypatch):
    monkeypatch.setattr(Background, "PATIENCE", 2.0)
    made = []

    def slow():
        time.sleep(0.2)
        made.append("slow")

    background = Background("mine", "remedy")
    for _ in range(30):
        background.call(slow)
    background.call(made.append, "the end", must=True)
    background.close()
    assert made[-1] == "the end"
    assert "slow" in made
    assert "calls were dropped" in caplog.text


@pytest.mark.slow
def test_a_slow_first_call_costs_none_of_the_quick_ones_behind_it(caplog, monkeypatch):
    monkeypatch.setattr(Background, "PATIENCE", 2.0)
    made = []
    background = Background("mine", "remedy")
    background.call(time.sleep, 1.2)
    for number in range(50):
        background.call(made.append, number)
    background.call(made.append, "the end", must=True)
    background.close()
    assert made == [*range(50), "the end"]
    assert caplog.text == ""


def test_a_call_that_hangs_is_left_behind_with_all_after_it(caplog, impatient):
    made, begun, go_on = [], Event(), Event()

    def hang():
        begun.set()
        go_on.wait(60)
        raise OSError("told too late")

    background = Background("mine", "remedy")
    background.call(hang)
    background.call(made.append, "after it")
    assert begun.wait(60)
    background.close()
    assert "2 calls were dropped" in caplog.text
    go_on.set()
    ended(background)
    assert made == []
    assert len(caplog.records) == 1


def test_a_call_that_hangs_does_not_keep_the_process(tmp_path):
    source = (
        "import time\nfrom mritk import Background\nBackground.PATIENCE = 0.1\n"
        "b = Background('mine', 'remedy')\nb.call(time.sleep, 3600)\nb.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source], timeout=60, capture_output=True, text=True, check=True
    )
    assert "1 calls were dropped" in done.stderr


def test_a_closed_one_takes_no_more_calls():
    made = []
    background = Background("mine", "remedy")
    background.close()
    background.call(made.append, "late")
    background.close()
    assert made == []
