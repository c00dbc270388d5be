"""Tables as lines of text: Markdown or plain, and no wider than the terminal."""

from __future__ import annotations

import math
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from mritk.text.printable import printable

UNESCAPED_BAR = re.compile(r"(?<!\\)\|")
GAP = 2  # spaces between columns of a plain table
FRAME = 3  # a bar between two spaces


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        heading: What stands over it.
        cells: One text per row.
        keep: Where there is no room, the column with the least goes first; infinite: it stays.
        right: Whether it is set flush right, as numbers of one kind are.
    """

    heading: str
    cells: Sequence[str]
    keep: float = math.inf
    right: bool = False

    @cached_property
    def width(self) -> int:
        """How many places of a terminal it takes."""
        return max(text_width(printable(text)) for text in (self.heading, *self.cells))


def text_table(columns: Sequence[Column], style: str) -> str:
    """Return a table in Markdown (``github``) or ``plain``."""
    if style == "github":
        columns = [_without_bars(column) for column in columns]
    heads = [_padded(column.heading, column) for column in columns]
    rows = zip(
        *([_padded(cell, column) for cell in column.cells] for column in columns), strict=True
    )
    if style == "github":
        rule = [f"{'-' * (c.width + 1)}{':' if c.right else '-'}" for c in columns]
        lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
        return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])
    gap = " " * GAP
    rule = ["-" * column.width for column in columns]
    return "\n".join(gap.join(row).rstrip() for row in (heads, rule, *rows))


def fitted(
    columns: Sequence[Column], style: str, width: int | None
) -> tuple[list[Column], list[Column]]:
    """Return the columns that fit into a width, and those that do not; all fit into None."""
    kept, dropped = list(columns), []
    while width is not None and _table_width(kept, style) > width:
        least = min(kept, key=lambda column: column.keep)
        if math.isinf(least.keep):
            break
        kept.remove(least)
        dropped.append(least)
    return kept, [column for column in columns if column in dropped]


def filled(line: str, width: int | None) -> str:
    """Return a sentence in lines of a width, those after the first one indented."""
    if width is None:
        return line
    return textwrap.fill(
        printable(line),
        max(20, width),
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def text_width(text: str) -> int:
    """Return how many places of a terminal a text takes."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def _table_width(columns: Sequence[Column], style: str) -> int:
    between = FRAME if style == "github" else GAP
    frame = FRAME + 1 if style == "github" else 0
    return sum(c.width for c in columns) + between * (len(columns) - 1) + frame


def _without_bars(column: Column) -> Column:
    """Return the column with bars that end no cell."""
    heading, *cells = (UNESCAPED_BAR.sub(r"\|", text) for text in (column.heading, *column.cells))
    return replace(column, heading=heading, cells=cells)


def _padded(text: str, column: Column) -> str:
    text = printable(text)
    space = " " * (column.width - text_width(text))
    return space + text if column.right else text + space
