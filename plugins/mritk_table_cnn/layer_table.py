"""Read a layer table, a TOML text with one row per layer; a wrong row is named with its key."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mritk import Unavailable, UsageError
from mritk_table_cnn.layers import KINDS, Conv, Dense, Layer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DIGITS = 8
KEYS = ("layers", "summary")
TYPES = {"int": "an integer", "float": "a number", "bool": "true or false"}


@dataclass(frozen=True)
class LayerTable:
    """A network as a table.

    Attributes:
        layers: Its layers from input to output.
        summary: One line for listings.
        digest: First digits of the SHA-256 of the file.
    """

    layers: tuple[Layer, ...]
    summary: str = ""
    digest: str = ""


def read_table(path: Path, digest: str = "") -> LayerTable:
    """Read the table in a file.

    Raises:
        Unavailable: There is no such file, or its digest begins otherwise.
        UsageError: It is no layer table.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a layer table: not UTF-8 text") from error
    except OSError as error:
        raise Unavailable(
            f"no layer table {path}; after 'table_cnn:', give the path of a TOML file relative to "
            "the working directory"
        ) from error
    table = parse_table(text, str(path))
    if not table.digest.startswith(digest):
        raise Unavailable(
            f"{path} is table #{table.digest}, not #{digest} as requested; restore the old one, "
            f"or use table_cnn:{path} for the new one"
        )
    return table


def parse_table(text: str, name: str) -> LayerTable:
    """Return the table that a TOML text describes.

    Args:
        text: ``layers``, a list of rows ``{ layer = KIND, … }`` (:mod:`mritk_table_cnn.layers`);
            ``summary`` may be there.
        name: Name of the file, for errors.

    Raises:
        UsageError: It is not TOML, or a key or a value of it cannot be used.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{name} is not valid TOML: {error}") from error
    for key in data:
        if key not in KEYS:
            raise UsageError(f"{name}: unknown key {key!r}{_near(key, KEYS)}")
    rows = data.get("layers")
    if not isinstance(rows, list) or not rows:
        raise UsageError(
            f"{name}: layers must be a list with one row per layer, such as layers = [{{ layer = "
            '"conv", channels = 32 }]'
        )
    layers = tuple(_layer(row, f"{name}, row {number}") for number, row in enumerate(rows, 1))
    _require_order(layers, name)
    summary = data.get("summary", "")
    if not isinstance(summary, str):
        raise UsageError(f"{name}: summary must be a string, not {summary!r}")
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
    return LayerTable(layers, " ".join(summary.split()), digest)


def _layer(row: Any, place: str) -> Layer:
    if not isinstance(row, Mapping) or "layer" not in row:
        raise UsageError(f"{place}: layer is missing; expected one of {', '.join(KINDS)}")
    kind = KINDS.get(row["layer"]) if isinstance(row["layer"], str) else None
    if kind is None:
        near = _near(str(row["layer"]), tuple(KINDS))
        raise UsageError(f"{place}, layer: unknown kind {row['layer']!r}{near}")
    known = {member.name: member for member in fields(kind)}
    given = {key: value for key, value in row.items() if key != "layer"}
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"{place}, {key}: unknown key{_near(key, tuple(known))}")
        _require_value(known[key], value, f"{place}, {key}")
    for key, member in known.items():
        if member.default is MISSING and key not in given:
            raise UsageError(f"{place}, {key}: missing; required for {row['layer']}")
    return kind(**given)


def _require_value(member: Field[Any], value: Any, place: str) -> None:
    kind = str(member.type)  # a text, because annotations are not evaluated
    if not _is(kind, value):
        raise UsageError(f"{place}: must be {TYPES[kind]}, not {value!r}")
    least, below = member.metadata.get("least"), member.metadata.get("below")
    if least is not None and not value >= least:
        raise UsageError(f"{place}: must be at least {least}, not {value!r}")
    if below is not None and not value < below:
        raise UsageError(f"{place}: must be below {below}, not {value!r}")


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool) or kind == "bool":
        return isinstance(value, bool) and kind == "bool"
    return isinstance(value, int) or (kind == "float" and isinstance(value, float))


def _require_order(layers: tuple[Layer, ...], name: str) -> None:
    """Refuse a table without a convolution, and convolutions or pooling behind a dense layer."""
    if not any(isinstance(layer, Conv) for layer in layers):
        raise UsageError(f"{name}: layers has no conv; add at least one")
    dense = False
    for number, layer in enumerate(layers, 1):
        dense = dense or isinstance(layer, Dense)
        if dense and hasattr(layer, "stride"):
            raise UsageError(
                f"{name}, row {number}, layer: follows a dense layer, after global pooling; move "
                "it before the first dense row"
            )


def _near(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, 1, 0.5)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
