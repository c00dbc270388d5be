"""Tell folders of classes from folders of patients, copies, parts and kinds of files."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mritk.errors import DataError
from mritk.reading.parts import part_of
from mritk.reading.retest import are_of_retest_study, parts_in
from mritk.reading.scan_tree import ScanFolder, Scans
from mritk.reading.spelling import canonical_name

# All in the form of canonical_name. Folders of images that are there to be predicted:
UNLABELLED = frozenset({"pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled"})

# what folders are called that hold data of any class;
GENERIC = frozenset(
    {
        *("archive", "data", "images", "image", "imgs", "img", "masks", "mask", "scans", "slices"),
        *("original", "augmented", "raw", "processed", "preprocessed", "png", "jpg", "jpeg"),
    }
)

# how scans of one patient differ.
SERIES = frozenset(
    {
        *("axial", "coronal", "sagittal", "ax", "cor", "sag", "left", "right"),
        *("flair", "dwi", "adc", "swi", "pd", "anat", "nifti", "dicom"),
    }
)

PATIENT = re.compile(
    r"(?:sub|subj|subject|pat|patient|case|person|tcga|brats)[-_ .]?(?:.*[-_ .])?\d.*"
    r"|p[-_ .]?\d+|.*\d{4}.*",
    re.IGNORECASE,
)

NAMED = 8

TABLE = "list the files with labels (and patients) in a table (manifest:FILE.csv)"


@dataclass(frozen=True)
class Layout:
    """A tree of scans, and how to speak of it."""

    root: ScanFolder
    scans: Scans

    def relative(self, folder: ScanFolder) -> str:
        """Return a folder's path below the root, with a slash in front; nothing for the root."""
        name = folder.path.relative_to(self.root.path).as_posix()
        return "" if name == "." else f"/{name}"

    def shown(self, folder: ScanFolder) -> str:
        """Return a folder's path as a person knows it."""
        return self.scans.path.rstrip("/") + self.relative(folder)

    def typed(self, folder: ScanFolder) -> str:
        """Return what to type for the data in a folder."""
        return shlex.quote(self.scans.typed.rstrip("/") + self.relative(folder))

    def class_option(self, names: Sequence[str]) -> str:
        """Return what to type where folders of these names are the classes."""
        some = list(dict.fromkeys(names))
        shown = [*some[:NAMED], *(["…"] if len(some) > NAMED else [])]
        return shlex.quote(f"{self.scans.typed},classes={'/'.join(shown)}")

    def nothing(self) -> DataError:
        """Return the error that there are no scans at all."""
        suffixes = {p.suffix.lower() for one in self.root.walk() for p in one.others}
        advice = [f"; {text}" for suffix, text in self.scans.others.items() if suffix in suffixes]
        holds = f" (it contains {self.root.seen})" if suffixes else ""
        return DataError(
            f"no {self.scans.noun} in {self.scans.path}{holds}; {self._expected}{''.join(advice)}"
        )

    def no_classes(self) -> DataError:
        """Return the error that there are scans and no folders of classes."""
        example = self.root.below[0].relative_to(self.root.path).as_posix()
        return DataError(
            f"{self.scans.path} has {len(self.root.below)} {self.scans.noun} without a class, "
            f"such as {example}; {self._expected}"
        )

    @property
    def _expected(self) -> str:
        name, example = Path(self.scans.path).name or "PATH", self.scans.example
        return (
            f"expected {name}/CLASS/{example}, or {name}/Training/CLASS/{example} and "
            f"{name}/Testing/CLASS/{example}"
        )

    def one_class(self, label: str) -> DataError:
        """Return the error that there is one class, or a folder that may wrap several."""
        inner = next((folder for folder in self.root.walk() if folder.name == label), self.root)
        while len(inner.folders) == 1:
            inner = inner.folders[0]
        names = [folder.name for folder in inner.folders]
        advice = ""
        if _are_patients(names):
            advice = f"; {_listed(names)} in it look like patients"
        elif names:
            advice = f"; if {_listed(names)} in it are the classes, use {self.typed(inner)}"
        return DataError(
            f"{self.scans.path} has {self.scans.noun} of one class only ({label}); use one folder "
            f"per class, and specify their parent folder, or {TABLE}{advice}"
        )

    def beside_the_parts(self, base: ScanFolder, child: ScanFolder, part: ScanFolder) -> DataError:
        """Return the error that there are scans next to the official parts."""
        labels = [folder.name for folder in part.folders]
        again = any(folder.name in labels for folder in child.walk())
        # Folders of these names would be the classes there, too, but of no part.
        remedy = (
            f"use {self.typed(part)} for that split only"
            if again
            else f"specify the classes ({self.class_option(labels)})"
        )
        return DataError(
            f"{self.typed(base)} contains {self.scans.noun} in {child.name} next to {part.name}; "
            f"move them into one of the splits, or elsewhere, or {remedy}"
        )

    def part_without_classes(self, part: ScanFolder, parts: Sequence[ScanFolder]) -> DataError:
        """Return the error that one of the official parts has no class folders."""
        others = [other for other in parts if any(child.below for child in other.folders)]
        remedy = f", or use {self.typed(others[0])} for that split only" if others else ""
        return DataError(
            f"{self.shown(part)} is named like the {part_of(part.name)} set but has no class "
            f"folders with {self.scans.noun} (it contains {len(part.scans)} {self.scans.noun} and "
            f"{part.seen}); put them in class folders{remedy}"
        )


