"""Remember the last results of a slow function, such as the volumes that slices are cut from."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from threading import Lock
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

# Threads work on neighbouring samples, so that a few files are in use at a time.
KEPT = 8


class Recent(Generic[K, T]):
    """A function of one argument that remembers its last results, for many threads.

    Threads that ask together share one call. An exception is remembered like a result, so that a
    corrupt file is read once too.

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
            if result is None:
                result = self._results[key] = Future()
                while len(self._results) > self._kept:
                    self._results.popitem(last=False)
        if first:
            try:
                result.set_result(self._make(key))
            except BaseException as error:
                result.set_exception(error)
        return result.result()
