"""A call that never returns, or takes its process with it, harms nobody else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from mritk.store.guarded_calls import Crashed, Endless, GuardedCalls


@pytest.fixture
def guarded() -> Iterator:
    made = []

    def make(function: str) -> GuardedCalls:
        made.append(GuardedCalls(function))
        return made[-1]

    yield make
    for calls in made:
        calls.close()


def test_it_returns_what_the_function_returns_and_raises_what_it_raises(guarded):
    root = guarded("math:isqrt")
    assert [root(n, seconds=5) for n in (4, 9, 10**40)] == [2, 3, 10**20]
    with pytest.raises(ValueError, match="nonnegative"):
        root(-1, seconds=5)
    assert root(16, seconds=5) == 4, "and goes on"


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such clock")
def test_what_does_not_come_to_an_end_is_ended_and_the_next_call_is_answered(guarded):
    total = guarded("builtins:sum")
    with pytest.raises(Endless):
        total(range(10**15), seconds=0.6)
    assert total(range(4), seconds=5) == 6


@pytest.mark.slow
def test_what_crashes_is_told_and_what_sleeps_is_not_waited_for(guarded):
    with pytest.raises(Crashed):
        guarded("os:_exit")(0, seconds=5)
    with pytest.raises(OSError, match="timed out after 1 seconds"):
        guarded("time:sleep")(1000, seconds=0.1)


def test_what_cannot_be_started_is_told(guarded):
    with pytest.raises(OSError, match="could not be started"):
        guarded("no_such_module:function")(seconds=1)


def test_a_module_in_the_current_folder_takes_no_part(guarded, tmp_path, monkeypatch):
    (tmp_path / "signal.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    assert guarded("os:getcwd")(seconds=5) == os.getcwd()  # noqa: PTH109
