"""Find the scans of each class, and of each official part, in a tree of folders."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from mritk.errors import DataError, UsageError
from mritk.reading.file_tree import list_tree
from mritk.reading.layouts import (
    UNLABELLED,
    Layout,
    parts_around_images,
    refuse_folders_that_are_no_classes,
    wraps_classes,
)
from mritk.reading.parts import SPLITS, part_of
from mritk.reading.passed_over import PassedOver
from mritk.reading.retest import are_of_retest_study, parts_in
from mritk.reading.scan_tree import ScanFolder, Scans, scan_folder
from mritk.reading.spelling import canonical_name, composed, first_alike

# Unpacked archives wrap the parts in folders of their own: archive/Brain Tumor/Training/.
WRAPPERS = 2


@dataclass(frozen=True)
class ClassFile:
    """A scan and its location in the tree.

    Attributes:
        path: The scan.
        label: Its class.
        part: Its official split; empty without splits.
        folder: The folder of its class.
    """

    path: Path
    label: str
    part: str = ""
    folder: Path = Path()


@dataclass(frozen=True)
class ClassTree:
    """The scans of a tree, and everything else in it. Each file is in one list, system files aside.

    Attributes:
        root: The folder.
        files: The scans, sorted by path.
        strays: Scans without a class: next to the class folders, or in folders without a label.
        masks: Masks of scans.
        others: Files that are not scans.
        hidden: Hidden files and folders.
        empty: Empty folders.
    """

    root: Path
    files: tuple[ClassFile, ...]
    strays: tuple[Path, ...]
    masks: tuple[Path, ...]
    others: tuple[Path, ...]
    hidden: tuple[Path, ...]
    empty: tuple[Path, ...]

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes, sorted by name."""
        return tuple(sorted({file.label for file in self.files}))

    def name(self, path: Path) -> str:
        """Return a path relative to the root, with ``/``."""
        return path.relative_to(self.root).as_posix()

    def passed_over(self, no_scans: str) -> tuple[PassedOver, ...]:
        """Return everything that is not a sample, with paths relative to the root.

        Args:
            no_scans: Description of files that are not scans, following a count.
        """
        found = {
            "without a class": self.strays,
            "masks of neighbouring images": self.masks,
            no_scans: self.others,
            "hidden": self.hidden,
            "empty": self.empty,
        }
        return tuple(
            PassedOver(reason, [self.name(p) + "/" * (p in self._folders) for p in paths])
            for reason, paths in found.items()
            if paths
        )

    @cached_property
    def _folders(self) -> frozenset[Path]:
        return frozenset(p for p in (*self.hidden, *self.empty) if p.is_dir())


