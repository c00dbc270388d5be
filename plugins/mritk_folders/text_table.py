"""Read a small text table, and refuse one that is not rectangular."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mritk import DataError


@dataclass(frozen=True)
class Row:
    """One row: the line of the file where it ends, and its cells by column."""

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class TextTable:
    """A table with named columns; cells have no space around them."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def read_text_table(path: Path, delimiter: str, *, lower_names: bool = False) -> TextTable:
    """Return the table in a UTF-8 file, whose first line names the columns.

    Lines without any text are left aside.

    Args:
        path: The file, with or without a byte order mark.
        delimiter: One character.
        lower_names: Whether the names of columns are turned into lower case.

    Raises:
        DataError: The file cannot be read, has no rows, a column without a name or two of one
            name, or a row with fewer or more cells than there are columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = list(_lines(csv.reader(stream, delimiter=delimiter, strict=True)))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except (OSError, csv.Error) as error:
        raise DataError(f"{path} is no readable table: {error}") from error
    if len(lines) < 2:
        raise DataError(f"{path} has no rows; its first line names columns, one row each follows")
    columns = tuple(name.lower() if lower_names else name for name in lines[0][1])
    _check_names(path, columns)
    for line, cells in lines[1:]:
        if len(cells) != len(columns):
            raise DataError(
                f"{path} line {line} has {len(cells)} cells for {len(columns)} columns "
                f"({', '.join(columns)}); cells stand between {_name_of(delimiter)}"
            )
    rows = [Row(line, dict(zip(columns, cells, strict=True))) for line, cells in lines[1:]]
    return TextTable(path, columns, tuple(rows))


def _lines(reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    for cells in reader:
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield reader.line_num, stripped  # type: ignore[attr-defined]


def _check_names(path: Path, columns: Sequence[str]) -> None:
    for position, name in enumerate(columns, start=1):
        if not name:
            raise DataError(f"{path}: column {position} has no name; give it one, or remove it")
        if columns.count(name) > 1:
            raise DataError(f"{path} has two columns {name!r}; rename or remove one of them")


def _name_of(delimiter: str) -> str:
    return {"\t": "tabs", ",": "commas", ";": "semicolons"}.get(delimiter, repr(delimiter))
