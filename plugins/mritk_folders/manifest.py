"""Read a manifest: a table that lists files, their labels and what is known of them."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath

from mritk import (
    DataError,
    Samples,
    TableRow,
    TextTable,
    Workspace,
    is_missing,
    part_of,
    read_text_table,
)
from mritk_folders import ManifestOptions
from mritk_folders.kind import kind_of
from mritk_folders.scan_table import ScanTable
from mritk_folders.target_column import read_targets

logger = logging.getLogger("mritk")

TARGETS = ("label", "target")
COLUMNS = ("path", *TARGETS, "patient", "site", "source", "split")

# Other words for a patient.
SYNONYMS = {"subject": "patient", "participant": "patient"}


def read_manifest(
    file: Path, options: ManifestOptions, workspace: Workspace | None = None
) -> Samples:
    """Return the files that a ``.csv`` or ``.tsv`` lists as samples.

    The columns are ``path`` and one of ``label`` and ``target``, and as far as they are known
    ``patient``, ``site``, ``source`` and ``split``, in any order and case. A column that is there
    is complete. Other columns are left aside with a warning, unless they look like a misspelt one.
    Paths are relative to the folder of the manifest, or absolute ones of files below it, written
    with ``/`` or backslashes; relative to that folder they are the ids of the samples. ``split``
    holds ``train``, ``val`` and ``test`` in any usual spelling.

    Args:
        file: A table as :func:`mritk.read_text_table` reads it.
        options: See :class:`mritk_folders.ManifestOptions`.

    Raises:
        DataError: A column is absent, incomplete or probably misspelt; a path leaves the folder,
            stands there twice or leads to no file; a split has no known name.
    """
    if file.suffix.lower() not in (".csv", ".tsv"):
        raise DataError(f"{file} is neither .csv nor .tsv; save the table as one of these")
    table = read_text_table(file, lower_names=True)
    target = _check_columns(table)
    _check_complete(table)
    names = _names(table)
    task, targets = read_targets(
        [row.cells[target] for row in table.rows], options.task, "", f"{file}: column {target}"
    )

    return ScanTable(
        folder=file.parent,
        names=names,
        targets=targets,
        task=task,
        patients=_column(table, "patient"),
        sites=_column(table, "site"),
        sources=_column(table, "source"),
        splits=[_split(table, row) for row in table.rows] if "split" in table.columns else None,
        dataset=f"manifest:{file.name}",
    ).samples(options.slices)


def _column(table: TextTable, name: str) -> list[str] | None:
    return [row.cells[name] for row in table.rows] if name in table.columns else None


def _check_columns(table: TextTable) -> str:
    """Return the column of targets."""
    found = f"its columns are {', '.join(table.columns)}"
    unknown = [name for name in table.columns if name not in COLUMNS]
    targets = [name for name in TARGETS if name in table.columns]
    if "path" not in table.columns or not targets:
        absent = "path" if targets else "label" if "path" in table.columns else "path and label"
        raise DataError(f"{table.path} has no column {absent}; {found}; rename or add")
    if len(targets) > 1:
        raise DataError(f"{table.path} has both columns label and target; keep one")
    for name in unknown:
        if meant := _meant(name, table.columns):  # left aside, it would divide patients in silence
            raise DataError(
                f"{table.path} has the column {name}, which looks like {meant}; rename it to "
                f"{meant}, or, if it is something else, remove it"
            )
    if unknown:
        logger.warning(
            "%s: columns %s are ignored; supported: %s",
            *(table.path.name, ", ".join(unknown), ", ".join(COLUMNS)),
        )
    return targets[0]


def _meant(name: str, present: Sequence[str]) -> str | None:
    """Return the column that ``name`` is probably meant for, of those that are not there."""
    absent = [column for column in COLUMNS if column not in (*present, *TARGETS)]
    words = [SYNONYMS.get(word, word) for word in re.split(r"[^a-z]+", name)]
    near = difflib.get_close_matches(name, absent, 1, 0.8)
    return next((word for word in (*words, *near) if word in absent), None)


def _check_complete(table: TextTable) -> None:
    for row in table.rows:
        for column in COLUMNS:
            cell = row.cells.get(column, "given")
            if not cell or (column != "path" and is_missing(cell)):
                found = f" ({cell!r} stands for a missing value)" if cell else ""
                raise DataError(
                    f"{table.path} line {row.line} has no {column}{found}; a column must be "
                    "complete or absent"
                )


def _names(table: TextTable) -> list[str]:
    """Return the paths, each of a file below the folder of the manifest."""
    lines: dict[str, int] = {}
    for row in table.rows:
        name = _name(table, row)
        if name in lines:
            raise DataError(
                f"{table.path} lists {name} in lines {lines[name]} and {row.line}; keep one of them"
            )
        lines[name] = row.line
    folder = table.path.parent
    absent = [name for name in lines if not (folder / name).is_file()]
    if absent:
        shown = ", ".join(f"{name} (line {lines[name]})" for name in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise DataError(
            f"{len(absent)} of {len(lines)} files in {table.path} are missing: {shown}{more}; "
            "paths are relative to the folder of the manifest"
        )
    return list(lines)


def _name(table: TextTable, row: TableRow) -> str:
    text = row.cells["path"]
    where = f"{table.path} line {row.line}: {text}"
    name = _below(table.path.parent, text)
    if name is None:
        raise DataError(
            f"{where} is an absolute path outside the folder of the manifest; use a path relative "
            "to that folder"
        )
    if "\\" in name and not (table.path.parent / name).is_file():  # written on Windows
        name = name.replace("\\", "/")
    path = PurePosixPath(name)
    if ".." in path.parts:
        raise DataError(
            f"{where} is outside the folder of the manifest; put the manifest above all of its "
            "files"
        )
    if kind_of(path.name) is None:
        raise DataError(f"{where} has neither an image nor a NIfTI suffix")
    return path.as_posix()


def _below(folder: Path, text: str) -> str | None:
    """Return a relative path, or the relative form of one below ``folder``; None: elsewhere."""
    path = Path(text)
    for root in (folder.absolute(), folder.resolve()):
        if path.is_absolute() and path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return None if path.is_absolute() or PureWindowsPath(text).drive else text


def _split(table: TextTable, row: TableRow) -> str:
    part = part_of(row.cells["split"])
    if part is None:
        raise DataError(
            f"{table.path} line {row.line}: {row.cells['split']!r} is not a split; splits are "
            "train, val and test"
        )
    return part
