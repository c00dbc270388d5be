"""Tasks in lanes take turns, wait for their device without keeping others waiting, and end."""

from __future__ import annotations

import pytest

from mritk.machine import lanes as lanes_module
from mritk.machine.growth import FIRST, GROWTH, MOST, SETTLED, STEPS, WINDOW_S, Growth
from mritk.machine.lanes import (
    AHEAD,
    Lanes,
    at_once,
    expect_memory,
    give_way,
    share_of,
    until_computed,
)


def in_lanes(tasks, count=None):
    return list(Lanes("cpu", count).run(("kind", task) for task in tasks))


def task(name, log, turns=3):
    def work():
        for turn in range(turns):
            log.append(f"{name}{turn}")
            give_way(1)
        return name

    return work


def test_outside_of_lanes_nothing_happens():
    give_way(8)
    until_computed()
    expect_memory(2**40)
    assert at_once() == 1
    assert share_of(3.0) == 3.0


def test_lanes_take_turns_in_order():
    log = []
    assert in_lanes([task("a", log), task("b", log)], 2) == ["a", "b"]
    assert log == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_a_task_begins_when_a_lane_is_free():
    log = []
    assert in_lanes([task("a", log, 1), task("b", log, 3), task("c", log, 1)], 2) == ["a", "c", "b"]
    assert log == ["a0", "b0", "b1", "c0", "b2"]


def test_a_single_lane_runs_one_task_after_the_other():
    log = []
    in_lanes([task("a", log), task("b", log)], 1)
    assert log == ["a0", "a1", "a2", "b0", "b1", "b2"]


def test_a_task_knows_how_many_there_were_beside_it():
    def alone():
        return at_once()

    def beside():
        give_way(1)
        return at_once()

    assert in_lanes([alone, alone], 1) == [1, 1]
    assert in_lanes([beside, beside, beside], 2) == [2, 2, 2]


def test_an_error_ends_all_lanes_and_lets_each_clean_up():
    log = []

    def cleaning():
        try:
            give_way(1)
            log.append("went on")
        finally:
            log.append("cleaned")

    def failing():
        give_way(1)
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        in_lanes([failing, cleaning], 2)
    assert log == ["cleaned"]
    assert at_once() == 1, "and the process is as before"


def test_whoever_stops_asking_ends_all_lanes():
    log = []

    def endless():
        try:
            while True:
                give_way(1)
        finally:
            log.append("cleaned")

    results = Lanes("cpu", 2).run(iter([("", endless), ("", task("a", []))]))
    assert next(results) == "a"
    results.close()
    assert log == ["cleaned"]


class Slow:
    """A device that computes one thing whenever it is looked at ``patience`` times."""

    def __init__(self, patience):
        self.patience, self.entered = patience, 0

    def enter(self):
        self.entered += 1

    def leave(self):
        self.entered -= 1

    def mark(self):
        device, left = self, [self.patience]

        class Mark:
            def query(self):
                assert not device.entered, "looked at between turns"
                left[0] -= 1
                return left[0] < 0

        return Mark()


def test_a_lane_whose_device_is_behind_does_not_keep_others_waiting(monkeypatch):
    tracks = [Slow(10**9), Slow(0)]
    monkeypatch.setattr(Lanes, "_track", lambda self: tracks.pop(0))
    log = []

    def behind():
        log.append("asks")
        until_computed()
        raise AssertionError("it was not computed")

    results = Lanes("cpu", 2).run(iter([("", behind), ("", task("b", log, 5))]))
    assert next(results) == "b"
    assert log == ["asks", "b0", "b1", "b2", "b3", "b4"]
    results.close()


def test_so_many_steps_wait_for_the_device_and_no_more(monkeypatch):
    monkeypatch.setattr(Lanes, "_track", lambda self: Slow(3))
    monkeypatch.setattr(lanes_module, "PAUSE_S", 0)
    most, waiting = [], []

    def eager():
        lane = lanes_module._lane()
        for _ in range(3 * AHEAD):
            give_way(2)
            waiting.append(len(lane._asked))
        until_computed()
        most.append(max(waiting))
        return lane.images

    assert in_lanes([eager], 1) == [2 * 3 * AHEAD]
    assert most[0] < AHEAD


def test_a_lane_is_added_when_those_before_have_begun_and_while_there_is_memory(monkeypatch):
    asked, beside = [], []

    def room(self):
        asked.append([lane.memory for lane in self._lanes])
        return len(self._lanes) < 2

    def work(nbytes):
        def run():
            expect_memory(nbytes)
            for _ in range(5):
                give_way(1)
            beside.append(at_once())

        return run

    monkeypatch.setattr(Lanes, "_has_room", room)
    in_lanes([work(10), work(20), work(30)])
    assert beside == [2, 2, 2]
    assert [10] in asked
    assert [20] in asked, "when a lane has ended"
    assert len(asked) <= 4, "and not at each step"


def test_the_stream_of_a_lane_that_has_ended_is_taken_up(monkeypatch):
    made = []

    def make():
        made.append(Slow(0))
        return made[-1]

    monkeypatch.setattr(lanes_module, "_Host", make)
    assert in_lanes([task(name, [], 2) for name in "abcdef"], 2) == list("abcdef")
    assert len(made) == 2


# -- how many ----------------------------------------------------------------------------------


class Lane:
    steps, images = 0, 0


def grown(rates):
    """Let as many lanes as there may be make so many images per second in all."""
    growth, lanes, now, images, widths = Growth(), [], 0.0, 0.0, []
    for _ in range(2000):
        while len(lanes) < growth.width:
            lanes.append(Lane())
        images += rates(len(lanes)) * WINDOW_S / 8
        for lane in lanes:
            lane.steps += 1
        lanes[0].images = images
        now += WINDOW_S / 8
        growth.look(lanes, now)
        widths.append(growth.width)
    assert widths == sorted(widths)
    return growth.width


@pytest.mark.parametrize(
    ("rates", "width"),
    [
        (lambda lanes: 100, FIRST + 1),  # one more is tried
        (lambda lanes: 100 * min(lanes, 6), 7),
        (lambda lanes: 100 * lanes, MOST),
        (lambda lanes: 100 * (1 + (GROWTH - 1) * 0.9) ** lanes, FIRST + 1),
    ],
)
def test_lanes_are_added_until_the_last_one_has_not_paid(rates, width):
    assert grown(rates) == width


def lanes_after(steps):
    lanes = [Lane() for _ in range(FIRST)]
    for lane in lanes:
        lane.steps, lane.images = steps, 100 * steps
    return lanes


def test_first_steps_build_kernels_and_count_for_nothing():
    growth, lanes = Growth(), lanes_after(0)
    for step in range(SETTLED):
        lanes[-1].steps = step
        growth.look(lanes, 10.0 * step)
    assert growth.width == FIRST
    for step in range(SETTLED, SETTLED + STEPS + 1):
        for lane in lanes:
            lane.steps, lane.images = step, step
        growth.look(lanes, 100.0 + step)
    assert growth.width == FIRST + 1


def test_trainings_of_another_kind_are_not_compared():
    growth = Growth()
    lanes = lanes_after(0)
    for speed, width in ((100, FIRST + 1), (1, FIRST + 2)):  # slower images of larger networks
        while len(lanes) < growth.width:
            lanes.append(Lane())
        for step in range(SETTLED, 100):
            for lane in lanes:
                lane.steps, lane.images = step, speed * step
            growth.look(lanes[: width - 1], 1000.0 + step)
        assert growth.width == width
        growth.forget()
