"""Remember the last few results of a slow function of a file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")

# Threads work on neighbouring samples, so that a few files are in use at a time.
KEPT = 8


class Recent(Generic[T]):
    """A function of a path that remembers its last results; threads that ask together share one.

    An exception is remembered like a result, so that a corrupt file is read once too.
    """

    def __init__(self, make: Callable[[Path], T]) -> None:
        self._make = make
        self._lock = Lock()
        self._results: OrderedDict[Path, Future[T]] = OrderedDict()

    def __call__(self, path: Path) -> T:
        """Return ``make(path)``, or raise what it raised."""
        with self._lock:
            result = self._results.get(path)
            first = result is None
            if result is None:
                result = self._results[path] = Future()
                while len(self._results) > KEPT:
                    self._results.popitem(last=False)
        if first:
            try:
                result.set_result(self._make(path))
            except BaseException as error:
                result.set_exception(error)
        return result.result()
