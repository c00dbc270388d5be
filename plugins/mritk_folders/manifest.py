"""Read a manifest: a table that lists files, their labels and what is known of them."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path, PurePosixPath, PureWindowsPath
from unicodedata import normalize

import numpy as np

from mritk import (
    DataError,
    Samples,
    Segmentation,
    TableRow,
    Task,
    TextTable,
    UsageError,
    Workspace,
    is_missing,
    part_of,
    read_text_table,
)
from mritk_folders.covariates import covariates, named_columns, require_columns
from mritk_folders.kind import kind_of
from mritk_folders.options import ManifestOptions
from mritk_folders.scan_table import ScanTable
from mritk_folders.target_column import read_targets

logger = logging.getLogger("mritk")

TARGETS = ("label", "target")
MASK = "mask"
NOT_EVALUATED = "-"  # a value that is no region, such as 3, which maps of BraTS do not have
COLUMNS = ("path", *TARGETS, "patient", "site", "source", "split")

LABELS_FOR_MASKS = (
    " it, or predict the label maps in the column mask with ,labels=background/NAME/…, the names "
    "of their values 0, 1, …"
)

# Other words for a patient.
SYNONYMS = {"subject": "patient", "participant": "patient"}


def read_manifest(
    file: Path, options: ManifestOptions, workspace: Workspace | None = None
) -> Samples:
    """Return the files that a ``.csv`` or ``.tsv`` lists as samples, sorted by path.

    The columns are ``path`` and one of ``label`` and ``target``, and as far as they are known
    ``patient``, ``site``, ``source`` and ``split``, in any order and case. A column that is there
    is complete. Other columns are left aside with a warning, unless they look like a misspelt one,
    or ``covariates`` names them; only these may have gaps. With ``labels``, the target is a label
    map, whose path stands in the column ``mask``.
    Paths are relative to the folder of the manifest, or absolute ones of files below it, written
    with ``/`` or backslashes, in either Unicode form; relative to that folder, as the disk has
    them, they are the ids of the samples. ``split`` holds ``train``, ``val`` and ``test`` in any
    usual spelling.

    Args:
        file: A table as :func:`mritk.read_text_table` reads it.
        options: See :class:`mritk_folders.options.ManifestOptions`.

    Raises:
        DataError: A column is absent, incomplete or probably misspelt; a path leaves the folder,
            stands there twice or leads to no file; a split has no known name.
    """
    if file.suffix.lower() not in (".csv", ".tsv"):
        raise DataError(f"{file} is neither .csv nor .tsv; save the table as one of these")
    table = read_text_table(file, lower_names=True)
    further = named_columns(options.covariates.lower())
    require_columns(further, table.columns, file)
    target = _check_columns(table, further, maps=bool(options.labels))
    # A column of targets that is not predicted may be a covariate like others.
    aside = ({*TARGETS} - {target}) & {*further}
    _check_complete(table, {*COLUMNS, target} - aside)
    # Trainings depend on the order of samples; that of the lines of a table means nothing.
    sorted_rows = sorted(zip(_names(table), table.rows, strict=True), key=itemgetter(0))
    names = [name for name, _ in sorted_rows]
    table = replace(table, rows=tuple(row for _, row in sorted_rows))
    cells = [row.cells for row in table.rows]
    task: Task
    if options.labels:
        task, targets = _segmentation(named_columns(options.labels)), np.empty(0)
    else:
        task, targets = read_targets(
            [row[target] for row in cells], options.task, "", f"{file}: column {target}"
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
        covariates=covariates(further, cells),
        masks=_names(table, MASK) if options.labels else None,
    ).samples(options.slices, options.frames)


def _segmentation(names: Sequence[str]) -> Segmentation:
    """Return the task of label maps with these labels; those called ``-`` are no region.

    Raises:
        UsageError: No label is evaluated.
    """
    labels = [
        f"value {value}" if name == NOT_EVALUATED else name for value, name in enumerate(names)
    ]
    regions = {
        label: (label,)
        for label, name in zip(labels[1:], names[1:], strict=True)
        if name != NOT_EVALUATED
    }
    if len(labels) > 1 and not regions:
        raise UsageError(
            f"labels={'/'.join(names)} leaves nothing to evaluate; name a label behind the "
            "background"
        )
    return Segmentation(tuple(labels), regions)


def _column(table: TextTable, name: str) -> list[str] | None:
    return [row.cells[name] for row in table.rows] if name in table.columns else None


def _header_advice(table: TextTable, target: str) -> str:
    if len(table.columns) == 1 and re.search(r"[|:^]", table.columns[0]):
        return "separate columns by commas, semicolons or tabs"
    if any(kind_of(name) for name in table.columns):
        return f"add a first line with the names of the columns, such as path,{target}"
    return "rename or add"


def _check_columns(table: TextTable, further: Sequence[str], *, maps: bool) -> str:
    """Return the column of targets: label maps, or labels or numbers."""
    found = f"its columns are {', '.join(table.columns)}"
    of_targets = (MASK,) if maps else TARGETS
    known = (*COLUMNS, *of_targets, *further)
    unknown = [name for name in table.columns if name not in known]
    targets = [name for name in of_targets if name in table.columns]
    if "path" not in table.columns or not targets:
        first = of_targets[0]
        absent = "path" if targets else first if "path" in table.columns else f"path and {first}"
        instead = "" if maps or MASK not in table.columns else LABELS_FOR_MASKS
        raise DataError(
            f"{table.path} has no column {absent}; {found}; {_header_advice(table, first)}{instead}"
        )
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
            "%s: other columns are ignored: %s; supported: %s, and others by ,covariates=%s",
            *(table.path.name, ", ".join(unknown), ", ".join(COLUMNS)),
            "/".join((*further, *unknown)),
        )
    return targets[0]


def _meant(name: str, present: Sequence[str]) -> str | None:
    """Return the column that ``name`` is probably meant for, of those that are not there."""
    absent = [column for column in COLUMNS if column not in (*present, *TARGETS)]
    words = [SYNONYMS.get(word, word) for word in re.split(r"[^a-z]+", name)]
    near = difflib.get_close_matches(name, absent, 1, 0.8)
    return next((word for word in (*words, *near) if word in absent), None)


def _check_complete(table: TextTable, columns: Collection[str]) -> None:
    for row in table.rows:
        for column in (name for name in table.columns if name in columns):
            cell = row.cells[column]
            if not cell or (column not in ("path", MASK) and is_missing(cell)):
                found = f" ({cell!r} stands for a missing value)" if cell else ""
                raise DataError(
                    f"{table.path} line {row.line} has no {column}{found}; a column must be "
                    "complete or absent"
                )


def _names(table: TextTable, column: str = "path") -> list[str]:
    """Return the paths in a column, each of a file below the folder of the manifest."""
    lines: dict[str, int] = {}
    names = []
    for row in table.rows:
        name = _name(table, row, column)
        names.append(name)
        if name in lines and column != MASK:  # scans of one space may share a label map
            raise DataError(
                f"{table.path} lists {name} in lines {lines[name]} and {row.line}; keep one of them"
            )
        lines.setdefault(name, row.line)
    folder = table.path.parent
    absent = [name for name in lines if not (folder / name).is_file()]
    if absent:
        shown = ", ".join(f"{name} (line {lines[name]})" for name in absent[:5])
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        raise DataError(
            f"{table.path} lists {len(lines)} files, {len(absent)} of them missing: {shown}{more}; "
            "paths are relative to the folder of the manifest"
        )
    return names


def _name(table: TextTable, row: TableRow, column: str) -> str:
    text = row.cells[column]
    where = f"{table.path} line {row.line}: {text}"
    name = _below(table.path.parent, text)
    if name is None:
        raise DataError(
            f"{where} is an absolute path outside the folder of the manifest; use a path relative "
            "to that folder"
        )
    path = PurePosixPath(_on_disk(table.path.parent, name))
    if ".." in path.parts:
        raise DataError(
            f"{where} is outside the folder of the manifest; put the manifest above all of its "
            "files"
        )
    if kind_of(path.name) is None:
        raise DataError(
            f"{where} has neither an image nor a NIfTI suffix; write whole names of files, such as "
            f"{path.name}.png"
        )
    return path.as_posix()


def _on_disk(folder: Path, name: str) -> str:
    """Return a path as the disk has it, which Windows writes with other slashes.

    A Mac writes accents as characters of their own, perhaps in some of the folders only. If two
    files differ in that alone, and neither is written so, neither is meant.
    """
    slashed = name.replace("\\", "/")
    if slashed.isascii() and slashed == name:
        return name
    for form in (name, slashed):
        if (folder / form).is_file():
            return form
    found = [folder]
    for part in slashed.split("/"):
        forms = {part, normalize("NFC", part), normalize("NFD", part)}
        spelt = (above / form for above in found for form in forms)
        found = [path for path in spelt if path.exists()]
    return found[0].relative_to(folder).as_posix() if len(found) == 1 else slashed


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
