"""``augmented:DATASET``: a dataset with deformed copies of its training samples.

Copies are made when they are read, each always in the same way: by one affine map of the image and,
where there are any, of its label map and lesion, and by a change of contrast of the image alone.
They have the patient of the sample they were made from, and lie on its voxels in mm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from mritk import Dataset, Samples, UsageError, Workspace, derive
from mritk_augment.offline_options import Offline

VERSION = 1  # of what is drawn; part of the digest of a copy
TESTED = ("val", "test")  # official parts of which there are no copies


def resolve_offline(inner: Dataset, options: Offline) -> Iterator[Dataset]:
    """Yield a dataset with copies of its samples."""
    yield replace(
        inner,
        open=partial(open_with_copies, inner, options),
        summary=f"{options.copies} deformed copies of each training sample; {inner.summary}",
    )


def open_with_copies(inner: Dataset, options: Offline, workspace: Workspace) -> Samples:
    """Return the samples of a dataset and, behind them, their copies.

    Copies of sample ``ID`` are ``ID/copy-1`` and so on. There are none of official validation and
    test parts.

    Raises:
        UsageError: The data do not lie on a grid, or are copies already.
    """
    samples = inner.open(workspace)
    dims = samples.spatial_dims
    if dims is None:
        raise UsageError(f"augmented: needs images or volumes, but {inner.name} has neither")
    if len(samples.originals) < len(samples):
        raise UsageError(f"{inner.name} has copies already; give copies=N once")
    parts = samples.splits or [""] * len(samples)
    parents = [row for row, part in enumerate(parts) if part not in TESTED]
    made = [(row, number) for row in parents for number in range(1, options.copies + 1)]
    count, digest = len(samples), samples.digest
    affine, holes = samples.affine, samples.holes
    rows = [*range(count), *(row for row, _ in made)]

    def change(i: int) -> Change:
        row, number = made[i - count]
        spacing = np.ones(dims) if samples.spacing is None else samples.spacing[row]
        return change_of(samples.ids[row], number, options, spacing)

    def read(i: int) -> np.ndarray:
        image = samples.read(rows[i])
        named = bool(samples.channels)
        return image if i < count else change(i).of_image(image, dims, has_channels=named)

    def deformed(
        read_map: Callable[[int], np.ndarray] | None,
    ) -> Callable[[int], np.ndarray] | None:
        """Return a function that reads label maps or lesions, also of copies."""
        if read_map is None:
            return None
        return lambda i: read_map(i) if i < count else change(i).of_labels(read_map(rows[i]))

    def told(i: int) -> str:
        assert digest is not None
        if i < count:
            return digest(i)
        text = f"{digest(rows[i])} {VERSION} {change(i)}"
        return hashlib.sha256(text.encode()).hexdigest()

    def repeated(column: Sequence[str] | None) -> list[str] | None:
        return None if column is None else [column[row] for row in rows]

    return replace(
        samples,
        ids=[*samples.ids, *(f"{samples.ids[row]}/copy-{number}" for row, number in made)],
        made_from=[*("" for _ in samples.ids), *(samples.ids[row] for row, _ in made)],
        targets=samples.targets[rows],
        read=read,
        digest=None if digest is None else told,
        read_target=deformed(samples.read_target),
        read_lesion=deformed(samples.read_lesion),
        affine=None if affine is None else lambda i: affine(rows[i]),
        patients=repeated(samples.patients),
        sites=repeated(samples.sites),
        sources=repeated(samples.sources),
        splits=repeated(samples.splits),
        scans=repeated(samples.scans),
        holes=None if holes is None else lambda i: holes(rows[i]),
        spacing=None if samples.spacing is None else samples.spacing[rows],
        covariates={name: np.asarray(c)[rows] for name, c in samples.covariates.items()},
    )


@dataclass(frozen=True)
class Change:
    """How one copy differs from its sample.

    Attributes:
        matrix: (d, d) rows; in mm, maps a place in the copy to that in the sample, both from the
            middle.
        shift: (d,) what is added to it, relative to the sides.
        spacing: (d,) distance of pixels or voxels in mm.
        gamma: Exponent of intensities in [0, 1].
    """

    matrix: tuple[tuple[float, ...], ...]
    shift: tuple[float, ...]
    spacing: tuple[float, ...]
    gamma: float

    def of_image(self, image: np.ndarray, dims: int, *, has_channels: bool) -> np.ndarray:
        """Return the copy of an image or volume, of the same dtype and shape.

        Args:
            image: (*spatial), (C, *spatial) or (H, W, 3).
            dims: Number of spatial dimensions.
            has_channels: Whether the first axis is that of channels.
        """
        colours = not has_channels and image.ndim > dims
        planes = np.moveaxis(image, -1, 0) if colours else image
        planes = planes.reshape(-1, *planes.shape[planes.ndim - dims :])
        moved = np.stack([self._moved(plane.astype(np.float32), order=1) for plane in planes])
        top = 255.0 if image.dtype == np.uint8 else 1.0
        changed = top * np.power(np.clip(moved / top, 0, 1), np.float32(self.gamma))
        if image.dtype == np.uint8:
            changed = np.rint(changed)
        made = changed.astype(image.dtype)
        if colours:
            return np.ascontiguousarray(np.moveaxis(made, 0, -1))
        return made.reshape(image.shape)

    def of_labels(self, labels: np.ndarray) -> np.ndarray:
        """Return the label map of the copy: that of the nearest voxel; background beyond."""
        return self._moved(labels, order=0)

    def voxels(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Return matrix and offset that map indices in the copy to indices in the sample."""
        spacing, middle = np.asarray(self.spacing), (np.asarray(shape) - 1) / 2
        matrix = np.asarray(self.matrix) * spacing[None] / spacing[:, None]
        return matrix, middle - matrix @ middle + np.asarray(self.shift) * shape

    def _moved(self, array: np.ndarray, order: int) -> np.ndarray:
        from scipy.ndimage import affine_transform

        matrix, offset = self.voxels(array.shape)
        return affine_transform(array, matrix, offset, order=order, cval=0)


def change_of(name: str, number: int, options: Offline, spacing: np.ndarray) -> Change:
    """Return how copy ``number`` of the sample of this name is made.

    Args:
        name: Id of the sample.
        number: From 1.
        options: What is drawn.
        spacing: (2,) or (3,) distance of pixels or voxels in mm.
    """
    rng = np.random.default_rng(derive("offline", options.seed, name, number))
    dims = len(spacing)
    angles = np.deg2rad(rng.uniform(-options.rotation, options.rotation, 3))
    scale = float(np.exp(rng.uniform(-1, 1) * np.log1p(options.scaling)))
    shift = rng.uniform(-options.shift, options.shift, dims)
    mirrored = options.mirror and rng.random() < 0.5
    gamma = float(np.exp(rng.uniform(-1, 1) * np.log1p(options.contrast)))
    turn = _rotation(angles, dims) / scale
    if mirrored:
        turn[:, -1] *= -1
    rows = tuple(tuple(row) for row in turn.tolist())
    return Change(rows, tuple(shift.tolist()), tuple(map(float, spacing)), gamma)


def _rotation(angles: np.ndarray, dims: int) -> np.ndarray:
    """Return a rotation about each axis, (3, 3), or within the plane, (2, 2)."""
    from scipy.spatial.transform import Rotation

    planes = dims * (dims - 1) // 2
    about = np.pad(angles[:planes], (len(angles) - planes, 0))
    return np.array(Rotation.from_euler("xyz", about).as_matrix()[:dims, :dims])