def wraps_classes(folder: ScanFolder, *, archive: bool) -> bool:
    """Whether the one folder in ``folder`` is no class but holds the folders of the classes.

    Args:
        folder: The folder.
        archive: Whether it is what an archive was unpacked to; ``X.zip`` with the folder ``X`` is
            that folder.
    """
    if len(folder.folders) != 1:
        return False
    inner = folder.folders[0]
    again = canonical_name(inner.name) == canonical_name(folder.name)
    named = again or _is_generic(inner.name)
    return (archive or named) and not inner.scans and bool(inner.folders)


def refuse_folders_that_are_no_classes(layout: Layout, base: ScanFolder) -> None:
    """Check the folders in ``base``, which will be taken for the classes.

    Raises:
        DataError: One holds the same classes as stand beside it, official parts, or no scans; it
            is called as a part, or as data of any class, are; or all look like patients, or like
            copies of a dataset.
    """
    folders = [f for f in base.folders if canonical_name(f.name) not in UNLABELLED]
    _refuse_lone_parts(layout, folders)
    _refuse_repetitions(layout, folders)
    _refuse_inner_parts(layout, folders)
    _refuse_mixed_with_a_part(layout, folders)
    _refuse_inner_classes(layout, folders)
    _refuse_patients(layout, folders)
    _refuse_unnamed_classes(layout, base, folders)
    for folder in folders:
        others = [f.name for f in folders if f is not folder]
        remedy = f"; or use {layout.class_option(others)}" if len(others) > 1 else ""
        if _is_generic(folder.name) and others:
            raise DataError(
                f"{layout.shown(folder)} is next to the class folders but is not named like a "
                f"class; move it elsewhere{remedy}"
            )
        if not folder.below:
            raise DataError(
                f"{layout.shown(folder)} is next to the class folders but has no "
                f"{layout.scans.noun} (it contains {folder.seen}); put {layout.scans.noun} of the "
                f"class there, or move it elsewhere{remedy}"
            )


def _refuse_lone_parts(layout: Layout, folders: Sequence[ScanFolder]) -> None:
    """``yes``, ``no`` and ``test``; or ``Training`` beside a folder of anything."""
    for folder in folders:
        others = [f.name for f in folders if f is not folder]
        if part_of(folder.name) and others:
            choices = [f"if it is a class, {layout.class_option([f.name for f in folders])}"]
            if len(others) > 1:
                choices.insert(0, f"without it, {layout.class_option(others)}")
            if len(folder.folders) > 1:
                choices.insert(0, f"for this folder only, {layout.typed(folder)}")
            raise DataError(
                f"{layout.shown(folder)} is named like the {part_of(folder.name)} set and is next "
                f"to {_listed(others)}, so the classes are ambiguous; use, {'; '.join(choices)}"
            )


def _refuse_repetitions(layout: Layout, folders: Sequence[ScanFolder]) -> None:
    names = {canonical_name(folder.name) for folder in folders}
    for folder in folders:
        inside = [child.name for child in folder.folders if canonical_name(child.name) in names]
        # Classes and patients may both be called 1, 2, 3.
        if len(inside) > 1 or any(not name.isdigit() for name in inside):
            raise DataError(
                f"{layout.shown(folder)} contains {_listed(inside)}, which are also next to it "
                f"and may be the same {layout.scans.noun}; for these only, use "
                f"{layout.typed(folder)}, or remove it"
            )


def _refuse_inner_parts(layout: Layout, folders: Sequence[ScanFolder]) -> None:
    divided = [
        folder
        for folder in folders
        if len({part for child in folder.folders if (part := part_of(child.name))}) > 1
    ]
    if not divided:
        return
    inside = _listed([child.name for child in divided[0].folders])
    if len(divided) == len(folders) > 1:
        remedy = f"if {_listed([f.name for f in folders])} are the classes, use "
        remedy += layout.class_option([folder.name for folder in folders])
    else:
        others = [folder.name for folder in folders if folder not in divided]
        remedy = f"for these only, use {layout.typed(divided[0])}"
        if len(others) > 1:
            remedy += f"; for the others, {layout.class_option(others)}"
    raise DataError(
        f"{layout.shown(divided[0])} contains {inside}, which are named like splits of a dataset, "
        f"so the classes are ambiguous; {remedy}"
    )


