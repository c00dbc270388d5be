"""MedMNIST archives as datasets: ``medmnist:PATH.npz``.

An archive (https://medmnist.com, https://doi.org/10.1038/s41597-022-01721-8) holds the images and
labels of three official parts, at 28, 64, 128 or 224 pixels a side; the sets named 3D hold cubes.

**The patient rule.** An archive names no patients. Its parts are taken as they are; whether a
patient stands in two of them cannot be checked, intervals can only resample images, and drawing
other parts (holdout, k-fold) would divide patients where several images are of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mritk import Dataset, DatasetFamily, Unavailable, hookimpl, lazy, user_path


@hookimpl
def mritk_datasets() -> Iterator[DatasetFamily]:
    """Yield the family ``medmnist:PATH.npz``."""
    yield DatasetFamily(
        "medmnist",
        resolve=resolve_medmnist,
        placeholder="PATH.npz",
        summary="a MedMNIST archive with its official split, images or volumes; no patient ids",
        reads=lambda path: path.suffix.lower() == ".npz",
    )


def resolve_medmnist(path: str) -> Iterator[Dataset]:
    """Yield the dataset in the archive ``path``; its name keeps the last part of the path only.

    Raises:
        Unavailable: There is no such file.
    """
    file = user_path(path)
    if not file.is_file():
        raise Unavailable(
            f"no file {path}; medmnist:PATH.npz needs a MedMNIST archive such as breastmnist.npz; "
            "download it from https://medmnist.com"
        )
    yield Dataset(
        f"medmnist:{file.name}",
        open=partial(lazy("mritk_medmnist.parts:read_parts"), file),
        sources=(file.stem,),
        license="see https://medmnist.com for each dataset",
        no_patients="MedMNIST has no patient ids",
    )
