"""Find the scans, classes and official parts in a tree of folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mritk import Classification, DataError, Samples
from mritk_folders.parts import bare, part_of
from mritk_folders.scan import kind_of
from mritk_folders.scan_table import ScanTable
from mritk_folders.subject import subjects_of

# Unpacked archives wrap the parts in folders of their own: archive/Brain Tumor/Training/.
WRAPPERS = 2

# Whose spelling of a class counts.
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class ScanFile:
    """One file and what its place in the tree says of it; ``part`` is empty without parts."""

    path: Path
    label: str
    part: str


def read_tree(folder: Path, *, slices: int = 0) -> Samples:
    """Return the images, or the NIfTI volumes, under ``folder`` as samples.

    The tree is either ``CLASS/**/file`` or ``PART/CLASS/**/file``, where PART is one of
    ``Training``, ``Testing``, ``Validation`` in any usual spelling and becomes the official
    split. The parts may lie one or two levels deeper, if each level above holds one folder. A
    class whose spelling differs from part to part in case, spaces, hyphens or underscores only is
    one class and keeps the spelling of the training part.

    Ids are paths relative to ``folder``; classes are sorted by name. If every path holds a BIDS
    entity ``sub-LABEL``, that is the patient; else no patients are known. Hidden files and files
    that are neither images nor NIfTI by their suffix are left aside.

    Args:
        folder: The root of the tree.
        slices: Axial slices of each volume, see :meth:`mritk_folders.scan_table.ScanTable.samples`.

    Raises:
        DataError: No scans, fewer than two classes, a class that is not in every part or twice in
            one, scans beside the parts, or images beside volumes.
    """
    found = sorted(_scans(folder), key=lambda scan: scan.path.as_posix())
    if not found:
        raise DataError(
            f"no images in {folder}; expected {folder.name}/CLASS/image.png, or "
            f"{folder.name}/Training/CLASS/image.png and {folder.name}/Testing/CLASS/image.png "
            f"(or .nii.gz)"
        )
    classes = tuple(sorted({scan.label for scan in found}))
    if len(classes) < 2:
        raise DataError(
            f"{folder} has images of one class only ({classes[0]}); put those of each class in a "
            f"folder of its own, and name the folder above these"
        )
    has_parts = any(scan.part for scan in found)
    if has_parts:
        _check_parts(folder, found, classes)
    names = [scan.path.relative_to(folder).as_posix() for scan in found]
    return ScanTable(
        folder=folder,
        names=names,
        targets=np.asarray([classes.index(scan.label) for scan in found]),
        task=Classification(classes),
        patients=subjects_of(names),
        splits=[scan.part for scan in found] if has_parts else None,
    ).samples(slices)


def _scans(folder: Path) -> Iterator[ScanFile]:
    children = _visible_folders(folder)
    inner = folder
    for _ in range(WRAPPERS):
        if _parts_among(children) or len(children) != 1:
            break
        inner, children = children[0], _visible_folders(children[0])
    parts = _parts_among(children)
    if not parts:
        for child in _visible_folders(folder):
            yield from _scans_of_class(child, "")
        return
    for child in children:
        if child not in parts and any(_scans_of_class(child, "")):
            raise DataError(
                f"{inner} holds images in {child.name} beside {parts[0].name}; move them into "
                f"one of the parts, or elsewhere"
            )
    yield from _spelt_alike([scan for part in parts for scan in _scans_of_part(part)])


def _parts_among(children: list[Path]) -> list[Path]:
    parts = [child for child in children if part_of(child.name)]
    # Beside other folders, a lone "test" or "valid" is rather a class.
    lone = len({part_of(part.name) for part in parts}) == 1 < len(children)
    return [] if lone else parts


def _scans_of_part(folder: Path) -> Iterator[ScanFile]:
    spelt: dict[str, str] = {}
    for child in _visible_folders(folder):
        for scan in _scans_of_class(child, part_of(folder.name) or ""):
            other = spelt.setdefault(bare(child.name), child.name)
            if other != child.name:
                raise DataError(
                    f"{folder} has the classes {other} and {child.name}, which differ in spelling "
                    f"only; rename one of them, or merge the two"
                )
            yield scan


def _scans_of_class(folder: Path, part: str) -> Iterator[ScanFile]:
    for path in folder.rglob("*"):
        hidden = any(piece.startswith(".") for piece in path.relative_to(folder).parts)
        # A link that leads nowhere is a scan that was not fetched, not nothing.
        if kind_of(path.name) and not hidden and (path.is_file() or path.is_symlink()):
            yield ScanFile(path, folder.name, part)


def _visible_folders(folder: Path) -> list[Path]:
    return [
        child
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith((".", "__MACOSX"))
    ]


def _spelt_alike(found: list[ScanFile]) -> list[ScanFile]:
    """Give every class the spelling of its training part, or of the first that has it."""
    spelling: dict[str, str] = {}
    for scan in sorted(found, key=lambda scan: (PARTS.index(scan.part), scan.label)):
        spelling.setdefault(bare(scan.label), scan.label)
    return [replace(scan, label=spelling[bare(scan.label)]) for scan in found]


def _check_parts(folder: Path, found: list[ScanFile], classes: tuple[str, ...]) -> None:
    """A class that is called otherwise in two parts would silently become two classes."""
    for part in sorted({scan.part for scan in found}):
        absent = set(classes) - {scan.label for scan in found if scan.part == part}
        if absent:
            raise DataError(
                f"the {part} part of {folder} has no images of {', '.join(sorted(absent))}; name "
                f"the class folders alike in every part"
            )
