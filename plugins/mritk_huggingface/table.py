"""The rows of a repository of data, read by the library ``datasets``, as samples."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from pathlib import Path
from typing import Any

from mritk import DataError, Samples, UsageError, Workspace, is_missing, part_of, read_image
from mritk_huggingface.image_column import ImageColumn
from mritk_huggingface.label_column import LabelColumn, class_names
from mritk_huggingface.options import DatasetOptions

logger = logging.getLogger("mritk")

UNWRITABLE = (EACCES, EDQUOT, ENOSPC, EPERM, EROFS)


@dataclass(frozen=True)
class Part:
    """One split of a repository.

    Attributes:
        name: What the repository calls it.
        images: Its images.
        labels: Its labels.
        patients: Its patients, or None.
    """

    name: str
    images: ImageColumn
    labels: LabelColumn
    patients: Sequence[str] | None


def samples_of(folder: Path, name: str, options: DatasetOptions, workspace: Workspace) -> Samples:
    """Return the rows of all splits as samples, uint8 (H, W) or (H, W, 3).

    Splits called train, validation and test, in the usual spellings, are the official parts; a
    lone split is none. An image that is a file has its path in the repository as id; one inside of
    a parquet file is ``SPLIT/ROW``, with rows in the order of the files. A split without any labels
    is left out, with a warning.

    Args:
        folder: A repository's files at one commit.
        name: The dataset's name, for messages.
        options: See :class:`mritk_huggingface.options.DatasetOptions`.
        workspace: Where the library keeps what it has read.

    Raises:
        DataError: A column, label, patient or image is absent; splits have other names; the files
            are no data that the library can read.
        UsageError: The library cannot write to its folder.
    """
    parts = [
        _part(split, rows, folder, options, name)
        for split, rows in _read(folder, name, options.config, workspace).items()
    ]
    unlabelled = [part.name for part in parts if part.labels.empty]
    parts = [part for part in parts if not part.labels.empty]
    if unlabelled:
        logger.warning("%s: no labels in %s, which is ignored", name, ", ".join(unlabelled))
    if not parts:
        raise DataError(
            f"{name}: column {options.label} is empty; specify another with ,label=COLUMN"
        )
    task, targets = LabelColumn.joined([part.labels for part in parts], name)
    places = [(part.images, row) for part in parts for row in range(len(part.images))]

    def content(i: int) -> bytes:
        images, row = places[i]
        return images.content(row)

    return Samples(
        ids=[images.ids[row] for images, row in places],
        targets=targets,
        task=task,
        read=lambda i: read_image(content(i)),
        digest=lambda i: hashlib.sha256(content(i)).hexdigest(),
        patients=_patients(parts),
        splits=_official(parts, name),
    )


def _part(split: str, rows: Any, folder: Path, options: DatasetOptions, name: str) -> Part:
    images = ImageColumn.of(rows, options.image, folder, split, name)
    return Part(
        split,
        images,
        LabelColumn.of(rows, options.label, images, f"{name}, split {split}"),
        _patients_of(rows, options.patient, f"{name}, split {split}"),
    )


def _patients_of(rows: Any, column: str, where: str) -> list[str] | None:
    if not column:
        return None
    if column not in rows.column_names:
        raise DataError(
            f"{where} has no patient column {column!r}; its columns are "
            f"{', '.join(rows.column_names)}"
        )
    import datasets

    feature, patients = rows.features[column], rows.with_format(None)[column][:]
    if isinstance(feature, datasets.ClassLabel):
        patients = class_names(patients, feature.names)
    elif not isinstance(feature, datasets.Value):
        raise DataError(
            f"{where}: column {column} contains {feature}, not one patient per row; specify "
            "another with ,patient=COLUMN"
        )
    unknown = [row for row, patient in enumerate(patients) if is_missing(str(patient))]
    if unknown:
        raise DataError(
            f"{where}: column {column} has no patient in {len(unknown)} of {len(patients)} rows, "
            f"such as row {unknown[0]}; patient ids must be complete or absent"
        )
    return [str(patient) for patient in patients]


def _patients(parts: Sequence[Part]) -> list[str] | None:
    if any(part.patients is None for part in parts):
        return None
    return [patient for part in parts for patient in part.patients or ()]


def _official(parts: Sequence[Part], name: str) -> list[str] | None:
    if len(parts) == 1:
        return None
    known = {part.name: _official_name(part.name) for part in parts}
    unknown = [name for name, official in known.items() if official is None]
    if unknown:
        raise DataError(
            f"{name} has the splits {', '.join(part.name for part in parts)}; supported: train, "
            f"validation and test, not {', '.join(unknown)}"
        )
    return [str(known[part.name]) for part in parts for _ in range(len(part.images))]


def _official_name(split: str) -> str | None:
    return "val" if split.lower() == "dev" else part_of(split)  # dev is the hub's word alone


def _read(folder: Path, name: str, config: str, workspace: Workspace) -> dict[str, Any]:
    """Return the rows of each split, as the library reads them."""
    import datasets

    cache = workspace.folder("huggingface")
    try:
        with _quietly(datasets):
            return dict(datasets.load_dataset(str(folder), config or None, cache_dir=str(cache)))
    except Exception as error:  # the readers of each format have errors of their own
        if refusal := _refused_writing(error, cache):
            raise UsageError(
                f"cannot write to {cache}: {refusal.strerror}; set MRITK_HOME to a writable folder"
            ) from error
        reason = _reason(error)
        hint = "; specify one with ,config=NAME" if "onfig name is missing" in reason else ""
        raise DataError(
            f"{name}: the library datasets cannot read its files: {reason}{hint}"
        ) from error


def _reason(error: Exception) -> str:
    """Return why files cannot be read; that a preparation failed is less than its cause."""
    from datasets.table import CastError

    cause = error.__cause__ or error
    if isinstance(cause, CastError):  # whose text begins with all columns of both files
        return f"they differ in their columns: in one of them, {cause.details()}"
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return " ".join(lines[:2]) or type(cause).__name__


def _refused_writing(error: Exception, cache: Path) -> OSError | None:
    """Return the system's error if it is that the library, which locks to read, cannot write."""
    for each in (error, error.__cause__):
        if not isinstance(each, OSError) or each.errno not in UNWRITABLE:
            continue
        if each.filename is None or Path(each.filename).is_relative_to(cache):
            return each
    return None


@contextmanager
def _quietly(datasets: Any) -> Iterator[None]:
    """Keep the library's progress bars off the screen."""
    shown = datasets.are_progress_bars_disabled() is False
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
