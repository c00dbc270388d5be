"""Find the DICOM files of each class, and of each official part, in a tree of folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mritk import DataError, Unavailable

# Folder names of the official parts, in lower case.
PARTS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

# What people and programs put beside scans; left aside unless it is DICOM all the same.
SIDE_SUFFIXES = (
    *(".csv", ".htm", ".html", ".json", ".md", ".pdf", ".tsv", ".txt", ".xml", ".yaml", ".yml"),
    *(".nfo", ".log", ".ini", ".inf", ".rtf", ".doc", ".docx", ".xls", ".xlsx", ".lnk", ".url"),
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".exe", ".dll", ".bat", ".sh", ".bval", ".bvec"),
)
SIDE_NAMES = ("desktop.ini", "thumbs.db")

# The index of a medium (PS3.10): it holds names of patients and no image.
INDEX = "dicomdir"


@dataclass(frozen=True)
class ClassFile:
    """A DICOM file and what its place in the tree says of it; ``part`` is empty without parts.

    Attributes:
        path: The file.
        label: Its class.
        part: Its official part; empty without parts.
        folder: The folder of its class.
    """

    path: Path
    label: str
    part: str = ""
    folder: Path = Path()


# Enough to see what a folder holds, and few enough not to wait for.
LOOKED_AT = 50


def holds_dicom(folder: Path) -> bool:
    """Return whether the first files under ``folder`` are DICOM, or some of them."""
    if not folder.is_dir():
        return False
    files = (path for path in folder.rglob("*") if path.is_file() and not _is_hidden(path.name))
    return any(_is_dicom(path) for path in islice(files, LOOKED_AT))


def class_files(folder: Path) -> list[ClassFile]:
    """Return the DICOM files under ``folder``, whatever their names and suffixes.

    The tree is ``CLASS/**/file``, or ``PART/CLASS/**/file`` where at least two of the folders
    ``Training``, ``Validation`` and ``Testing`` (or ``train``, ``val``, ``test``) stand side by
    side. Hidden files and folders and DICOMDIR are left aside; so are files that are no DICOM by
    content and plain side files by name (text, tables, JSON, XML, PDF, HTML).

    Raises:
        DataError: A file is no DICOM, or lies where it is of no class; a folder is a link; there
            are fewer than two classes, or other ones in each part.
        Unavailable: A file is a link that leads nowhere.
    """
    parts = [child for child in _folders(folder) if child.name.lower() in PARTS]
    if len({PARTS[part.name.lower()] for part in parts}) < 2:
        found = list(_files_of_classes(folder, ""))
    else:
        others = [child for child in _folders(folder) if child not in parts]
        _refuse_strays(folder, [file for other in others for file in _files(other)])
        found = [
            file for part in parts for file in _files_of_classes(part, PARTS[part.name.lower()])
        ]
        _refuse_strays(folder, _own_files(folder))
    _check(folder, found)
    return sorted(found, key=lambda file: file.path.as_posix())


def _files_of_classes(folder: Path, part: str) -> Iterator[ClassFile]:
    _refuse_strays(folder, _own_files(folder))
    for child in _folders(folder):
        for path in _files(child):
            if _is_dicom(path):
                yield ClassFile(path, child.name, part, child)
            elif not _is_aside(path):
                raise DataError(
                    f"{path} is no DICOM file (no 'DICM' behind its first 128 bytes); move it out "
                    f"of the class folders"
                )


def _folders(folder: Path) -> list[Path]:
    return [
        child
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
    ]


def _own_files(folder: Path) -> list[Path]:
    return [child for child in folder.iterdir() if child.is_file() and not _is_hidden(child.name)]


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if any(_is_hidden(piece) for piece in path.relative_to(folder).parts):
            continue
        if path.is_symlink() and path.is_dir():
            raise DataError(
                f"{path} is a link to a folder, which is not followed; put the folder itself there"
            )
        if path.is_symlink() and not path.exists():
            raise Unavailable(
                f"{path} is a link to content that is not here; fetch it ('datalad get', 'git "
                f"annex get'), or remove the link"
            )
        if path.is_file():
            yield path


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() == INDEX


def _is_aside(path: Path) -> bool:
    return path.suffix.lower() in SIDE_SUFFIXES or path.name.lower() in SIDE_NAMES


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(132)[128:] == b"DICM"
    except OSError as error:
        raise DataError(f"{path} cannot be opened: {error.strerror}; mend or remove it") from error


def _refuse_strays(folder: Path, paths: list[Path]) -> None:
    strays = [path for path in paths if _is_dicom(path)]
    if strays:
        raise DataError(
            f"{strays[0]} is of no class, because {folder} is divided into folders; move it into "
            f"one of its class folders, or elsewhere"
        )


def _check(folder: Path, found: list[ClassFile]) -> None:
    classes = {file.label for file in found}
    if len(classes) < 2:
        only = f" of one class only ({next(iter(classes))})" if classes else ""
        raise DataError(
            f"{folder} has {'DICOM files' if classes else 'no DICOM files'}{only}; expected "
            f"{folder.name}/CLASS/…/file, or {folder.name}/Training/CLASS/…/file and "
            f"{folder.name}/Testing/CLASS/…/file"
        )
    for part in sorted({file.part for file in found}):
        absent = classes - {file.label for file in found if file.part == part}
        if absent:
            raise DataError(
                f"the {part} part of {folder} has no files of {', '.join(sorted(absent))}; name "
                f"the class folders alike in every part"
            )
