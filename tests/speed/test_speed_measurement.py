"""Cases take turns, and ratios compare what was measured in one round."""

from __future__ import annotations

import pytest

from benchmarks.speed.measurement import (
    Sample,
    Timer,
    added,
    interleaved,
    median_cpu_seconds,
    median_seconds,
    ratio,
)


def samples(*seconds: float) -> list[Sample]:
    return [Sample(s, 2 * s, 0.0) for s in seconds]


def test_cases_take_turns_after_a_round_that_does_not_count():
    calls: list[str] = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 2)
    assert calls == ["a", "b"] * 3
    assert {name: len(of) for name, of in found.items()} == {"a": 2, "b": 2}


def test_whole_processes_need_no_warm_up():
    calls: list[str] = []
    interleaved({"a": lambda: calls.append("a")}, 2, warm_up=False)
    assert calls == ["a", "a"]


def test_progress_goes_to_stderr_so_that_the_table_can_be_piped(capsys):
    interleaved({"a": lambda: None}, 1)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "warm-up: a" in captured.err and "round 1 of 1: a" in captured.err


def test_a_ratio_is_the_median_over_rounds_and_not_the_ratio_of_medians():
    slow_afternoon = samples(1.0, 2.0, 9.0)  # the machine became slower from round to round
    twice = samples(2.0, 4.0, 18.0)
    assert ratio(twice, slow_afternoon) == 2
    assert ratio(samples(1, 30, 30), samples(10, 10, 20)) == 1.5  # of medians it would be 3


def test_ratios_of_different_rounds_are_refused():
    with pytest.raises(ValueError, match=r"shorter|longer"):
        ratio(samples(1, 2), samples(1))


def test_medians_and_sums():
    assert median_seconds(samples(3, 1, 2)) == 2
    assert median_cpu_seconds(samples(3, 1, 2)) == 4
    (whole,) = added([Sample(1, 2, 0.1)], [Sample(10, 20, None)])
    assert whole == Sample(11, 22, 0.1)


def test_a_timer_tells_own_processor_time_from_that_of_others():
    timer = Timer()
    sum(i * i for i in range(300_000))
    sample = timer.lap()
    assert sample.seconds > 0 and sample.cpu_seconds >= 0
    assert sample.other_load is None or 0 <= sample.other_load <= 1
    assert timer.lap().seconds > sample.seconds  # a lap does not restart it