def named_classes(text: str) -> tuple[str, ...]:
    """Return the folders of an option ``classes=A/B``; none if ``text`` is empty.

    >>> named_classes("glioma/no tumor")
    ('glioma', 'no tumor')

    Raises:
        UsageError: Fewer than two classes.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split("/") if name.strip()))
    if text and len(names) < 2:
        raise UsageError(
            f"classes={text} must name at least two classes, separated by /, such as "
            "classes=glioma/healthy"
        )
    return names


def class_tree(folder: Path, scans: Scans, classes: Sequence[str] = ()) -> ClassTree:
    """Return the scans under ``folder`` by class and split.

    The tree is ``CLASS/**/scan`` or ``PART/CLASS/**/scan``, where PART is ``Training``,
    ``Testing`` or ``Validation`` in any usual spelling. The splits may be one or two levels
    deeper, if each level above has a single folder. So may the classes, if these folders have
    typical dataset names, such as ``dataset``, or the name of their parent, or are the only folder
    of an archive. Spellings of a class that match across splits
    (:func:`mritk.reading.spelling.canonical_name`) are one class, with the spelling of the
    training set. Scans in folders such as ``pred`` or ``unlabeled`` have no class.

    Args:
        folder: The root of the tree.
        scans: What a scan is, and how the data were specified.
        classes: Names of folders, at any depth: the class of a scan is the outermost of them that
            contains it, and scans outside are strays. Empty: inferred from the layout.

    Raises:
        DataError: No scans; fewer than two classes; a class without scans, missing in a split, or
            twice in one; scans next to the splits; a split inside of another; folders that may
            not be classes, see :mod:`mritk.reading.layouts`; a folder cannot be listed.
        Unavailable: A broken link that may be a folder.
    """
    root = scan_folder(list_tree(folder), scans)
    layout = Layout(root, scans)
    if not root.below:
        raise layout.nothing()
    # A disk may keep an accent behind its letter that a person types as one with it.
    named = frozenset(map(composed, classes))
    found = list(_of_named(root, named) if classes else _of_layout(layout))
    _check_classes(layout, found, classes)
    if any(file.part for file in found):
        found = _spelt_alike(found)
        _check_parts(layout, found)
    taken = {file.path for file in found}
    every = list(root.walk())
    in_folders = {path for one in every for child in one.mask_folders for path in child.below}
    in_folders -= taken
    placed = taken | in_folders
    return ClassTree(
        folder,
        tuple(sorted(found, key=lambda file: file.path.as_posix())),
        tuple(path for path in root.below if path not in placed),
        tuple(sorted({*in_folders, *(path for one in every for path in one.masks)})),
        tuple(path for one in every for path in one.others),
        tuple(path for one in every for path in one.hidden),
        tuple(one.path for one in every if _is_empty(one)),
    )


def _is_empty(folder: ScanFolder) -> bool:
    return not any((folder.folders, folder.scans, folder.masks, folder.others, folder.hidden))


def _of_named(
    folder: ScanFolder,
    classes: Set[str],
    part: str = "",
    own: ScanFolder | None = None,
    *,
    of_study: bool = False,
) -> Iterator[ClassFile]:
    """Yield the scans of the folders named ``classes``; parts are around or inside of them.

    Args:
        folder: Where to look.
        classes: The names, in the Unicode form NFC.
        part: The part that ``folder`` lies in.
        own: The folder of the class that ``folder`` lies in.
        of_study: As in :func:`mritk.reading.retest.parts_in`.
    """
    if own:
        yield from (ClassFile(path, own.name, part, own.path) for path in folder.scans)
    # Outside of a class, they may be classes themselves.
    are_of_study = own is not None and are_of_retest_study(folder.folders)
    for child, called in parts_in(folder, of_study=of_study):
        if own and child in folder.mask_folders:
            continue
        is_class = not own and composed(child.name) in classes
        of_child = part or ("" if is_class else called or "")
        within = child if is_class else own
        yield from _of_named(child, classes, of_child, within, of_study=are_of_study)


def _of_layout(layout: Layout) -> Iterator[ClassFile]:
    inner = layout.root
    for _ in range(WRAPPERS):
        if _parts_among(inner.folders) or len(inner.folders) != 1:
            break
        inner = inner.folders[0]
    parts = _parts_among(inner.folders)
    if parts:
        for child in inner.folders:
            unlabelled = canonical_name(child.name) in UNLABELLED
            if child not in parts and child.below and not unlabelled:
                raise layout.beside_the_parts(inner, child, parts[0])
        for part in parts:
            yield from _of_part(layout, part, parts)
        return
    base = _unwrapped(layout.root, archive=layout.scans.archive)
    refuse_folders_that_are_no_classes(layout, base)
    _require_one_form(layout, base)
    yield from _of_classes(base, "")


def _unwrapped(folder: ScanFolder, *, archive: bool = False) -> ScanFolder:
    """Return the folder of the class folders, which is ``folder`` or one that it wraps."""
    inner = folder
    for _ in range(WRAPPERS):
        if not wraps_classes(inner, archive=archive and inner is folder):
            break
        inner = inner.folders[0]
    return inner


def _parts_among(children: Sequence[ScanFolder]) -> list[ScanFolder]:
    parts = [child for child in children if part_of(child.name)]
    # Beside other folders, a lone "test" or "valid" may be a class.
    lone = len({part_of(part.name) for part in parts}) == 1 < len(children)
    return [] if lone else parts


def _of_part(layout: Layout, part: ScanFolder, parts: Sequence[ScanFolder]) -> Iterator[ClassFile]:
    if not any(child.below for child in part.folders):
        raise layout.part_without_classes(part, parts)
    base = _unwrapped(part)
    refuse_folders_that_are_no_classes(layout, base)
    if alike := first_alike((child.name for child in base.folders), canonical_name):
        raise DataError(
            f"{layout.shown(part)} has the classes {alike[0]} and {alike[1]}, which differ only in "
            "spelling; rename one of them, or merge them"
        )
    yield from _of_classes(base, part_of(part.name) or "")


def _require_one_form(layout: Layout, base: ScanFolder) -> None:
    """Refuse class folders that look the same, as no name that a person types can tell them."""
    if alike := first_alike((child.name for child in base.folders), composed):
        raise DataError(
            f"{layout.shown(base)} has two class folders {alike[0]}, whose names differ only in "
            f"their Unicode form ({alike[0]!a} and {alike[1]!a}); merge them, or rename one"
        )


def _of_classes(base: ScanFolder, part: str) -> Iterator[ClassFile]:
    for folder in base.folders:
        if canonical_name(folder.name) not in UNLABELLED:
            for path in folder.images:
                yield ClassFile(path, folder.name, part, folder.path)


def _spelt_alike(found: Sequence[ClassFile]) -> list[ClassFile]:
    """Give every class the spelling of its training part, or of the first that has it."""
    spelling: dict[str, str] = {}
    for file in sorted(found, key=lambda file: (_order(file.part), file.label)):
        spelling.setdefault(canonical_name(file.label), file.label)
    return [replace(file, label=spelling[canonical_name(file.label)]) for file in found]


def _order(part: str) -> int:
    return SPLITS.index(part) if part else len(SPLITS)


def _check_classes(layout: Layout, found: Sequence[ClassFile], wanted: Sequence[str]) -> None:
    labels = sorted({file.label for file in found})
    forms = set(map(composed, labels))
    absent = [name for name in wanted if composed(name) not in forms]
    if absent:
        raise DataError(
            f"{layout.scans.path} has no {layout.scans.noun} in a folder {absent[0]}, given in "
            f"classes={'/'.join(wanted)}; correct the name as on disk"
        )
    if not labels:
        raise layout.no_classes()
    if len(labels) < 2:
        raise layout.one_class(labels[0])


def _check_parts(layout: Layout, found: Sequence[ClassFile]) -> None:
    """A class that is called otherwise in two parts would silently become two classes."""
    outside = next((file.path for file in found if not file.part), None)
    if outside is not None:
        raise DataError(
            f"{layout.scans.path} has {layout.scans.noun} inside and outside of official splits, "
            f"such as {outside.relative_to(layout.root.path).as_posix()}; specify one folder"
        )
    _refuse_parts_inside_of_others(layout, found)
    labels = {file.label for file in found}
    for part in sorted({file.part for file in found}):
        absent = labels - {file.label for file in found if file.part == part}
        if absent:
            raise DataError(
                f"the {part} set of {layout.scans.path} has no {layout.scans.noun} of "
                f"{', '.join(sorted(absent))}; use the same class folder names in every split"
            )


def _refuse_parts_inside_of_others(layout: Layout, found: Sequence[ClassFile]) -> None:
    """``Training/glioma/test``: images of a test set would be trained on."""
    parts = defaultdict[Path, set[str]](set)
    for file in found:
        parts[file.folder].add(file.part)
    for folder in (one for one in layout.root.walk() if one.path in parts):
        for inside in filter(None, parts_around_images(folder)):
            if part_of(inside.name) not in parts[folder.path]:
                raise DataError(
                    f"{layout.shown(inside)} is named like the {part_of(inside.name)} set, but is "
                    f"inside of the {min(parts[folder.path])} set; move it out of there, or "
                    "rename it if it is none"
                )
