"""The bar and the lines by themselves, in moments that are not usual."""

from __future__ import annotations

from threading import Thread

import pytest

from mritk.method import Epoch
from mritk_progress.bar import ProgressBar
from mritk_progress.log import ProgressLog
from mritk_progress.time_left import TimeLeft


@pytest.mark.parametrize(("planned", "shown"), [(0, "  0%|"), (1, " 50%|")])
def test_more_epochs_than_planned_count_as_one_trial_and_unplanned_ones_as_none(
    capsys, planned, shown
):
    bar = ProgressBar(2)
    bar.start_trial("one", "a", "one begins")
    bar.end_epoch("one", Epoch(3, planned, "all", 1e-3, 0.1, 0.7, 0.6, 1.0), "an epoch ends")
    bar.close()
    assert shown in capsys.readouterr().err.split("\r")[-1]


def test_a_trial_that_begins_again_is_one_trial_and_its_time_is_that_of_the_new_attempt():
    now = [0.0]
    left = TimeLeft(["a"] * 3, lambda: now[0])
    left.start("t", "a")
    now[0] = 100.0
    left.start("t", "a")
    now[0] = 110.0
    left.epoch("t", Epoch(1, 2, "all", 1e-3, 0.1, 0.7, 0.6, 10.0))
    assert left.left() == 50, "10 of this trial, 20 of each other"


class Noticed(str):
    """Does something, once, when it is looked up."""

    act = None

    def __hash__(self):
        act, Noticed.act = Noticed.act, None
        if act is not None:
            act()
        return super().__hash__()


def test_a_trial_may_begin_while_the_line_of_the_minute_is_told(capsys):
    kind = Noticed("a")
    log = ProgressLog([kind] * 3, interval=3600)
    log.start_trial("one", kind, "one begins")
    other = Thread(target=log.start_trial, args=("two", "b", "two begins"))

    def begin():
        other.start()
        other.join(0.2)

    Noticed.act = begin
    log._tell_now()
    other.join()
    log._tell_now()
    log.close()
    assert capsys.readouterr().err == "one begins\n2 trials running, two begins\n"
