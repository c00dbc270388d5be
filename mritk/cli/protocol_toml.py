"""A protocol as the text of a file that ``mritk run --protocol`` takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from mritk.protocol.protocol import NATIVE, OPTIONAL_SIZES

if TYPE_CHECKING:
    from mritk.protocol.protocol import Protocol


def protocol_toml(protocol: Protocol) -> str:
    """Return every key that a protocol file may hold, with the values of this one, as TOML."""
    tables = asdict(protocol)
    del tables["name"], tables["rehearsal"]
    for size in OPTIONAL_SIZES:
        tables[size] = NATIVE if tables[size] is None else tables[size]
    # As docs/protocols.md has them: what is short first, the method's parameters last.
    keys = ["summary", "method", *tables]
    ordered = {key: tables[key] for key in dict.fromkeys(keys) if key != "parameters"}
    return "\n".join(_table(ordered | {"parameters": tables["parameters"]}, ""))


def _table(table: Mapping[str, Any], at: str) -> Iterator[str]:
    inner = {key: value for key, value in table.items() if _is_table(value) or _is_tables(value)}
    for key, value in table.items():
        if value is None:
            yield f"# {key} is not set"
        elif key not in inner:
            yield f"{key} = {_value(value)}"
    for key, value in inner.items():
        path = f"{at}.{key}" if at else key
        for one in [value] if _is_table(value) else value:
            yield ""
            yield f"[{path}]" if _is_table(value) else f"[[{path}]]"
            yield from _table(one, path)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping)


def _is_tables(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and all(map(_is_table, value))


def _value(value: Any) -> str:
    """Return a value as TOML; its strings are those of JSON, and so are its truth values."""
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if _is_table(value):
        return f"{{ {', '.join(f'{key} = {_value(inner)}' for key, inner in value.items())} }}"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
