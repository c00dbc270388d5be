"""Read a dataset of the hub: folders of images, or parquet files with a column of images."""

from __future__ import annotations

import hashlib
import io
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mritk import Classification, DataError, Regression, Samples, Unavailable, Workspace
from mritk_huggingface.dataset_name import Columns
from mritk_huggingface.hub import find_snapshot

if TYPE_CHECKING:
    from datasets import Dataset as Table

INSTALL = "python -m pip install 'mritk-bench[huggingface]'"
# Data and what describes them; never a script.
PATTERNS = [
    f"**{ending}"
    for ending in (
        *(".parquet", ".csv", ".jsonl", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"),
        *(".zip", "README.md"),
    )
]
PARTS = {"train": "train", "validation": "val", "val": "val", "valid": "val", "test": "test"}
SIXTEEN_BIT = 65535.0
# How the hub's cache calls the folder of the commits of a repository.
SNAPSHOTS = "/snapshots/"


def read_samples(repository: str, columns: Columns, workspace: Workspace) -> Samples:
    """Return the samples of a repository, fetched if need be.

    Raises:
        Unavailable: It cannot be had, or the ``datasets`` library is not installed.
        DataError: A column that is not there, or that holds something else.
    """
    parts = _read_parts(repository, columns, workspace)
    official = len(parts) > 1 and all(part in PARTS for part in parts)
    ids: list[str] = []
    labels: list[Any] = []
    patients: list[str] = []
    splits: list[str] = []
    rows: list[tuple[Table, int]] = []
    for part, table in parts.items():
        _require_columns(repository, table, columns)
        ids += _ids(part, table, columns.image)
        labels += table[columns.label]
        patients += [str(p) for p in table[columns.patient]] if columns.patient else []
        splits += [PARTS[part]] * len(table) if official else []
        rows += [(table, row) for row in range(len(table))]
    task, targets = _targets(next(iter(parts.values())), labels, columns.label)
    return Samples(
        ids=ids,
        targets=targets,
        task=task,
        read=partial(_read, rows, columns.image),
        digest=partial(_digest, rows, columns.image),
        patients=patients or None,
        splits=splits or None,
    )


def _read_parts(repository: str, columns: Columns, workspace: Workspace) -> dict[str, Table]:
    try:
        from datasets import DownloadConfig, Image, load_dataset
    except ImportError as error:
        raise Unavailable(
            f"hf:{repository} needs the library datasets, which is not installed; type {INSTALL}"
        ) from error
    folder = find_snapshot(repository, columns.revision, PATTERNS, workspace)
    try:
        loaded = load_dataset(
            str(folder),
            columns.config or None,
            cache_dir=str(workspace.folder("huggingface", folder.name)),
            download_config=DownloadConfig(local_files_only=True),
        )
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(f"hf:{repository} cannot be read as images or parquet: {reason}") from error
    return {
        str(part): table.cast_column(columns.image, Image(decode=False))
        if columns.image in table.column_names
        else table
        for part, table in loaded.items()
    }


def _require_columns(repository: str, table: Table, columns: Columns) -> None:
    for what in ("image", "label", "patient"):
        name = getattr(columns, what)
        if name and name not in table.column_names:
            raise DataError(
                f"hf:{repository} has no column {name!r}, but {', '.join(table.column_names)}; say "
                f"which it is with ',{what}=NAME' behind the name of the dataset"
            )


def _ids(part: str, table: Table, image: str) -> list[str]:
    """Return ids that stay for a commit: the path of each image in the repository, or its row."""
    files = [_inside(cell["path"] or "") for cell in table.select_columns([image])[:][image]]
    if all(files) and len(set(files)) == len(files):
        return files
    return [f"{part}/{row:06d}" for row in range(len(table))]


def _inside(path: str) -> str:
    """Return a path in the hub's cache as one in the repository; empty for any other."""
    _, found, rest = path.replace("\\", "/").partition(SNAPSHOTS)
    return rest.partition("/")[2] if found else ""


def _targets(
    table: Table, labels: list[Any], column: str
) -> tuple[Classification | Regression, np.ndarray]:
    feature = table.features[column]
    if hasattr(feature, "names"):
        return Classification(tuple(feature.names)), np.asarray(labels, dtype=np.int64)
    if labels and all(isinstance(label, float) for label in labels):
        return Regression(), np.asarray(labels, dtype=np.float64)
    if any(label is None for label in labels):
        raise DataError(f"column {column!r} is empty for some samples")
    names = sorted(set(labels))
    number = {name: i for i, name in enumerate(names)}
    return Classification(tuple(str(n) for n in names)), np.array([number[v] for v in labels])


def _bytes(rows: list[tuple[Table, int]], image: str, i: int) -> bytes:
    table, row = rows[i]
    cell = table[row][image]
    return cell["bytes"] if cell["bytes"] is not None else Path(cell["path"]).read_bytes()


def _digest(rows: list[tuple[Table, int]], image: str, i: int) -> str:
    return hashlib.sha256(_bytes(rows, image, i)).hexdigest()


def _read(rows: list[tuple[Table, int]], image: str, i: int) -> np.ndarray:
    """Return image ``i``: uint8 (H, W) or (H, W, 3); 16-bit grey as float32 in [0, 1]."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(_bytes(rows, image, i))) as picture:
        if picture.mode.startswith("I"):
            return (np.asarray(picture, dtype=np.float64) / SIXTEEN_BIT).astype(np.float32)
        grey = picture.mode in ("1", "L", "LA")
        return np.asarray(picture.convert("L" if grey else "RGB"))
