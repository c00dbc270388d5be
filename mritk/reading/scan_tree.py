"""A tree of folders with its scans apart from all else."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mritk.errors import Unavailable
from mritk.reading.file_tree import FileTree
from mritk.reading.spelling import canonical_name

MASK = re.compile(
    r"(?P<of>.+?)[ ._-](?:mask|seg|segmentation|gt|label)(?:[ _-]?\d+)?", re.IGNORECASE
)
MASK_FIRST = re.compile(r"(?:mask|seg|segmentation|gt|label)[ ._-](?P<of>.+)", re.IGNORECASE)

# Names of folders, in the form of canonical_name: of masks, and of the images beside them.
MASK_FOLDERS = frozenset({"mask", "masks", "segmentation", "segmentations", "label", "labels"})
IMAGE_FOLDERS = frozenset({"image", "images", "img", "imgs", "scan", "scans", "slices"})


@dataclass(frozen=True)
class Scans:
    """What counts as a scan for a reader.

    Attributes:
        typed: How the data were specified, such as ``folder:PATH``, for messages.
        noun: Noun for scans, in the plural.
        is_scan: Whether a file is one.
        example: Name of a scan, for messages.
        archive: Whether an archive was specified, and is unpacked.
        masks: Whether there may be masks among the scans: files such as ``x_mask`` or ``mask_x``
            next to ``x`` or ``x_…``, and folders such as ``masks`` next to ``images``.
        others: By suffix of files that are not scans, what to do with them.
    """

    typed: str
    noun: str
    is_scan: Callable[[Path], bool]
    example: str
    archive: bool = False
    masks: bool = False
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The text after the prefix of the family."""
        return self.typed.partition(":")[2]


@dataclass(frozen=True)
class ScanFolder:
    """A folder and what is in it.

    Attributes:
        path: The folder.
        folders: Visible folders in it.
        scans: The scans directly in it.
        masks: Masks of scans directly in it.
        others: What else is directly in it: files, pipes, sockets and devices.
        hidden: Hidden files and folders directly in it.
        mask_folders: Those of ``folders`` whose scans, by their name and neighbours, are masks; if
            this folder lies in a class, for else they may be classes themselves.
    """

    path: Path
    folders: tuple[ScanFolder, ...]
    scans: tuple[Path, ...]
    masks: tuple[Path, ...]
    others: tuple[Path, ...]
    hidden: tuple[Path, ...]
    mask_folders: tuple[ScanFolder, ...] = ()

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.name

    @cached_property
    def below(self) -> tuple[Path, ...]:
        """All scans in it and in folders below it."""
        return (*self.scans, *(scan for folder in self.folders for scan in folder.below))

    @property
    def images(self) -> Iterator[Path]:
        """The scans in it and in folders below it that are no masks."""
        yield from self.scans
        for folder in self.folders:
            if folder not in self.mask_folders:
                yield from folder.images

    def walk(self) -> Iterator[ScanFolder]:
        """Yield this folder and every folder below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    @property
    def seen(self) -> str:
        """What is in it that is no scan, by suffix: ``12 .mat, 1 .csv``; ``nothing``."""
        found = [path for folder in self.walk() for path in (*folder.others, *folder.masks)]
        counts = Counter(path.suffix.lower() or "without a suffix" for path in found)
        shown = [f"{count} {suffix}" for suffix, count in counts.most_common(5)]
        return ", ".join([*shown, *(["…"] if len(counts) > 5 else [])]) or "nothing"


def scan_folder(tree: FileTree, scans: Scans) -> ScanFolder:
    """Tell the scans in ``tree`` from all else.

    Raises:
        Unavailable: A link without a suffix, which may be a folder of scans, leads nowhere.
    """
    found: list[Path] = []
    others = list(tree.specials)
    hidden = [f.path for f in tree.folders if f.path.name.startswith(".")]
    for path in tree.files:
        if path.name.startswith("."):
            hidden.append(path)
        elif scans.is_scan(path):
            found.append(path)
        else:
            if not path.suffix and not path.exists():
                raise Unavailable(
                    f"{path} is a link to missing content; download it ('datalad get', 'git annex "
                    "get'), or remove the link"
                )
            others.append(path)
    masks = _masks(found) if scans.masks else ()
    folders = [scan_folder(f, scans) for f in tree.folders if not f.path.name.startswith(".")]
    images = [path for path in found if path not in masks]
    return ScanFolder(
        tree.path,
        tuple(folders),
        tuple(images),
        tuple(masks),
        tuple(others),
        tuple(hidden),
        tuple(_mask_folders(folders, images) if scans.masks else ()),
    )


def _masks(scans: list[Path]) -> dict[Path, None]:
    """Return those of ``scans``, all of one folder, that are masks of others."""
    stems = {path: _stem(path) for path in scans}
    matches = {path: match for path, stem in stems.items() if (match := _is_mask(stem))}
    images = [stem for path, stem in stems.items() if path not in matches]
    # ``x`` and ``x_`` for every stem ``x_y``, so that each mask is one look-up.
    known = {stem[:end] for stem in images for end in _ends(stem)}
    return {path: None for path, match in matches.items() if match["of"] in known}


def _ends(stem: str) -> list[int]:
    return [len(stem), *(match.start() for match in re.finditer(r"[ ._-]", stem))]


def _is_mask(stem: str) -> re.Match[str] | None:
    return MASK.fullmatch(stem) or MASK_FIRST.fullmatch(stem)


def _mask_folders(folders: list[ScanFolder], scans: list[Path]) -> Iterator[ScanFolder]:
    """Yield those of ``folders`` with masks of the images in a folder beside them, or of scans."""
    known = {_stem(path) for path in scans}
    images = any(f.below and canonical_name(f.name) in IMAGE_FOLDERS for f in folders)
    for folder in folders:
        if not (canonical_name(folder.name) in MASK_FOLDERS and folder.below):
            continue
        if images or {_image_of(path) for path in folder.below} <= known:
            yield folder


def _image_of(mask: Path) -> str:
    """Return the stem of the scan that a file in a folder of masks belongs to."""
    match = _is_mask(_stem(mask))
    return match["of"] if match else _stem(mask)


def _stem(path: Path) -> str:
    """Return the name without its suffix; of ``1.2.840_mask.nii.gz``, ``1.2.840_mask``."""
    return re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE).rpartition(".")[0] or path.name
