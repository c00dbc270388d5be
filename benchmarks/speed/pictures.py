"""Brain-like JPEG files in folders, as training programs are given them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.speed.audit import blobs

CLASSES = ("glioma", "healthy", "meningioma", "pituitary")
SIDE, QUALITY = 512, 90
# Grain gives a file of about 60 kB, as much as a scan of this size and quality has.
GRAIN = 5.0


def write_pictures(folder: Path, parts: Mapping[str, int], side: int = SIDE) -> None:
    """Write ``PART/CLASS/sub-NNNN.jpg``; the part ``""`` puts the classes into ``folder``.

    Grey pictures of smooth random structure with grain inside an ellipse, each of a patient of
    its own; classes take turns.

    Args:
        folder: Where to.
        parts: Number of pictures of each part.
        side: In pixels.
    """
    generator = np.random.default_rng(0)
    number = 0
    for part, count in parts.items():
        for position in range(count):
            picture = blobs(generator, 1, side)[0]
            grain = generator.normal(0, GRAIN, picture.shape).astype(np.float32)
            grainy = np.where(picture > 0, picture + grain, 0).clip(0, 255).astype(np.uint8)
            path = folder / part / CLASSES[position % len(CLASSES)] / f"sub-{number:05d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(grainy).save(path, quality=QUALITY)
            number += 1


def link_parts(source: Path, target: Path, parts: Mapping[str, tuple[str, ...]]) -> None:
    """Lay the same files out under other names of parts, without copying them.

    Args:
        source: Folder with ``PART/CLASS/file``.
        target: Folder to be made.
        parts: For each part of the target, those of the source that go into it.
    """
    for part, origins in parts.items():
        for path in sorted(file for origin in origins for file in source.glob(f"{origin}/*/*.jpg")):
            linked = target / part / path.parent.name / path.name
            linked.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, linked)
