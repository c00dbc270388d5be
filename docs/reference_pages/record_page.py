"""The page of records, from their dataclasses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, is_dataclass

from mritk import records
from mritk.plugins.loading import NOUNS
from mritk.records import Record
from reference_pages.described import class_gaps, class_section

HEAD = """
# Records

What [hooks](hooks.md) yield. Every record is frozen, and takes `summary="…"`, its line in
`mritk list`, besides the fields below. Fields without a default must be given. What their functions
are given and return is under [Classes and functions](names.md).
"""


def record_kinds() -> list[type]:
    """Return the records that hooks may yield, then the dataclasses that these are made of."""
    yielded = [kind for kinds in NOUNS.values() for kind in kinds]
    own = [
        value
        for value in vars(records).values()
        if is_dataclass(value) and isinstance(value, type) and value.__module__ == records.__name__
    ]
    return [*yielded, *(kind for kind in own if kind not in yielded)]


def gaps(kinds: Iterable[type] | None = None) -> list[str]:
    """Return the classes without a docstring, and the fields that are under no ``Attributes``."""
    return [gap for kind in kinds or record_kinds() for gap in class_gaps(kind)]


def render() -> str:
    """Return the page as Markdown."""
    return "\n\n".join([HEAD.strip(), *map(_section, record_kinds())]) + "\n"


def _section(kind: type) -> str:
    shared = {field.name for field in fields(Record)}
    inherits = kind is not Record and issubclass(kind, Record)
    return class_section(kind, left_out=shared if inherits else ())
