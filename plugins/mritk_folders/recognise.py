"""Tell by a first look which family reads a path."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mritk import DataError, UsageError, list_folder
from mritk_folders.kind import kind_of

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".gz", ".bz2", ".xz")
TABLE_SUFFIXES = (".csv", ".tsv")

# Enough to see what a folder holds, and few enough not to wait for.
LOOKED_AT = 1000


def is_bids(path: Path) -> bool:
    """Return whether ``path`` is the root of a BIDS dataset: participants.tsv beside ``sub-*``."""
    return (path / "participants.tsv").is_file() and any(path.glob("sub-*/"))


def is_brats(path: Path) -> bool:
    """Return whether ``path`` holds a BraTS case: ``CASE/CASE-seg.nii.gz`` and its sequences."""
    found = islice(path.glob("*/*[-_]seg.nii*"), LOOKED_AT)
    return any(mask.name.startswith(mask.parent.name) for mask in found)


def is_table(path: Path) -> bool:
    """Return whether ``path`` is a table by its name."""
    return path.is_file() and path.suffix.lower() in TABLE_SUFFIXES


def is_tree(path: Path) -> bool:
    """Return whether ``path`` is an archive, or a folder of scans of no other family."""
    if path.is_file():
        return is_archive(path)
    if is_bids(path) or is_brats(path):
        return False
    return any(map(kind_of, islice(_names(path), LOOKED_AT)))


def is_archive(path: Path) -> bool:
    """Return whether the file ``path`` is an archive by its name or content, be it damaged."""
    if kind_of(path.name):  # .nii.gz
        return False
    return path.name.lower().endswith(ARCHIVE_SUFFIXES) or tarfile.is_tarfile(path)


def refuse_no_tree(path: Path) -> None:
    """Refuse what a tree of class folders is not, before its parts are taken for classes.

    Raises:
        UsageError: ``path`` is a BIDS dataset, a folder of scans without folders in it, or a
            single file that is no archive.
    """
    if is_bids(path):
        raise UsageError(
            f"{path} is a BIDS dataset, whose folders are participants, not classes; use "
            f"bids:{path},target=COLUMN with a column of its participants.tsv"
        )
    if path.is_dir() and (scans := _scans_without_folders(path)):
        table = min(filter(is_table, path.iterdir()), default=path / "FILE.csv")
        raise UsageError(
            f"{path} contains {len(scans)} files such as {scans[0]} but no class folders; use one "
            "folder per class, or list them in a table with the columns path and label and use "
            f"manifest:{table}"
        )
    if path.is_file() and not is_archive(path):
        kind = "a table" if is_table(path) else "a single file"
        remedy = f"; use manifest:{path}" if is_table(path) else ""
        raise UsageError(
            f"{path} is {kind}; folder:PATH needs a folder with one subfolder of images per "
            f"class, or a zip or tar file of it{remedy}"
        )


def _scans_without_folders(folder: Path) -> list[str]:
    """Return the names of the scans in a folder that has no other folders."""
    try:
        found = list_folder(folder)
    except DataError:  # told when it is opened
        return []
    if any(not inner.path.name.startswith(".") for inner in found.folders):
        return []
    return [file.name for file in found.files if file.name[0] != "." and kind_of(file.name)]


def _names(folder: Path) -> Iterator[str]:
    for inside, folders, names in os.walk(folder):
        folders[:] = [one.path.name for one in list_folder(Path(inside)).folders]
        yield from names
