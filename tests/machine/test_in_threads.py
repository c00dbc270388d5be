"""Threads of this process, each of which is one core's worth of work."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from mritk.machine.cores import available_cores
from mritk.machine.in_threads import in_threads, made_in_threads


def test_results_of_threads_come_in_order_and_few_are_made_ahead():
    """Finished volumes that wait for their turn would fill the memory."""
    made = []

    def make(row):
        made.append(row)
        return row

    for expected, row in enumerate(in_threads(make, 100)):
        assert row == expected
        time.sleep(0.001)
        assert len(made) <= row + 1 + 2 * available_cores()
    assert sorted(made) == list(range(100))


def test_nothing_more_is_made_once_nobody_asks():
    made = []
    results = in_threads(made.append, 10_000)
    next(results)
    results.close()
    assert len(made) <= 1 + 2 * available_cores()


def blas_threads(_: int = 0) -> set[int]:
    return {found["num_threads"] for found in threadpool_info() if found["user_api"] == "blas"}


def test_blas_has_no_threads_of_its_own_meanwhile():
    """Two threads that each start two wait for each other, spinning, most of the time."""
    with threadpool_limits(2, user_api="blas"):
        if blas_threads() != {2}:
            pytest.skip("this BLAS cannot be told how many threads to use")
        assert list(in_threads(blas_threads, 3)) == [{1}] * 3
        assert blas_threads() == {2}
        results = in_threads(blas_threads, 100)
        next(results)
        results.close()
        assert blas_threads() == {2}, "also if nobody asks for the rest"


def test_all_at_once_or_the_first_exception():
    assert made_in_threads(lambda row: row**2, 5) == [0, 1, 4, 9, 16]
    with pytest.raises(ZeroDivisionError):
        made_in_threads(lambda row: 1 // (row - 3), 5)


@pytest.mark.parametrize("times", [1, 100])
def test_what_two_threads_cannot_parse_at_once_is_made_again(times):
    """Python up to 3.11.7 confuses them; to np.load each file's header is such a text."""
    tries = Counter()

    def make(row):
        tries[row] += 1
        try:
            if row == 1 and tries[row] <= times:
                raise SystemError("AST constructor recursion depth mismatch (before=42, after=40)")
        except SystemError as error:
            raise ValueError("cannot be read") from error
        if row == 2:
            raise SystemError("another one")
        return row

    found = list(in_threads(make, 4))
    assert (found[0], found[3]) == (0, 3)
    assert str(found[2]) == "another one"
    assert tries[2] == 1
    assert found[1] == 1 if times == 1 else str(found[1]) == "cannot be read"


def test_an_error_that_is_its_own_cause_is_one_like_any_other():
    def make(row):
        try:
            raise ValueError("is damaged")
        except ValueError as error:
            raise error from error

    (found,) = in_threads(make, 1)
    assert str(found) == "is damaged"
