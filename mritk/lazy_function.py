"""A function that is imported when it is first called."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from importlib import import_module
from typing import Any


class lazy:  # noqa: N801 - it stands where a function would, as functools.partial does
    """The function ``FUNCTION`` of ``MODULE``, which is imported by the first call.

    For records: yielding them imports nothing, and what they hold can be pickled.

    >>> lazy("posixpath:basename")("/a/b")
    'b'

    Args:
        target: ``MODULE:FUNCTION``.
    """

    def __init__(self, target: str) -> None:
        self.target = target
        # Whoever asks where a function comes from is told of the one that is meant.
        self.__module__, _, self.__qualname__ = target.partition(":")

    @cached_property
    def function(self) -> Any:
        """The function itself, imported now."""
        return getattr(import_module(self.__module__), self.__qualname__)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call the function."""
        return self.function(*arguments, **named)

    def __reduce__(self) -> tuple[type[lazy], tuple[str]]:
        return lazy, (self.target,)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, lazy) and self.target == other.target

    def __hash__(self) -> int:
        return hash(self.target)

    def __repr__(self) -> str:
        return f"lazy({self.target!r})"


def underlying(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a function calls in the end; a lazy one that is not imported stays as it is."""
    while True:
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, lazy) and "function" in vars(function):
            function = function.function
        else:
            return function
