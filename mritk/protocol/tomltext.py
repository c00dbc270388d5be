"""Read a TOML text into a typed dataclass, with errors that name line, key and near miss.

pydantic checks the types; this module finds the line, because Python's TOML reader does not tell.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from mritk.errors import ProtocolError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")
Path = tuple[str | int, ...]


@lru_cache(maxsize=32)  # it takes milliseconds to make one
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


@dataclasses.dataclass(frozen=True)
class TomlText:
    """A TOML text and the name under which errors refer to it.

    Attributes:
        text: The text.
        name: Its name.
        varied: Values that stand in place of its own, by dotted key: errors name these.
    """

    text: str
    name: str
    varied: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_file(cls, path: pathlib.Path) -> TomlText:
        """Return the text of a file.

        Raises:
            ProtocolError: It is not UTF-8, as TOML must be.
        """
        try:
            return cls(path.read_bytes().decode("utf-8-sig"), str(path))
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            raise ProtocolError(
                f"{path}, line {line}: not valid UTF-8; save the file as UTF-8"
            ) from error

    def parse(self) -> dict[str, Any]:
        """Return the tables as plain data.

        Raises:
            ProtocolError: It is not TOML.
        """
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise ProtocolError(f"{self.name} is not valid TOML: {error}") from error
        except RecursionError:
            raise ProtocolError(
                f"{self.name} nests tables or lists hundreds of levels deep"
            ) from None

    def into(self, kind: type[T], data: Mapping[str, Any], at: Path = ()) -> T:
        """Return ``data``, a table of this text at the key path ``at``, as a ``kind``.

        Raises:
            ProtocolError: An unknown key, a missing one, a wrong type or a refused value.
        """
        from pydantic import ValidationError

        for path, known in unknown_keys(kind, data):
            key = str(path[-1])
            raise self.error(at + path, f"unknown key {key!r}{near_miss(key, known)}")
        for path, value in odd_values(data):
            raise self.error(at + path, f"{value} is not allowed here")
        try:
            # Through JSON, where a list may become a tuple and an integer a float, and no more.
            text = json.dumps(data)
            return _adapter(kind).validate_json(text, strict=True)  # type: ignore[arg-type]
        except ValidationError as error:
            first = error.errors()[0]
            missing = first["type"] == "missing"
            message = first["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            # What a whole table is refused for is in the message.
            table = isinstance(first["input"], (dict, list))
            given = "" if missing or table else f" (it is {first['input']!r})"
            path = tuple(first["loc"]) if missing else _within(data, first["loc"])
            blamed = message.partition(" ")[0]
            inside = (blamed,) if table and blamed in first["input"] else ()
            raise self.error(at + path, f"{message}{given}", inside) from error

    def error(self, path: Path, message: str, inside: Path = ()) -> ProtocolError:
        """Return an error about the key at ``path``, with its line, or as it was varied.

        ``inside`` leads from there to the line of what the message is about, if that is less than
        a whole table. Of a table, those varied keys are blamed that the message names; if it names
        none, they are told behind it.
        """
        key = ".".join(str(part) for part in path if isinstance(part, str))
        told = f"{key}: {message}" if key else message
        within = [name for name in self.varied if tuple(name.split("."))[: len(path)] == path]
        if blamed := [name for name in within if _is_told(name, message)] or self._varied(path):
            return ProtocolError(f"{self._vary(blamed)}, for {self.name}: {told}")
        line = self.line_of(path + inside)
        also = f" (with {self._vary(within)})" if within else ""
        return ProtocolError(f"{self.name}{f', line {line}' if line else ''}: {told}{also}")

    def _varied(self, path: Path) -> list[str]:
        """Return the keys of the changes that put the value at ``path`` there; none: it is of the
        text."""
        found = []
        for name in self.varied:
            keys = tuple(name.split("."))
            above = keys[: len(path)] == path and _within(self.parse(), path) != path
            if above or path[: len(keys)] == keys:
                found.append(name)
        return found

    def _vary(self, names: Sequence[str]) -> str:
        """Return the options that made these changes."""
        values = {name: self.varied[name] for name in names}
        return " ".join(
            f"--vary {name}={value if isinstance(value, str) else json.dumps(value, default=str)}"
            for name, value in values.items()
        )

    def line_of(self, path: Path) -> int:
        """Return the line, from 1, on which the value at ``path`` begins.

        A key that is not there has the line of its table; 0 stands for the whole text.

        The text is parsed up to each line's end: the first part in which the key appears ends
        with it. So no spelling that TOML allows can be misread.
        """
        for wanted in (path[:length] for length in range(len(path), 0, -1)):
            begin = 1
            lines = self.text.splitlines(keepends=True)
            for number in range(1, len(lines) + 1):
                try:
                    data = tomllib.loads("".join(lines[:number]))
                except tomllib.TOMLDecodeError:
                    continue  # in the middle of a value of several lines
                if _within(data, wanted) == wanted:
                    return begin
                begin = number + 1
        return 0


def unknown_keys(kind: Any, data: Any, at: Path = ()) -> Iterator[tuple[Path, list[str]]]:
    """Yield the path of each key in ``data`` that the dataclass ``kind`` lacks, and its fields."""
    if dataclasses.is_dataclass(kind) and isinstance(data, Mapping):
        hints = get_type_hints(kind)
        known = [field.name for field in dataclasses.fields(kind)]
        for key, value in data.items():
            if key not in known:
                yield (*at, key), known
            else:
                yield from unknown_keys(hints[key], value, (*at, key))
    elif get_origin(kind) in (list, tuple, Sequence) and isinstance(data, list):
        for position, value in enumerate(data):
            yield from unknown_keys(get_args(kind)[0], value, (*at, position))
    elif get_origin(kind) in (dict, Mapping) and isinstance(data, Mapping):
        for key, value in data.items():
            yield from unknown_keys(get_args(kind)[1], value, (*at, key))
    elif get_args(kind):  # one of several types: a key is unknown if each of them lacks it
        found = [list(unknown_keys(one, data, at)) for one in get_args(kind) if _takes(one, data)]
        if found and all(found):
            yield from found[0]


def odd_values(data: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield path and value of what TOML has and no parameter takes: dates, nan and infinity."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from odd_values(value, (*at, key))
    elif isinstance(data, list):
        for position, value in enumerate(data):
            yield from odd_values(value, (*at, position))
    elif not isinstance(data, (str, bool, int, float)) or (
        isinstance(data, float) and not math.isfinite(data)
    ):
        yield at, data


def near_miss(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean X?``, or the known names if none is near."""
    spelt = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), spelt, 1, 0.5)
    return f"; did you mean {spelt[near[0]]!r}?" if near else f"; known are {', '.join(known)}"


def _is_told(name: str, message: str) -> bool:
    """Return whether a message is about a dotted key, such as ``batch_size`` in ``batch sizes``."""
    key = re.escape(name.rpartition(".")[2])
    return re.search(rf"\b{key.replace('_', '[_ ]')}s?(?!\w)", message) is not None


def _takes(kind: Any, data: Any) -> bool:
    """Return whether a value of several types' union is looked at as ``kind``."""
    if isinstance(data, Mapping):
        return dataclasses.is_dataclass(kind) or get_origin(kind) in (dict, Mapping)
    return isinstance(data, list) and get_origin(kind) in (list, tuple, Sequence)


def _within(data: Any, path: Sequence[str | int]) -> Path:
    """Return the longest beginning of ``path`` that leads to a value in ``data``."""
    found: list[str | int] = []
    for part in path:
        if isinstance(data, Mapping):
            inside = part in data
        else:
            inside = isinstance(data, list) and isinstance(part, int) and part < len(data)
        if not inside:
            break
        data = data[part]
        found.append(part)
    return tuple(found)
