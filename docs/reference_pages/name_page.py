"""The page of the other public names: classes that functions of records meet, functions, errors."""

from __future__ import annotations

import inspect
from typing import Any

import mritk
import mritk.testing
from mritk.method import SelectionRule
from reference_pages.described import class_gaps, class_section, function_gaps, function_section
from reference_pages.docstring import Docstring
from reference_pages.record_page import record_kinds

# What moments and methods are given, and nobody has to import.
GIVEN: tuple[type, ...] = (SelectionRule,)

HEAD = """
# Classes and functions

The public names of `mritk` that are no [records](records.md), and what moments are told. All are
imported as `from mritk import …`, and load on first use.

`StateDict`
:   For annotations, `Mapping[str, torch.Tensor]`: the tensors of a network or of a file, by name.
"""

TESTING = """
## Testing

From `mritk.testing`; how they are used, and the fixtures: [Testing](../plugins.md#testing).
"""


def public() -> list[Any]:
    """Return what ``mritk`` exports besides records and the marker ``hookimpl``."""
    names = [name for name in mritk.__all__ if name != "hookimpl"]
    return [value for value in (getattr(mritk, n) for n in names) if value not in record_kinds()]


def classes() -> list[type]:
    """Return the public classes that are no errors, and those that are only given."""
    return [v for v in public() if isinstance(v, type) and not issubclass(v, Exception)] + [*GIVEN]


def errors() -> list[type[Exception]]:
    """Return the public errors and warnings."""
    candidates = [*public(), *(getattr(mritk.testing, name) for name in mritk.testing.__all__)]
    return [v for v in candidates if isinstance(v, type) and issubclass(v, Exception)]


def functions() -> list[Any]:
    """Return the public functions."""
    return [value for value in public() if inspect.isfunction(value)]


def checks() -> list[Any]:
    """Return the functions of ``mritk.testing``."""
    named = [getattr(mritk.testing, name) for name in mritk.testing.__all__]
    return [value for value in named if inspect.isfunction(value)]


def gaps() -> list[str]:
    """Return what is undocumented."""
    kinds = [*classes(), *errors()]
    return [gap for kind in kinds for gap in class_gaps(kind)] + [
        gap for function in (*functions(), *checks()) for gap in function_gaps(function)
    ]


def render() -> str:
    """Return the page as Markdown."""
    parts = [HEAD.strip(), *map(class_section, sorted(classes(), key=_name))]
    parts += ["## Functions", *(function_section(f, level=3) for f in functions())]
    parts += ["## Errors and warnings"]
    parts += [f"`{kind.__name__}`\n:   {Docstring.of(kind).summary}" for kind in errors()]
    parts += [TESTING.strip(), *(function_section(f, level=3) for f in checks())]
    return "\n\n".join(parts) + "\n"


def _name(kind: type) -> str:
    return kind.__name__
