"""Options behind a family's name: ``bids:PATH,target=diagnosis,slices=5``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, Field, fields
from typing import Any

from mritk.errors import UsageError

# What may be said of any dataset behind its name: mritk.study.data_options reads it.
TELLING = ("patient_regex", "patients", "no_patient_ids", "rename")
READ_BY_RUN = "'mritk run', for one, reads it behind the name of a dataset; leave it out here"

# A comma counts only in front of ``name=``, so that paths and regular expressions may hold commas.
SEPARATOR = re.compile(r",(?=[a-z_][a-z0-9_]*=)")


def split_options(text: str) -> tuple[str, dict[str, str]]:
    """Return the member and its options, as they were typed.

    Raises:
        UsageError: An option is given twice.

    >>> split_options("data/a,b,target=age")
    ('data/a,b', {'target': 'age'})
    """
    member, *given = SEPARATOR.split(text)
    halves = [option.partition("=") for option in given]
    return member, _once(text, [(name, value) for name, _, value in halves])


def _once(text: str, given: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return options by name, of which none may be given twice: which is meant is unknown."""
    names = [name for name, _ in given]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{text} gives option {name!r} twice; remove one")
    return dict(given)


def split_wrapped(text: str) -> tuple[str, dict[str, str]]:
    """Return the name of a backbone and its options, which may be on both sides of the ``@``.

    Raises:
        UsageError: An option is given twice.

    >>> split_wrapped("resnet18,pool=max@imagenet,slices=8")
    ('resnet18@imagenet', {'pool': 'max', 'slices': '8'})
    """
    architecture, at, weights = text.partition("@")
    (architecture, given), (weights, more) = split_options(architecture), split_options(weights)
    return architecture + at + weights, _once(text, [*given.items(), *more.items()])


def options_text(options: Any) -> str:
    """Return the options that are not at their default, as they are typed behind a name.

    They stand in the order of the schema, so that one choice has one text.

    Args:
        options: An instance of a family's dataclass.
    """
    values = [(option, getattr(options, option.name)) for option in fields(options)]
    given = [(option.name, value) for option, value in values if value != _default(option)]
    return "".join(f",{name}={str(v).lower() if isinstance(v, bool) else v}" for name, v in given)


def _default(option: Field[Any]) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()


def meant(option: str, names: Sequence[str]) -> str:
    """Return ``did you mean NAME?`` and a space; empty if none of the names is near."""
    import difflib

    near = difflib.get_close_matches(option, names, 1, 0.5)
    return f"did you mean {near[0]}? " if near else ""


def read_options(
    given: dict[str, str], schema: type[Any], name: str, also: Sequence[str] = ()
) -> Any:
    """Return an instance of the dataclass ``schema`` with these values, converted to its types.

    Args:
        given: Option name to text.
        schema: A dataclass whose fields have defaults.
        name: What the options stand behind, for messages.
        also: Options that may stand there and are read elsewhere, for messages.

    Raises:
        UsageError: An unknown option, or a value of the wrong type.
    """
    from pydantic import TypeAdapter, ValidationError

    known = [field.name for field in fields(schema)]
    for option in given:
        if option in also and option not in known:
            raise UsageError(f"{name} has no option {option!r}: {READ_BY_RUN}")
        if option not in known:
            names = [*known, *also]
            hint = meant(option, names)
            raise UsageError(
                f"{name} has no option {option!r}; {hint}its options are {', '.join(names)}"
            )
    try:
        return TypeAdapter(schema).validate_python(given)
    except ValidationError as error:
        first = error.errors()[0]
        option = ".".join(str(part) for part in first["loc"]) or ", ".join(given)
        reason = first["msg"].removeprefix("Value error, ").partition(", unable to parse")[0]
        raise UsageError(
            f"{name} option {option}={given.get(option, '')}: {reason[0].lower()}{reason[1:]}"
        ) from error
