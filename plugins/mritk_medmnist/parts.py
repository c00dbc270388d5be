"""The three official parts of a MedMNIST archive as one table of samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mritk import Classification, DataError, Recent, Samples, Workspace
from mritk_medmnist.archive import read_array, read_array_header

PARTS = ("train", "val", "test")


def read_parts(path: Path, workspace: Workspace | None = None) -> Samples:
    """Return the images (H, W) or (H, W, 3), or volumes (D, H, W), of an archive; uint8.

    The parts are the official split. Ids are ``train/00000``, ``train/00001``, … in the order of
    the archive. Classes are the label numbers as text, in their order: archives hold no names.
    Labels of an order (retinamnist) are taken as classes. An archive has no patients. A sample is
    known by the SHA-256 of its dtype, shape and bytes, so that the digest does not depend on how
    the archive was compressed.

    Labels and the shapes of images are read here. The images of a part are decompressed as a
    whole, the only way that the format allows, when the first of them is read; they then stay in
    memory, shared by all threads: one byte per pixel and channel, which for the 107,180 colour
    images of pathmnist makes 0.25 GB at 28 pixels and 16 GB at 224.
    ``workspace`` is not used.

    Raises:
        DataError: The archive is damaged, lacks an array, or an array is not laid out as MedMNIST
            does; labels have several columns; images and labels of a part differ in number, or
            the parts in shape.
    """
    labels = {part: _labels(path, part) for part in PARTS}
    shapes = {part: _image_shape(path, part, len(labels[part])) for part in PARTS}
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{part} {shape}" for part, shape in shapes.items())
        raise DataError(f"{path}: the splits differ in sample shape: {listed}")
    shape = shapes["train"]
    classes, targets = np.unique(np.concatenate(list(labels.values())), return_inverse=True)
    # A damaged array is decompressed once too, and not once for each of its samples.
    images: Recent[str, np.ndarray] = Recent(lambda key: read_array(path, key), len(PARTS))
    places = [(part, row) for part in PARTS for row in range(len(labels[part]))]

    def read(i: int) -> np.ndarray:
        part, row = places[i]
        return images(f"{part}_images")[row]

    return Samples(
        ids=[f"{part}/{row:05d}" for part, row in places],
        targets=targets,
        task=Classification(tuple(str(number) for number in classes.tolist())),
        read=read,
        spatial_dims=3 if _is_cube(shape) else 2,
        splits=[part for part, _ in places],
    )


def _labels(path: Path, part: str) -> np.ndarray:
    """Return the labels of a part, (N,) whole numbers from 0."""
    key = f"{part}_labels"
    header = read_array_header(path, key)
    if len(header.shape) == 2 and header.shape[1] > 1:
        raise DataError(
            f"{path}: {key} has {header.shape[1]} columns; only one label per sample is "
            "supported: use an archive with one column"
        )
    if header.dtype.kind not in "iu" or header.shape[1:] not in ((), (1,)) or not header.shape:
        raise DataError(f"{path}: {key} is {header.dtype} {header.shape}, not (N, 1) integers")
    labels = read_array(path, key).ravel()
    if not len(labels):
        raise DataError(f"{path}: the {part} set has no samples")
    if labels.min() < 0:
        raise DataError(f"{path}: {key} contains {labels.min()}; labels must not be negative")
    return labels.astype(np.uint64)


def _image_shape(path: Path, part: str, labels: int) -> tuple[int, ...]:
    """Return the shape of one sample of a part."""
    key = f"{part}_images"
    header = read_array_header(path, key)
    shape = header.shape[1:]
    known = len(shape) == 2 or (len(shape) == 3 and (shape[-1] == 3 or _is_cube(shape)))
    if header.dtype != np.uint8 or not known or 0 in shape:
        raise DataError(
            f"{path}: {key} is {header.dtype} {header.shape}; MedMNIST has uint8 images (N, H, W) "
            f"or (N, H, W, 3), or cubes (N, D, H, W)"
        )
    if header.shape[0] != labels:
        raise DataError(
            f"{path}: {key} has {header.shape[0]} samples, {part}_labels has {labels}; download it "
            f"again"
        )
    return shape


def _is_cube(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[-1] != 3 and len(set(shape)) == 1
