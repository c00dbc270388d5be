"""Vary a protocol: one recipe with each of several values of a key, such as ``split.shots``."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from mritk.errors import ProtocolError, UsageError
from mritk.protocol.tomltext import TomlText

# A dotted key, such as ``split.shots``, and its value.
Changes = Mapping[str, Any]


def variations(vary: Mapping[str, Any]) -> list[Changes]:
    """Return every combination of the values of the keys; one empty change if there is no key.

    Args:
        vary: Tables as TOML has them, whose innermost values are lists of alternatives:
            ``{"split": {"shots": [5, 10]}, "image_size": [96, 224]}``.

    Raises:
        UsageError: A key has no list of values, or an empty one.
    """
    keys = dict(_alternatives(vary))
    return [dict(zip(keys, values, strict=True)) for values in product(*keys.values())]


def _alternatives(vary: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Sequence[Any]]]:
    for name, value in vary.items():
        key = f"{at}.{name}" if at else name
        if isinstance(value, Mapping):
            yield from _alternatives(value, key)
        elif isinstance(value, (list, tuple)) and value:
            yield key, value
        else:
            raise UsageError(f"vary: {key} needs a list of values, such as {key} = [1, 2]")


def changed(data: Mapping[str, Any], changes: Changes) -> dict[str, Any]:
    """Return the tables of a protocol with these values in place of its own.

    Raises:
        UsageError: A key leads through a value that is not a table.
    """
    result: dict[str, Any] = copy.deepcopy(dict(data))
    for key, value in changes.items():
        *tables, last = key.split(".")
        table = result
        for name in tables:
            table = table.setdefault(name, {})
            if not isinstance(table, dict):
                raise UsageError(
                    f"vary: {key} cannot be set, because {name} is not a table; only keys of "
                    f"tables can be varied, such as split.shots or parameters.batch_size"
                )
        table[last] = value
    return result


def varied_name(name: str, changes: Changes) -> str:
    """Return what a varied protocol is called in tables: ``quick[shots=5]``."""
    if not changes:
        return name
    told = ", ".join(f"{key.rpartition('.')[2]}={value}" for key, value in changes.items())
    return f"{name}[{told}]"


def parse_vary(options: Sequence[str]) -> dict[str, Any]:
    """Return the table of options ``KEY=VALUE,VALUE``; values are TOML, or else words.

    Several options of one key add up.

    Raises:
        UsageError: An option without a key or a value.
    """
    vary: dict[str, Any] = {}
    for option in options:
        key, equals, values = option.partition("=")
        if not (key.strip() and equals and values.strip()):
            raise UsageError(f"--vary takes KEY=VALUE,VALUE, such as split.shots=5,10: {option!r}")
        found = _values(values)
        if not found:
            raise UsageError(f"--vary {option!r} has no value")
        vary.setdefault(key.strip(), []).extend(found)
    return vary


def _values(text: str) -> list[Any]:
    """Return values with commas between them; arrays may be among them if none is a bare word."""
    try:
        return TomlText(f"values = [{text}]", "--vary").parse()["values"]
    except ProtocolError:
        parts = [part.strip() for part in text.split(",")]
        return parts if len(parts) == 1 else [value for part in parts for value in _values(part)]
