"""The cases of a part as files in a folder, with or without what is to be predicted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mritk.data.rank import is_volume
from mritk.data.sample_files import file_name, write_label_map, write_sample
from mritk.data.samples import Samples
from mritk.data.volume_space import Space
from mritk.external.environment import Environment, Mount
from mritk.images.subset import Subset
from mritk.seeds import derive

PREDICT = "predict"


@dataclass(frozen=True)
class Case:
    """One sample, written to files.

    Attributes:
        id: Its id in the dataset.
        name: What its files are called; it says nothing of the sample.
        part: ``train``, ``val`` or ``predict``.
        files: By channel, ``image`` where the dataset names none.
        shape: Its spatial shape, as its files have it.
        spacing: Distance of pixels or voxels in mm along each axis of them; empty: unknown.
        patient: Its patient; empty where it is not known, or is to be predicted.
        site: Likewise.
        target: Name of its class, or its value; None for a label map, or where it is to be
            predicted.
        label_map: The file of its label map; None without one, or where it is to be predicted.
        space: Where the voxels of the sample lie; None: it is no volume.
    """

    id: str
    name: str
    part: str
    files: dict[str, Path]
    shape: tuple[int, ...]
    spacing: tuple[float, ...] = ()
    patient: str = ""
    site: str = ""
    target: str | float | None = None
    label_map: Path | None = None
    space: Space | None = field(default=None, repr=False)

    @property
    def told_id(self) -> str:
        """What a program is told as its id: that of a dataset may tell what is to be predicted."""
        return self.name if self.part == PREDICT else self.id

    def as_dict(self, environment: Environment, mounts: Sequence[Mount]) -> dict[str, Any]:
        """Return what a program is told of it; paths are those that the program knows."""
        told: dict[str, Any] = {
            "id": self.told_id,
            "name": self.name,
            "part": self.part,
            "files": {name: environment.path(p, mounts) for name, p in self.files.items()},
            "shape": list(self.shape),
            "spacing": list(self.spacing) or None,
        }
        for key in ("patient", "site", "target"):
            if (value := getattr(self, key)) not in ("", None):
                told[key] = value
        if self.label_map is not None:
            told["label_map"] = environment.path(self.label_map, mounts)
        return told


@dataclass(frozen=True)
class CaseFolder:
    """Writes cases into folders of its own.

    Attributes:
        images: Where the samples go.
        labels: Where their label maps go; None: they are not written, nor is any target.
    """

    images: Path
    labels: Path | None = None
    _count: list[int] = field(default_factory=lambda: [0], repr=False)

    def begin(self) -> CaseFolder:
        """Empty the folders, and return this."""
        for folder in (self.images, self.labels):
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
        return self

    def write(self, subset: Subset, part: str = PREDICT) -> list[Case]:
        """Write the samples of a subset, in order."""
        return list(self._written(subset.samples, part))

    def _written(self, samples: Samples, part: str) -> Iterator[Case]:
        names = self._names(samples, part)
        for row, (sample, name) in enumerate(zip(samples.ids, names, strict=True)):
            array = np.asarray(samples.read(row))
            dims = samples.spatial_dims or array.ndim
            shape = (array.shape[1:] if samples.channels else array.shape)[:dims]
            space = Space.of(samples, row, shape) if is_volume(samples.spatial_dims) else None
            files = write_sample(
                array, self.images, name, samples.channels, samples.spatial_dims, space
            )
            own: dict[str, Any] = {}
            if self.labels is not None:
                own = self._labelled(samples, row, name, space)
            filed = shape if space is None else space.image_shape
            spacing = _spacing(samples, row, space)
            yield Case(sample, name, part, files, filed, spacing, **own, space=space)

    def _names(self, samples: Samples, part: str) -> list[str]:
        """Return what files of samples are called: to be predicted, in an order of their own."""
        first, count = self._count[0], len(samples)
        self._count[0] += count
        if part != PREDICT:
            return [file_name(first + row, sample) for row, sample in enumerate(samples.ids)]
        places = np.random.default_rng(derive("cases", *samples.ids)).permutation(count)
        return [f"case{first + place:05d}" for place in places.tolist()]

    def _labelled(
        self, samples: Samples, row: int, name: str, space: Space | None
    ) -> dict[str, Any]:
        assert self.labels is not None
        own: dict[str, Any] = {
            "patient": samples.patients[row] if samples.patients else "",
            "site": samples.sites[row] if samples.sites else "",
            "target": samples.task.target_value(float(samples.targets[row])),
        }
        if samples.read_target is not None:
            labels = np.asarray(samples.read_target(row))
            own["label_map"] = write_label_map(labels, self.labels, name, space)
        return own


def _spacing(samples: Samples, row: int, space: Space | None) -> tuple[float, ...]:
    """Return the distance of pixels or voxels along the axes of a file; empty: unknown."""
    if samples.spacing is None and samples.affine is None:
        return ()
    if space is not None:
        return space.image_spacing
    return () if samples.spacing is None else tuple(samples.spacing[row].tolist())
