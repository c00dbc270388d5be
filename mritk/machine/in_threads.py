"""Make one thing for each row, in several threads, in order, errors kept."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from mritk.errors import causes
from mritk.machine.cores import available_cores

T = TypeVar("T")

# What Python up to 3.11.7 raises, rarely, where two threads parse at once, as numpy does for each
# file that it loads; such a row is made again. https://github.com/python/cpython/issues/106905
PARSED_AT_ONCE = "AST constructor recursion depth mismatch"
ATTEMPTS = 5


def in_threads(make: Callable[[int], T], count: int) -> Iterator[T | Exception]:
    """Yield what ``make`` returns, or the exception that it raises, for each row in order.

    Until the last is yielded, BLAS computes in the thread that calls it: with threads of its own
    for each of these, all would spin while they wait for each other (on two cores that others
    used too, nine times the processor time).
    """

    def attempt(row: int, left: int = ATTEMPTS) -> T | Exception:
        try:
            return make(row)
        except MemoryError:
            raise
        except Exception as error:
            if left == 1 or not _parsed_at_once(error):
                return error
        return attempt(row, left - 1)

    ahead: deque[Future[T | Exception]] = deque()
    with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
        if count == 1:  # to start a thread takes longer than much of what is made
            yield attempt(0)
            return
        # Pillow releases the interpreter lock while it decodes and resizes.
        workers = available_cores()
        pool = ThreadPoolExecutor(workers)
        try:
            for row in range(count):
                # Finished results wait in memory, and a volume is large: few are made ahead.
                if len(ahead) == 2 * workers:
                    yield ahead.popleft().result()
                ahead.append(pool.submit(attempt, row))
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _parsed_at_once(error: BaseException) -> bool:
    """Tell whether an error, or one behind it, is that of Python which a repetition mends."""
    return any(isinstance(one, SystemError) and PARSED_AT_ONCE in str(one) for one in causes(error))


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """Return the libraries that compute in threads, found anew once more modules are imported.

    The search among all that is loaded takes longer than what many calls have to do.
    """
    return ThreadpoolController()


def made_in_threads(
    make: Callable[[int], T], count: int, progress: Callable[[float], None] = lambda share: None
) -> list[T]:
    """Return what ``make`` returns for each row, in order; the first exception is raised.

    ``progress`` is called with the share of the rows that is done.
    """
    made = []
    for found in in_threads(make, count):
        if isinstance(found, Exception):
            raise found
        made.append(found)
        progress(len(made) / count)
    return made


def blocks_in_threads(work: Callable[[slice], None], count: int, size: int) -> None:
    """Call ``work`` for each block of ``size`` of ``count`` rows; the first exception is raised."""
    made_in_threads(lambda block: work(slice(block * size, (block + 1) * size)), -(-count // size))
