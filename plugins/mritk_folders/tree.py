"""Find the images, classes and official parts in a tree of folders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mritk import Classification, DataError, Samples, sha256_of
from mritk_folders.image import read_image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif"})

# How people call the official parts; compared in lower case.
PARTS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}


@dataclass(frozen=True)
class ImageFile:
    """One image and what its place in the tree says of it; ``part`` is empty without parts."""

    path: Path
    label: str
    part: str


def read_tree(folder: Path) -> Samples:
    """Return the images under ``folder`` as samples.

    The tree is either ``CLASS/**/image`` or ``PART/CLASS/**/image``, where PART is one of
    ``Training``, ``Testing``, ``Validation`` in any usual spelling and becomes the official
    split. Ids are paths relative to ``folder``; classes are sorted by name. Hidden files and
    files that are not images by their suffix are left aside.

    Raises:
        DataError: No images, fewer than two classes, a class that is not in every part, or images
            beside the parts.
    """
    found = sorted(_images(folder), key=lambda image: image.path.as_posix())
    if not found:
        raise DataError(
            f"no images in {folder}; expected {folder.name}/CLASS/image.png, or "
            f"{folder.name}/Training/CLASS/image.png and {folder.name}/Testing/CLASS/image.png"
        )
    classes = tuple(sorted({image.label for image in found}))
    if len(classes) < 2:
        raise DataError(
            f"{folder} has images of one class only ({classes[0]}); put those of each class in a "
            f"folder of its own"
        )
    parts = [image.part for image in found]
    if any(parts):
        _check_parts(folder, found, classes)
    paths = [image.path for image in found]
    return Samples(
        ids=tuple(path.relative_to(folder).as_posix() for path in paths),
        targets=np.asarray([classes.index(image.label) for image in found]),
        task=Classification(classes),
        read=partial(_read, paths),
        digest=partial(_digest, paths),
        splits=tuple(parts) if any(parts) else None,
    )


def _images(folder: Path) -> Iterator[ImageFile]:
    children = [child for child in sorted(folder.iterdir()) if _is_visible_folder(child)]
    parts = [child for child in children if child.name.lower() in PARTS]
    if not parts or len({PARTS[part.name.lower()] for part in parts}) == 1 < len(children):
        for child in children:
            yield from _images_of_class(child, "")
        return
    for child in set(children) - set(parts):
        if any(_images_of_class(child, "")):
            raise DataError(
                f"{folder} holds images in {child.name} beside {parts[0].name}; move them into "
                f"one of the parts, or elsewhere"
            )
    for part in parts:
        for child in sorted(part.iterdir()):
            if _is_visible_folder(child):
                yield from _images_of_class(child, PARTS[part.name.lower()])


def _images_of_class(folder: Path, part: str) -> Iterator[ImageFile]:
    for path in folder.rglob("*"):
        hidden = any(piece.startswith(".") for piece in path.relative_to(folder).parts)
        if path.suffix.lower() in SUFFIXES and not hidden and path.is_file():
            yield ImageFile(path, folder.name, part)


def _is_visible_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__MACOSX"))


def _check_parts(folder: Path, found: list[ImageFile], classes: tuple[str, ...]) -> None:
    """A class that is spelt differently in two parts would silently become two classes."""
    for part in sorted({image.part for image in found}):
        absent = set(classes) - {image.label for image in found if image.part == part}
        if absent:
            raise DataError(
                f"the {part} part of {folder} has no images of {', '.join(sorted(absent))}; name "
                f"the class folders alike in every part"
            )


def _read(paths: list[Path], i: int) -> np.ndarray:
    return read_image(paths[i])


def _digest(paths: list[Path], i: int) -> str:
    return sha256_of(paths[i])
