"""A layer table: the rows in which papers describe a plain CNN, as a TOML file."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mritk import Unavailable, UsageError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DIGITS = 8
# Kind: what stands behind it, and how many of these may be left out.
KINDS: dict[str, tuple[tuple[str, ...], int]] = {
    "conv": (("channels", "kernel", "stride"), 1),
    "max_pool": (("kernel",), 0),
    "average_pool": (("kernel",), 0),
    "dropout": (("share",), 0),
    "dense": (("width",), 0),
}


@dataclass(frozen=True)
class Layer:
    """One row.

    Attributes:
        kind: A key of ``KINDS``.
        values: Its numbers, in the order of the table.
    """

    kind: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class LayerTable:
    """The rows of a table.

    Attributes:
        layers: From input to output; dense ones last.
        summary: One line about it.
        digest: First digits of the SHA-256 of the file.
    """

    layers: tuple[Layer, ...]
    summary: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str, name: str) -> LayerTable:
        """Read a table from the text of the file ``name``.

        Raises:
            UsageError: It is not TOML, has other keys, or a row that is no layer.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{name} is not valid TOML: {error}") from error
        if unknown := sorted(data.keys() - {"summary", "layers"}):
            raise UsageError(f"{name}: unknown key {unknown[0]!r}; known are summary, layers")
        rows = data.get("layers")
        if not isinstance(rows, list) or not rows:
            raise UsageError(f'{name}: layers must list rows, such as ["conv", 32, 3]')
        layers = tuple(_layer(row, f"{name}, row {n}") for n, row in enumerate(rows, 1))
        _require_order(layers, name)
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
        return cls(layers, str(data.get("summary", "")), digest)


def read_table(path: Path, digest: str = "") -> LayerTable:
    """Read the table in a file.

    Raises:
        Unavailable: There is no such file, or its digest begins otherwise.
        UsageError: It is no layer table.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(
            f"no layer table {path}; give the path of a TOML file after 'table_cnn:'"
        ) from error
    table = LayerTable.parse(text, str(path))
    if not table.digest.startswith(digest):
        raise Unavailable(f"{path} is not the table {digest} that is asked for, but {table.digest}")
    return table


def _layer(row: Any, where: str) -> Layer:
    if not isinstance(row, list) or not row or row[0] not in KINDS:
        raise UsageError(f"{where}: begins with one of {', '.join(KINDS)}, not {row!r}")
    kind, *values = row
    names, optional = KINDS[kind]
    if not len(names) - optional <= len(values) <= len(names):
        raise UsageError(f"{where}: {kind} takes {', '.join(names)}, not {values}")
    for name, value in zip(names, values, strict=False):
        _require_sense(name, value, where)
    return Layer(kind, tuple(values))


def _require_sense(name: str, value: Any, where: str) -> None:
    if name == "share":
        fine = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1
    else:
        fine = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not fine:
        expected = "from 0 to below 1" if name == "share" else "a whole number from 1"
        raise UsageError(f"{where}: {name} must be {expected}, not {value!r}")


def _require_order(layers: Sequence[Layer], name: str) -> None:
    kinds = [layer.kind for layer in layers]
    if "conv" not in kinds:
        raise UsageError(f"{name}: there is no conv, so there are no features")
    if "dense" in kinds and (after := set(kinds[kinds.index("dense") :]) - {"dense", "dropout"}):
        raise UsageError(
            f"{name}: {min(after)} stands after dense, but dense layers follow the global pooling"
        )
