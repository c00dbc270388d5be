"""Names that are imported when they are first used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from importlib import import_module
from types import MappingProxyType
from typing import Any

from mritk.errors import PluginDeprecationWarning


class lazy:  # noqa: N801 - it stands where a function would, as functools.partial does
    """The function ``FUNCTION`` of ``MODULE``, imported at the first call.

    For records: yielding them imports nothing, and their contents can be pickled. It can also stand
    for a class, such as that of a method's parameters.

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


def schema_of(given: type[Any] | lazy) -> type[Any]:
    """Return a dataclass that stands in a record, imported now if it is a lazy one."""
    return given.function if isinstance(given, lazy) else given


def underlying(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what a function calls in the end; a lazy one that is not imported stays as it is."""
    while True:
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, lazy) and "function" in vars(function):
            function = function.function
        else:
            return function


def lazy_names(
    package: str, homes: Mapping[str, str], renamed: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__all__``, ``__getattr__`` and ``__dir__`` of a package that imports nothing itself.

    Args:
        package: Its name.
        homes: By module, the names that are imported from it, with spaces between them.
        renamed: By old name, the name that a public one has now; the old one works, with a warning.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:
        if name in renamed:
            new = renamed[name]
            gone = PluginDeprecationWarning(
                f"{package}.{name}", instead=f"it is now named {new}", removed_in="1.1"
            )
            warnings.warn(gone, stacklevel=2)
            name = new
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(home_of[name]), name)

    return list(home_of), get, lambda: list(home_of)
