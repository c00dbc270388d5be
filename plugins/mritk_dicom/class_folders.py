"""Find the DICOM files of each class, and of each official part, in a tree of folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from mritk import ClassTree, DataError, PassedOver, Scans, Unavailable, class_tree, list_folder

# What people and programs put beside scans; left aside unless it is DICOM all the same.
SIDE_SUFFIXES = (
    *(".csv", ".htm", ".html", ".json", ".md", ".pdf", ".tsv", ".txt", ".xml", ".yaml", ".yml"),
    *(".nfo", ".log", ".ini", ".inf", ".rtf", ".doc", ".docx", ".xls", ".xlsx", ".lnk", ".url"),
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".exe", ".dll", ".bat", ".sh", ".bval", ".bvec"),
)

# The index of a medium (PS3.10): it holds names of patients and no image.
INDEX = "dicomdir"

# Enough to see what a folder holds, and few enough not to wait for.
LOOKED_AT = 50


def holds_dicom(folder: Path) -> bool:
    """Return whether the first files under ``folder`` are DICOM, or some of them."""
    if not folder.is_dir():
        return False
    return any(_is_dicom(path) for path in islice(_files(folder), LOOKED_AT))


def _files(folder: Path) -> Iterator[Path]:
    for inside, folders, names in os.walk(folder):
        folders[:] = [one.path.name for one in list_folder(Path(inside)).folders]
        files = (Path(inside, name) for name in names if not name.startswith("."))
        yield from (path for path in files if path.is_file())


def class_files(folder: Path, classes: Sequence[str] = ()) -> ClassTree:
    """Return the DICOM files under ``folder``, whatever their names and suffixes.

    Classes and official parts are those of :func:`mritk.reading.class_tree.class_tree`, and errors
    likewise. Hidden files and folders and DICOMDIR are left aside; so are files that are no DICOM
    by content and plain side files by name (text, tables, JSON, XML, PDF, HTML).

    Args:
        folder: The root of the tree.
        classes: The folders that are classes; empty: the layout tells.

    Raises:
        DataError: A file is no DICOM, or lies where it is of no class; or the layout is not that of
            classes.
        Unavailable: A file is a link that leads nowhere.
    """
    scans = Scans(typed=f"dicom:{folder}", noun="DICOM files", is_scan=_is_dicom, example="…/file")
    tree = class_tree(folder, scans, classes)
    if tree.strays and not classes:
        raise DataError(
            f"{tree.strays[0]} has no class, because {folder} has class folders; move it into one "
            "of them, or elsewhere"
        )
    folders = {file.folder for file in tree.files}
    for path in tree.others:
        if not _is_aside(path) and not folders.isdisjoint(path.parents):
            raise DataError(
                f"{path} is not a DICOM file (no 'DICM' after the first 128 bytes); move it out "
                "of the class folders"
            )
    return tree


def passed_over(tree: ClassTree) -> list[PassedOver]:
    """Return what lies in the tree and is no DICOM, without names, which may be those of patients.

    >>> passed_over(ClassTree(Path(), (), (), (), (Path("Quist.txt"), Path("Quist")), (), ()))
    [PassedOver(reason='of no DICOM', names=('*.txt', '*'))]
    """
    found = {
        "without a class": ["*"] * len(tree.strays),
        "not DICOM": [_pattern(path) for path in tree.others],
        "hidden": [".*"] * len(tree.hidden),
        "empty": ["*/"] * len(tree.empty),
    }
    return [PassedOver(reason, names) for reason, names in found.items() if names]


def _pattern(path: Path) -> str:
    if path.name.lower() == INDEX:
        return path.name
    return f"*{path.suffix}" if path.suffix.lower() in SIDE_SUFFIXES else "*"


def _is_aside(path: Path) -> bool:
    return path.suffix.lower() in SIDE_SUFFIXES or path.name.lower() == INDEX


def _is_dicom(path: Path) -> bool:
    if path.name.lower() == INDEX:
        return False
    if path.is_symlink() and not path.exists():
        raise Unavailable(
            f"{path} is a link to missing content; download it ('datalad get', 'git annex get'), "
            "or remove the link"
        )
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError as error:
        raise DataError(
            f"{path} cannot be opened: {error.strerror}; repair or remove it"
        ) from error
