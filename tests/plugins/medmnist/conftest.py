"""A writer of archives as MedMNIST publishes them."""

from __future__ import annotations

import numpy as np
import pytest

SIZES = {"train": 7, "val": 3, "test": 4}


def arrays_of(shape=(28, 28), sizes=SIZES, classes=3, seed=0):
    """Return the six arrays of an archive; the class is the third where the image is bright."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for part, count in sizes.items():
        labels = np.arange(count) % classes
        images = rng.integers(0, 80, (count, *shape), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            height = shape[0]
            image[label * height // classes : (label + 1) * height // classes] += 120
        arrays[f"{part}_images"] = images
        arrays[f"{part}_labels"] = labels.astype(np.uint8)[:, None]
    return arrays


@pytest.fixture
def write_archive(tmp_path):
    """Write an archive; arrays given by name replace, and None leaves out, those of the set."""

    def write(name="brainmnist.npz", *, compressed=True, without=(), replaced=None, **options):
        arrays = arrays_of(**options) | (replaced or {})
        for key in without:
            del arrays[key]
        save = np.savez_compressed if compressed else np.savez
        save(tmp_path / name, **arrays)
        return tmp_path / name

    return write
