"""Read a manifest: a table that lists files, their labels and what is known of them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

from mritk import DataError, Samples, part_of
from mritk_folders import ManifestOptions
from mritk_folders.scan import kind_of
from mritk_folders.scan_table import ScanTable
from mritk_folders.target_column import read_targets
from mritk_folders.text_table import Row, TextTable, read_text_table

TARGETS = ("label", "target")
COLUMNS = ("path", *TARGETS, "patient", "site", "source", "split")


def read_manifest(file: Path, options: ManifestOptions) -> Samples:
    """Return the files that a ``.csv`` or ``.tsv`` lists as samples.

    The columns are ``path`` and one of ``label`` and ``target``, and as far as they are known
    ``patient``, ``site``, ``source`` and ``split``, in any order and case. A column that is there
    is complete. Paths are relative to the folder of the manifest, written with ``/``, and are the
    ids of the samples. ``split`` holds ``train``, ``val`` and ``test`` in any usual spelling.

    Args:
        file: ``.tsv`` with tabs, or ``.csv`` with commas or semicolons.
        options: See :class:`mritk_folders.ManifestOptions`.

    Raises:
        DataError: A column is unknown, absent or incomplete; a path is absolute, leaves the
            folder, stands there twice or leads to no file; a split has no known name.
    """
    table = read_text_table(file, _delimiter(file), lower_names=True)
    target = _check_columns(table)
    for row in table.rows:
        for column, cell in row.cells.items():
            if not cell:
                raise DataError(
                    f"{file} line {row.line} has no {column}; a column is complete or absent"
                )
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
    ).samples(options.slices)


def _column(table: TextTable, name: str) -> list[str] | None:
    return [row.cells[name] for row in table.rows] if name in table.columns else None


def _delimiter(file: Path) -> str:
    if file.suffix.lower() == ".tsv":
        return "\t"
    if file.suffix.lower() != ".csv":
        raise DataError(f"{file} is neither .csv nor .tsv; save the table as one of the two")
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as stream:
            header = stream.readline()
    except OSError as error:
        raise DataError(f"{file} is no readable table: {error}") from error
    return ";" if header.count(";") > header.count(",") else ","  # as spreadsheets write it


def _check_columns(table: TextTable) -> str:
    """Return the column of targets."""
    found = f"its columns are {', '.join(table.columns)}"
    unknown = [name for name in table.columns if name not in COLUMNS]
    targets = [name for name in TARGETS if name in table.columns]
    if "path" not in table.columns or not targets:
        absent = "path" if targets else "label" if "path" in table.columns else "path and label"
        raise DataError(f"{table.path} has no column {absent}; {found}; rename or add")
    if len(targets) > 1:
        raise DataError(f"{table.path} has both columns label and target; keep the one to predict")
    if unknown:  # a misspelt column of patients, left aside, would divide patients in silence
        raise DataError(
            f"{table.path} has unknown columns {', '.join(unknown)}; a manifest knows "
            f"{', '.join(COLUMNS)}; rename them, or remove them"
        )
    return targets[0]


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
            f"{len(absent)} of {len(lines)} files in {table.path} are not there: {shown}{more}; "
            f"paths are relative to the folder of the manifest"
        )
    return list(lines)


def _name(table: TextTable, row: Row) -> str:
    text = row.cells["path"]
    path = PurePosixPath(text)
    where = f"{table.path} line {row.line}: {text}"
    if path.is_absolute() or PureWindowsPath(text).drive:
        raise DataError(
            f"{where} is an absolute path, which exists on one machine only; write it relative to "
            f"the folder of the manifest"
        )
    if "\\" in text:
        raise DataError(f"{where} has backslashes; write paths with /, which every system reads")
    if ".." in path.parts:
        raise DataError(
            f"{where} leaves the folder of the manifest; put the manifest above all of its files"
        )
    if kind_of(path.name) is None:
        raise DataError(f"{where} is by its name neither an image nor a NIfTI file")
    return path.as_posix()


def _split(table: TextTable, row: Row) -> str:
    part = part_of(row.cells["split"])
    if part is None:
        raise DataError(
            f"{table.path} line {row.line}: {row.cells['split']!r} is no part; splits are train, "
            f"val and test"
        )
    return part
