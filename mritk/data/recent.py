"""Remember the last results of a slow function, such as the volumes that slices are cut from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

from mritk.errors import DataError, causes

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# Threads work on neighbouring samples, so that a few files are in use at a time.
KEPT = 8


class Recent(Generic[K, T]):
    """A function of one argument that remembers its last results, for many threads.

    Threads that ask together share one call. What says that a file is corrupt (``DataError``,
    ``ValueError``) is remembered like a result, so that it is read once too. Other exceptions may
    not come again, such as that of a folder that is away, and are not.

    Args:
        make: The slow function.
        kept: How many results are remembered.
    """

    def __init__(self, make: Callable[[K], T], kept: int = KEPT) -> None:
        self._make, self._kept = make, kept
        self._lock = Lock()
        self._results: OrderedDict[K, Future[T]] = OrderedDict()

    def __call__(self, key: K) -> T:
        """Return ``make(key)``, or raise what it raised."""
        with self._lock:
            result = self._results.get(key)
            first = result is None
            if result is not None:
                self._results.move_to_end(key)
            else:
                result = self._results[key] = Future()
                while len(self._results) > self._kept:
                    self._results.popitem(last=False)
        if first:
            try:
                result.set_result(self._make(key))
            except BaseException as error:
                if not _of_the_file(error):
                    self._forget(key, result)
                result.set_exception(error)
        return result.result()

    def _forget(self, key: K, result: Future[T]) -> None:
        with self._lock:
            if self._results.get(key) is result:
                del self._results[key]


def _of_the_file(error: BaseException) -> bool:
    """Whether an exception says that a file is corrupt, not that the system could not read it."""
    for one in causes(error):
        if isinstance(one, MemoryError) or (isinstance(one, OSError) and one.errno):
            return False
    return isinstance(error, (DataError, ValueError))
