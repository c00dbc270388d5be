"""Which files of mritk a value passes while a command runs, in order: followed by its content."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

# A function that is called often with a value of its caller is not asked for ever.
ASKED = 40


def room_of(file: str) -> str | None:
    """Return the package of ``mritk.package.file``; None for ``mritk.file``, which is in none."""
    _, *packages, _ = file.split(".")
    return packages[0] if packages else None


@dataclass(frozen=True)
class Visit:
    """A file that has the value, and the packages whose functions are being called meanwhile."""

    file: str
    callers: frozenset[str | None]

    @property
    def room(self) -> str | None:
        return room_of(self.file)


@dataclass
class Followed:
    """A value, known by its content, and the files that had it.

    A file has it if one of its functions holds it in a variable, alone, as an item or as an
    attribute of an object of mritk, passes it as an argument or gets it back, unless a function of
    another package that called it holds it too: then it is only lent, as an image is to the
    function that shrinks it.

    Attributes:
        is_it: Whether an object is the value, in any of its forms.
        visits: Of files that had it, in the order in which they did so first.
    """

    is_it: Callable[[Any], bool]
    visits: list[Visit] = field(default_factory=list)
    _asked: dict[str, int] = field(default_factory=dict)

    @property
    def files(self) -> list[str]:
        """The files that had it, in the order in which they did so first."""
        return [visit.file for visit in self.visits]

    @property
    def rooms(self) -> list[str]:
        """The packages of the files; one that it comes back to stands there again.

        A package is left when its functions have returned, not when they call another.
        """
        rooms: list[str] = []
        within: dict[str, bool] = {}
        for visit in self.visits:
            if visit.room is None:
                continue
            if not within.get(visit.room):
                rooms.append(visit.room)
            within = {room: still and room in visit.callers for room, still in within.items()}
            within[visit.room] = True
        return rooms

    def among(self, objects: Iterable[Any]) -> bool:
        """Whether one of these objects is the value, or holds it."""
        return any(self.is_it(one) or any(map(self.is_it, _items(one))) for one in objects)

    def look(self, frame: FrameType, event: str, returned: Any) -> None:
        """See whether a function that is called, or returns, has it, and who called it."""
        held = list(frame.f_locals.values())
        exchanged = held if event == "call" else [returned]
        if frame.f_back is not None and self._new(frame.f_back) and self.among(exchanged):
            self._note(frame.f_back)
        if self._new(frame) and self.among([*held, returned]):
            self._note(frame)

    def _new(self, frame: FrameType) -> bool:
        file = frame.f_globals.get("__name__", "")
        return (
            file.startswith("mritk.")
            and file not in self.files
            and self._asked.get(file, 0) < ASKED
        )

    def _note(self, frame: FrameType) -> None:
        file = frame.f_globals["__name__"]
        self._asked[file] = self._asked.get(file, 0) + 1
        callers = set()
        caller = frame.f_back
        while caller is not None:
            name = caller.f_globals.get("__name__", "")
            if name.startswith("mritk."):
                if room_of(name) != room_of(file) and self.among(caller.f_locals.values()):
                    return
                callers.add(room_of(name))
            caller = caller.f_back
        self.visits.append(Visit(file, frozenset(callers)))


def _items(one: Any) -> Iterable[Any]:
    """Return what a short tuple, list or dictionary holds, or an object of mritk."""
    if type(one) in (tuple, list) and len(one) <= 200:
        return one
    if type(one) is dict and len(one) <= 200:
        return one.values()
    if type(one).__module__.startswith("mritk.") and hasattr(one, "__dict__"):
        return list(vars(one).values())
    return ()


@contextmanager
def following(*values: Followed) -> Iterator[None]:
    """Follow values through what is called in this thread."""

    def look(frame: FrameType, event: str, returned: Any) -> None:
        if event in ("call", "return") and frame.f_globals.get("__name__", "").startswith("mritk."):
            for value in values:
                value.look(frame, event, returned if event == "return" else None)

    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)
