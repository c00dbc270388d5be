"""The page of records, from their dataclasses, and of what plugins' functions are given."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from mritk import records
from mritk.benchmark import Plan
from mritk.background import Background
from mritk.data.samples import Classification, Regression, Samples
from mritk.data.subset import Subset
from mritk.records import Record
from mritk.registry import NOUNS
from mritk.train.setup import Epoch, Fitted, SelectionRule, Setup
from mritk.trial import Outcome, Trial
from mritk.workspace import Workspace
from reference_pages.docstring import Docstring

GIVEN: Sequence[type] = (
    Workspace,
    Samples,
    Classification,
    Regression,
    Setup,
    Subset,
    SelectionRule,
    Epoch,
    Fitted,
    Plan,
    Trial,
    Outcome,
    Background,
)

HEAD = """
# Records

What [hooks](hooks.md) yield. Every record is frozen, and takes `summary="…"`, its line in
`mritk list`, besides the fields below. Fields without a default must be given.
"""

GIVEN_HEAD = """
## Given and returned

What the functions in records are given, and what they return; what moments are told.
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
    chosen = [*record_kinds(), *GIVEN] if kinds is None else kinds
    return [f"{kind.__name__}{gap}" for kind in chosen for gap in _gaps_of(kind)]


def _gaps_of(kind: type) -> Iterator[str]:
    if not Docstring.of(kind).text:
        yield ": no docstring"
    described = _described(kind)
    for field in _public_fields(kind):
        if field.name not in described:
            yield f".{field.name} is not under Attributes"
    for name, member in _members(kind):
        if not Docstring.of(member).text:
            yield f".{name}: no docstring"


def render() -> str:
    """Return the page as Markdown."""
    parts = [HEAD.strip(), *map(_section, record_kinds())]
    parts += [GIVEN_HEAD.strip()]
    parts += [_section(kind, level=3) for kind in GIVEN]
    return "\n\n".join(parts) + "\n"


def _section(kind: type, level: int = 2) -> str:
    described, inherited = _described(kind), {f.name for f in fields(Record)}
    entries = [
        f"{_field_line(field)}\n:   {_indented(described.get(field.name, ''))}"
        for field in _public_fields(kind)
        if kind is Record or not issubclass(kind, Record) or field.name not in inherited
    ]
    members = [
        f"{_member_line(name, member)}\n:   {_indented(Docstring.of(member).summary)}"
        for name, member in _members(kind)
    ]
    heading = f"{'#' * level} {kind.__name__}"
    return "\n\n".join([heading, Docstring.of(kind).text, *entries, *members])


def _public_fields(kind: type) -> list[Field[Any]]:
    if not is_dataclass(kind):
        return []
    return [field for field in fields(kind) if not field.name.startswith("_")]


def _described(kind: type) -> dict[str, str]:
    """The text of each field, from the class itself or from those that it inherits."""
    found: dict[str, str] = {}
    for ancestor in reversed(kind.__mro__):
        found |= Docstring.of(ancestor).entries("Attributes")
    return found


def _members(kind: type) -> list[tuple[str, Any]]:
    """The public properties and methods that the class itself defines."""
    fields_of = {field.name for field in _public_fields(kind)}
    return [
        (name, value)
        for name, value in vars(kind).items()
        if not name.startswith("_")
        and name not in fields_of
        and (inspect.isfunction(value) or isinstance(value, property) or hasattr(value, "func"))
    ]


def _field_line(field: Field[Any]) -> str:
    line = f"`{field.name}`: `{field.type}`"
    return f"{line} = `{default}`" if (default := _default(field)) else line


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return f"{getattr(field.default_factory, '__name__', '…')}()"
    if field.default is MISSING:
        return ""
    value = field.default
    if is_dataclass(value) and not isinstance(value, type):
        standard = value == type(value)() if _has_defaults(type(value)) else False
        return f"{type(value).__name__}()" if standard else repr(value)
    return str(getattr(value, "__name__", repr(value)))


def _has_defaults(kind: type) -> bool:
    return all(f.default is not MISSING or f.default_factory is not MISSING for f in fields(kind))


def _member_line(name: str, member: Any) -> str:
    if not inspect.isfunction(member):
        return f"`{name}`"
    given = [str(p) for p in inspect.signature(member).parameters.values()][1:]
    return f"`{name}({', '.join(given)})`"


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
