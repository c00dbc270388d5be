"""What to type for a path that somebody gave in another way than the one that reads it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from shlex import quote
from typing import TypeVar

from mritk.backbone import FILE_PREFIX, Backbone
from mritk.data.rank import VOLUME, is_volume
from mritk.errors import DataError, ProtocolError, Unavailable, UnknownName
from mritk.files.user_path import user_path
from mritk.images.grid import Grid
from mritk.plugins.options import TELLING, split_options
from mritk.plugins.registry import Registry
from mritk.reading.suffixes import is_image_name
from mritk.records import Architecture, BackboneFamily, DatasetFamily
from mritk.study.name_hint import name_hint

Found = TypeVar("Found")

# The option that, by convention, makes images of volumes, and the family of backbones that does; a
# usual number of them.
SLICES, FRAMES = "slices", "frames"
SOME_SLICES = 8

SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


def hinted(get: Callable[[], Found], name: str, registry: Registry, option: str = "") -> Found:
    """Call ``get``; if the data cannot be had, say what else reads the path in ``name``.

    With an option, of a name that plugins provide, say what stands in front of it.

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
        if hint := path_hint(name, registry, option) or (option and name_hint(name, registry)):
            error.args = (f"{error}; {hint}", *error.args[1:])
        raise


def path_hint(name: str, registry: Registry, option: str = "") -> str:
    """Return what to type for the path in ``name``; empty if nobody else reads it.

    Arguments as in :func:`hinted`.
    """
    families = registry.records(DatasetFamily)
    prefix, colon, member = name.partition(":")
    own = prefix if colon and prefix in {family.prefix for family in families} else ""
    typed, given = split_options(member if own else name)
    if not typed:
        return ""
    path = user_path(typed)
    readers = [family for family in families if _reads(family, path)]
    if own in [family.prefix for family in readers]:
        return f"specify the dataset as {option} {quote(name)}" if option else ""
    if not readers:
        return "" if own else _no_dataset(path, typed, asked=bool(option))
    names = [f"{reader.prefix}:{typed}{_options_of(reader, given)}" for reader in readers]
    choices = [" ".join((*option.split(), quote(name))) for name in names]
    return f"for this path, use {' or '.join(choices)}"


def _options_of(family: DatasetFamily, given: Mapping[str, str]) -> str:
    """Return those of the options given that a family has, as they are typed."""
    schema = family.schema
    known = [*TELLING, *(() if schema is None else (option.name for option in fields(schema)))]
    return "".join(f",{name}={value}" for name, value in given.items() if name in known)


def _no_dataset(path: Path, typed: str, *, asked: bool) -> str:
    """Return why a path that nobody reads is no dataset; empty if it may not be meant as a path.

    Args:
        path: The path.
        typed: The path as it was typed.
        asked: Whether another file than a dataset was asked for, whose error says if it is there.
    """
    if path.is_file():
        if path.suffix.lower() in SPREADSHEETS:
            return f"save {typed} as CSV, with the columns path and label, for manifest:FILE.csv"
        if is_image_name(path.name) or path.name.lower().endswith((".nii", ".nii.gz")):
            return (
                f"{typed} is a single scan; folder:PATH needs a folder with one subfolder of "
                "scans per class"
            )
    meant = len(Path(typed).parts) > 1 or typed.startswith(("~", ".")) or Path(typed).suffix
    missing = meant and ":" not in typed.replace(path.drive, "") and not asked
    return f"there is no file or folder {typed}" if missing and not path.exists() else ""


def volumes_hint(name: str, backbone: Backbone, registry: Registry) -> str:
    """Return what to type where ``backbone`` takes images, but the dataset ``name`` has volumes."""
    choices = [slices_hint(name, registry)]
    own = [a for a in registry.records(Architecture) if is_volume(a.spatial_dims)]
    if own:
        example = min(own, key=_of_small_input).name
        choices.append(f"use a backbone for volumes, such as -b {quote(example)}")
    if any(f.wraps and f.prefix == SLICES for f in registry.records(BackboneFamily)):
        # The name of a file tells no path.
        inner, file, _ = backbone.name.partition(f"@{FILE_PREFIX}")
        again = f"{SLICES}:{inner}{file and f'{file}PATH'}"
        choices.append(f"-b {quote(again)} for the same network on slices")
    return ", or ".join(filter(None, choices))


def _of_small_input(architecture: Architecture) -> tuple[float, int]:
    """Rank networks by the size that they bring volumes to, so that volumes may have any.

    Those without one take volumes as they are, which must then be alike and large enough.
    """
    sides = Grid.of(architecture.input.size).sides(VOLUME)
    return math.inf if sides is None else math.prod(sides), len(architecture.name)


def slices_hint(name: str, registry: Registry) -> str:
    """Return how to make images of the volumes of the dataset ``name``; empty if it cannot."""
    prefix = name.partition(":")[0]
    family = next((f for f in registry.records(DatasetFamily) if f.prefix == prefix), None)
    if family is None or family.schema is None:
        return ""
    if SLICES not in (option.name for option in fields(family.schema)):
        return ""
    if FRAMES in split_options(name)[1]:  # which excludes slices
        return ""
    return f"add ,{SLICES}={SOME_SLICES} to the dataset's name for {SOME_SLICES} slices per volume"


def _reads(family: DatasetFamily, path: Path) -> bool:
    try:
        return path.exists() and family.reads is not None and family.reads(path)
    except Exception:
        return False  # a hint must not hide the error that it is for
