"""A class or a function of the interface as Markdown, and what of it is undocumented."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from typing import Any

from reference_pages.docstring import Docstring, markdown


def class_gaps(kind: type) -> Iterator[str]:
    """Yield what a class leaves undocumented: itself, its fields, its public members."""
    if not Docstring.of(kind).text:
        yield f"{kind.__name__}: no docstring"
    described = _described(kind)
    for field in _public_fields(kind):
        if field.name not in described:
            yield f"{kind.__name__}.{field.name} is not under Attributes"
    for name, member in _members(kind):
        if not Docstring.of(member).text:
            yield f"{kind.__name__}.{name}: no docstring"


def function_gaps(function: Callable[..., Any]) -> Iterator[str]:
    """Yield that a function has no docstring, and the arguments that its ``Args`` lack."""
    docstring = Docstring.of(function)
    if not docstring.text:
        yield f"{function.__name__}: no docstring"
    if described := docstring.entries("Args"):
        for argument in inspect.signature(function).parameters:
            if argument not in described:
                yield f"{function.__name__}: argument {argument} is not under Args"


def class_section(kind: type, *, level: int = 2, left_out: Collection[str] = ()) -> str:
    """Return a class with its fields, but those ``left_out``, and its public members."""
    described, docstring = _described(kind), Docstring.of(kind)
    entries = [
        _entry(_field_line(field), described.get(field.name, ""))
        for field in _public_fields(kind)
        if field.name not in left_out
    ]
    # A class that is no dataclass describes what it is made from.
    entries += [_entry(f"`{name}`", text) for name, text in docstring.entries("Args").items()]
    entries += [
        _entry(_member_line(name, member), Docstring.of(member).summary)
        for name, member in _members(kind)
    ]
    return "\n\n".join([f"{'#' * level} {kind.__name__}", docstring.text, *entries])


def function_section(function: Callable[..., Any], *, level: int = 2) -> str:
    """Return a function with its signature, its arguments and what it raises."""
    docstring, name = Docstring.of(function), function.__name__
    code = f"{name}{bare_signature(function)}"
    blocks = [f"{'#' * level} {name}", f"```python\n{code}\n```", docstring.text]
    blocks += [_entry(f"`{name}`", text) for name, text in docstring.entries("Args").items()]
    if returned := docstring.sections.get("Returns"):
        blocks.append(f"Returns: {markdown(returned)}")
    blocks += [
        _entry(f"raises `{name}`", text) for name, text in docstring.entries("Raises").items()
    ]
    return "\n\n".join(blocks)


class _Bare(str):
    """An annotation that a signature shows without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def bare_signature(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a function as its source spells it."""
    signature = inspect.signature(function)
    given = [
        parameter
        if parameter.annotation is parameter.empty
        else parameter.replace(annotation=_Bare(parameter.annotation))
        for parameter in signature.parameters.values()
    ]
    answer = signature.return_annotation
    return signature.replace(
        parameters=given,
        return_annotation=answer if answer is signature.empty else _Bare(answer),
    )


def _entry(line: str, text: str) -> str:
    indented = text.replace("\n", "\n    ")
    return f"{line}\n:   {indented}"


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
    names = {field.name for field in _public_fields(kind)}
    return [
        (name, value)
        for name, value in vars(kind).items()
        if not name.startswith("_")
        and name not in names
        and (inspect.isfunction(value) or isinstance(value, property) or hasattr(value, "func"))
    ]


def _field_line(field: Field[Any]) -> str:
    line = f"`{field.name}`: `{field.type}`"
    return f"{line} = `{default}`" if (default := _default(field)) else line


def _default(field: Field[Any]) -> str:
    if field.default_factory is not MISSING:
        return f"{getattr(field.default_factory, '__name__', '…')}()"
    value = field.default
    if value is MISSING:
        return ""
    if is_dataclass(value) and not isinstance(value, type):
        return f"{type(value).__name__}(…)"
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    return str(getattr(value, "__name__", repr(value)))


def _member_line(name: str, member: Any) -> str:
    if not inspect.isfunction(member):
        return f"`{name}`"
    given = [str(p) for p in bare_signature(member).parameters.values()][1:]
    return f"`{name}({', '.join(given)})`"
