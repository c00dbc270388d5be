"""Read a TOML text into a typed dataclass, with errors that name line, key and near miss.

pydantic checks the types; this module finds the line, because Python's TOML reader does not tell.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, get_args, get_type_hints

from mritk.errors import ProtocolError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
Path = tuple[str | int, ...]


@dataclasses.dataclass(frozen=True)
class TomlText:
    """A TOML text and the name under which errors refer to it."""

    text: str
    name: str

    def parse(self) -> dict[str, Any]:
        """Return the tables as plain data.

        Raises:
            ProtocolError: It is not TOML.
        """
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise ProtocolError(f"{self.name} is not valid TOML: {error}") from error

    def into(self, kind: type[T], data: Mapping[str, Any], at: Path = ()) -> T:
        """Return ``data``, a table of this text at the key path ``at``, as a ``kind``.

        Raises:
            ProtocolError: An unknown key, a missing one, a wrong type or a refused value.
        """
        from pydantic import TypeAdapter, ValidationError

        for path, known in unknown_keys(kind, data):
            raise self.error(
                at + path, f"unknown key {path[-1]!r}{near_miss(str(path[-1]), known)}"
            )
        try:
            # Through JSON, where a list may become a tuple and an integer a float, and no more.
            return TypeAdapter(kind).validate_json(json.dumps(data), strict=True)
        except ValidationError as error:
            first = error.errors()[0]
            given = "" if first["type"] == "missing" else f" (it is {first['input']!r})"
            message = first["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            raise self.error(at + tuple(first["loc"]), f"{message}{given}") from error

    def error(self, path: Path, message: str) -> ProtocolError:
        """Return an error about the key at ``path``, with its line."""
        key = ".".join(str(part) for part in path if isinstance(part, str))
        line = self.line_of([part for part in path if isinstance(part, str)], path)
        place = f"{self.name}, line {line}" if line else self.name
        return ProtocolError(f"{place}: {f'{key}: ' if key else ''}{message}")

    def line_of(self, keys: Sequence[str], path: Path = ()) -> int:
        """Return the line, from 1, on which the key path is set; 0 if it is not found."""
        wanted = next((part for part in path if isinstance(part, int)), 0)
        table: list[str] = []
        seen: dict[str, int] = {}
        best = 0
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[+\s*([^\]]+?)\s*\]+", line):
                table = _parts(header[1])
                name = ".".join(table)
                seen[name] = seen.get(name, -1) + 1
                if table == list(keys) and seen[name] == wanted:
                    return number
                if table == list(keys[:-1]) and seen[name] == wanted:
                    best = number  # a missing key is reported at its table
            elif setting := re.match(r"\s*([A-Za-z0-9_\-.\"']+)\s*=", line):
                inside = seen.get(".".join(table), 0)
                full = table + _parts(setting[1])
                is_array = line.split("=", 1)[1].lstrip().startswith("[")
                if full == list(keys) and (inside == wanted or not path or not _repeats(path)):
                    return number
                if full == list(keys[: len(full)]) and (is_array or "{" in line):
                    best = number  # the key stands inside an inline table or array
        return best


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
    elif isinstance(data, list):
        inner = next(iter(get_args(kind)), None)
        for position, value in enumerate(data):
            yield from unknown_keys(inner, value, (*at, position))


def near_miss(name: str, known: Sequence[str]) -> str:
    """Return ``; did you mean X?``, or the known names if none is near."""
    near = difflib.get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"


def _parts(dotted: str) -> list[str]:
    return [part.strip().strip("\"'") for part in dotted.split(".")]


def _repeats(path: Path) -> bool:
    return any(isinstance(part, int) for part in path)
