"""Write Markdown in which names from files and plugins are text, and nothing but text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

CONTROL = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
SPECIAL = re.compile(r"([\\`*\[\]|~$])")
# Within a word an underscore is a letter to Markdown.
EMPHASIS = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
# What would begin a list or a heading at the start of a line.
OPENING = re.compile(r"^(?:[#+\-=]|\d{1,9}[.)](?=\s|$))")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(value: object) -> str:
    """Return a value as one line of text that Markdown, and HTML within it, leave alone."""
    text = CONTROL.sub(" ", str(value)).strip()
    text = "".join(ENTITIES.get(character, character) for character in text)
    text = EMPHASIS.sub(r"\\_", SPECIAL.sub(r"\\\1", text))
    # The last character is the punctuation, in "1." too.
    return OPENING.sub(lambda found: f"{found[0][:-1]}\\{found[0][-1]}", text)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table; every cell is escaped."""
    lines = [headings, ["---"] * len(headings)]
    cells = [[escape(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (*lines, *cells)]


def code_block(text: str) -> list[str]:
    """Return the lines of a block of code; its fence is longer than any within."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *text.splitlines(), fence]


def front_matter(data: Mapping[str, Any]) -> list[str]:
    """Return the YAML block with which a model card of the Hugging Face hub begins.

    Values are written as JSON, which is YAML too, so that no name can end its line or the block.
    """
    # Escaped beyond ASCII: YAML takes some characters for ends of lines that JSON does not.
    return ["---", *(f"{key}: {json.dumps(value)}" for key, value in data.items()), "---"]
