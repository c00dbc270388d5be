"""Read a small text table as spreadsheets and scripts write it; refuse an ambiguous one."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mritk.errors import DataError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}

# What Excel writes in front of a table to say what separates its cells.
SEPARATOR_LINE = re.compile(r'"?sep=([,;\t])"?\r?\n', re.IGNORECASE)

# An index that pandas wrote, or wrote and read again.
UNNAMED = re.compile(r"(unnamed: \d+(\.\d+)*)?", re.IGNORECASE)
WHOLE = re.compile(r"\d+", re.ASCII)


@dataclass(frozen=True)
class TableRow:
    """One row.

    Attributes:
        line: The line of the file where it ends, starting at 1.
        cells: Its cells by column.
    """

    line: int
    cells: dict[str, str]


@dataclass(frozen=True)
class TextTable:
    """A table with named columns; cells are stripped.

    Attributes:
        path: Its file.
        columns: Column names, in order.
        rows: The rows below the header.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]


def read_text_table(
    path: Path, delimiter: str | None = None, *, lower_names: bool = False
) -> TextTable:
    """Return the table in a text file, whose first line is the header.

    Cells may be in double quotes, with delimiters, line ends and doubled quotes inside.
    Empty lines are ignored, and so are leading columns of integers without a name (the
    index written by pandas) and columns without name and content (trailing delimiters).

    Args:
        path: A file in UTF-8, with or without a byte order mark, or in UTF-16 with one.
        delimiter: A comma, a semicolon or a tab; None: the one that splits the first line into
            the most cells.
        lower_names: Whether column names are converted to lower case.

    Raises:
        DataError: The file is unreadable, has no rows, a column without a name, duplicate column
            names, an unclosed quote, or a row with fewer or more cells than columns.
    """
    text = _text(path)
    skipped = 0
    if stated := SEPARATOR_LINE.match(text):
        text, skipped = text[stated.end() :], 1
        delimiter = delimiter or stated[1]
    delimiter = delimiter or _delimiter(text, path)
    lines = list(_lines(text, delimiter, path, skipped))
    if len(lines) < 2:
        raise DataError(f"{path} has no rows; expected a header line followed by one row per line")
    names = [name.lower() if lower_names else name for name in lines[0][1]]
    if len(names) == 1 and (found := _delimiter(text, path)) != delimiter and found in names[0]:
        raise DataError(
            f"{path} separates its cells by {DELIMITERS[found]}; save it with "
            f"{DELIMITERS[delimiter]}"
        )
    for line, cells in lines[1:]:
        if len(cells) != len(names):
            raise DataError(
                f"{path} line {line} has {len(cells)} cells for {len(names)} columns "
                f"({', '.join(names)}); cells are separated by {DELIMITERS[delimiter]} and must "
                "be in double quotes if they contain any"
            )
    kept = _named_columns(path, names, [cells for _, cells in lines[1:]])
    rows = [TableRow(line, {names[k]: cells[k] for k in kept}) for line, cells in lines[1:]]
    return TextTable(path, tuple(names[k] for k in kept), tuple(rows))


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read as a table: {error.strerror or error}") from error
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path} line {line} is not UTF-8 text (byte 0x{content[error.start]:02x}); save the "
            f"table as UTF-8 (in Excel: 'CSV UTF-8')"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{path} line {line} is not text (it contains a null byte); save it as UTF-8"
        )
    return text


def _delimiter(text: str, path: Path) -> str:
    # What the suffix promises counts where the first line leaves it open.
    order = sorted(DELIMITERS, key=lambda one: one != "\t") if path.suffix == ".tsv" else DELIMITERS

    def fit(delimiter: str) -> tuple[bool, int]:
        stream = io.StringIO(text, newline="")
        reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
        try:
            names = next((row for row in reader if any(map(str.strip, row))), [])
        except csv.Error:  # told later, with its line
            return False, 0
        return not any('"' in name for name in names), len(names)  # a quoted name is not cut

    return max(order, key=fit)


def _lines(text: str, delimiter: str, path: Path, skipped: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True
    )
    while True:
        start = reader.line_num + skipped + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path} line {start} cannot be parsed: {error}; a cell that contains double "
                "quotes must be in double quotes, with inner quotes doubled"
            ) from error
        stripped = [cell.strip() for cell in cells]
        if any(stripped):
            yield reader.line_num + skipped, stripped


def _named_columns(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the positions of the columns that count, all of which have a name of their own."""
    kept: list[int] = []
    for k, name in enumerate(names):
        cells = {row[k] for row in rows}
        if UNNAMED.fullmatch(name) and (
            (not kept and all(WHOLE.fullmatch(cell) for cell in cells)) or cells == {""}
        ):
            continue
        if not name:
            raise DataError(f"{path}: column {k + 1} has no name; give it one, or remove it")
        if name in (names[other] for other in kept):
            raise DataError(f"{path} has two columns {name!r}; rename or remove one of them")
        kept.append(k)
    return kept
