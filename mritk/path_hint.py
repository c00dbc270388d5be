"""What to type for a path that somebody gave in another way than the one that reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import TypeVar

from mritk.errors import DataError, ProtocolError, Unavailable, UnknownName
from mritk.options import split_options
from mritk.records import DatasetFamily
from mritk.registry import Registry

Found = TypeVar("Found")

# The option that, by convention, makes images of volumes; and a usual number of them.
SLICES = "slices"
SOME_SLICES = 8


def hinted(get: Callable[[], Found], name: str, registry: Registry, option: str = "") -> Found:
    """Call ``get``; if the data cannot be had, say what else reads the path in ``name``.

    Args:
        get: Looks up or opens what ``name`` names.
        name: ``PATH`` or ``PREFIX:PATH``, perhaps with options.
        registry: Knows the families.
        option: What stands in front of a dataset's name where ``name`` does not stand for one.

    Raises:
        UnknownName, Unavailable, DataError, ProtocolError: What ``get`` raises, with the hint.
    """
    try:
        return get()
    except (UnknownName, Unavailable, DataError, ProtocolError) as error:
        if hint := path_hint(name, registry, option):
            error.args = (f"{error}; {hint}", *error.args[1:])
        raise


def path_hint(name: str, registry: Registry, option: str = "") -> str:
    """Return what to type for the path in ``name``; empty if nobody else reads it.

    Arguments as in :func:`hinted`.
    """
    families = [f for f in registry.records(DatasetFamily) if f.reads is not None]
    prefix, colon, member = name.partition(":")
    known = {family.prefix for family in registry.records(DatasetFamily)}
    own = prefix if colon and prefix in known else ""
    typed, _ = split_options(member if own else name)
    path = Path(typed).expanduser()
    readers = [family.prefix for family in families if _reads(family, path)]
    if own in readers:
        return f"a dataset is given as {option} {quote(name)}" if option else ""
    if not readers:
        return ""
    choices = [" ".join((*option.split(), quote(f"{reader}:{typed}"))) for reader in readers]
    return f"for this path write {' or '.join(choices)}"


def slices_hint(name: str, registry: Registry) -> str:
    """Return how to make images of the volumes of the dataset ``name``; empty if it cannot."""
    prefix = name.partition(":")[0]
    family = next((f for f in registry.records(DatasetFamily) if f.prefix == prefix), None)
    if family is None or family.options is None:
        return ""
    if SLICES not in (option.name for option in fields(family.options)):
        return ""
    return (
        f"add ,{SLICES}={SOME_SLICES} behind the dataset's name for {SOME_SLICES} slices of each "
        f"volume"
    )


def _reads(family: DatasetFamily, path: Path) -> bool:
    try:
        return path.exists() and family.reads is not None and family.reads(path)
    except Exception:
        return False  # a hint must not hide the error that it is for