def _refuse_mixed_with_a_part(layout: Layout, folders: Sequence[ScanFolder]) -> None:
    """``a/1.png`` and ``b/test/1.png``: images of a test set would be trained on."""
    found: dict[str, ScanFolder] = {}
    for folder in folders:
        for inside in parts_around_images(folder):
            part = part_of(inside.name) if inside else None
            found.setdefault(part or "", inside or folder)
    beside = found.pop("", None)
    if beside and found:
        part, inside = next(iter(found.items()))
        raise DataError(
            f"{layout.shown(inside)} is named like the {part} set, but there are other "
            f"{layout.scans.noun} in {beside.name}, of no split; move them into one, such as "
            f"{beside.name}/{'test' if part == 'train' else 'train'}, or rename {inside.name} if "
            "it is none"
        )
    if len(found) > 1 and len(folders) > 1:  # of one class alone, more is wrong
        (part, inside), (other_part, other) = list(found.items())[:2]
        raise DataError(
            f"{layout.shown(inside)} is named like the {part} set and {layout.shown(other)} like "
            f"the {other_part} set; if they are, use "
            f"{layout.class_option([folder.name for folder in folders])}, else rename them"
        )


def parts_around_images(
    folder: ScanFolder, part: ScanFolder | None = None, *, of_study: bool = False
) -> Iterator[ScanFolder | None]:
    """Yield the outermost folder called as a part, or None, around each folder of images.

    Args:
        folder: The folder of a class, or one inside of it.
        part: The outermost around ``folder``.
        of_study: As in :func:`mritk.reading.retest.parts_in`.
    """
    if folder.scans:
        yield part
    are_of_study = are_of_retest_study(folder.folders)
    for child, called in parts_in(folder, of_study=of_study):
        if child not in folder.mask_folders:
            own = child if called else None
            yield from parts_around_images(child, part or own, of_study=are_of_study)


def _refuse_inner_classes(layout: Layout, folders: Sequence[ScanFolder]) -> None:
    """``P1/glioma``, ``P2/glioma``; or ``Original/glioma`` and ``Augmented/glioma``."""
    count: Counter[str] = Counter()
    for folder in folders:
        if not folder.scans:
            inner = [c for c in folder.folders if c.below and c not in folder.mask_folders]
            count.update({c.name for c in inner if _may_be_class(c.name)})
    outside = [folder.name for folder in folders]
    often = 1 if _are_patients(outside) else 2
    inside = sorted(name for name, times in count.items() if times >= often)
    if len(inside) < 2:
        return
    if any(_is_generic(name) for name in outside):
        choice = f"use one of them, such as {layout.typed(folders[0])}"
    else:
        choice = f"use {layout.class_option(inside)} or {layout.class_option(outside)}"
    raise DataError(
        f"{layout.scans.path} has folders {_listed(outside)}, several of which contain "
        f"{_listed(inside)}, so the classes are ambiguous; {choice}"
    )


def _refuse_patients(layout: Layout, folders: Sequence[ScanFolder]) -> None:
    names = [folder.name for folder in folders]
    if _are_patients(names):
        raise DataError(
            f"{layout.scans.path} has folders {_listed(names)}, which look like patients, not "
            f"classes; use one folder per class, or {TABLE}; if they are the classes, use "
            f"{layout.class_option(names)}"
        )


def _refuse_unnamed_classes(
    layout: Layout, base: ScanFolder, folders: Sequence[ScanFolder]
) -> None:
    """``images`` and ``masks``, or ``images`` and ``labels``: no folder is called as a class is."""
    names = [folder.name for folder in folders]
    filled = [folder.name for folder in folders if folder.below]
    if len(folders) > 1 and filled and all(_is_generic(name) for name in filled):
        classes = f"; if they are the classes, use {layout.class_option(filled)}"
        raise DataError(
            f"{layout.shown(base)} has folders {_listed(names)}, none of which is named like a "
            f"class; use one folder per class, or {TABLE}{classes if len(filled) > 1 else ''}"
        )


def _are_patients(names: Sequence[str]) -> bool:
    return len(names) > 1 and all(PATIENT.fullmatch(name) for name in names)


def _may_be_class(name: str) -> bool:
    has_digit = any(character.isdigit() for character in name)
    return not (has_digit or canonical_name(name) in SERIES or _is_generic(name))


def _is_generic(name: str) -> bool:
    return canonical_name(name) in GENERIC or "dataset" in canonical_name(name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
