"""Label maps of a part, compressed as in the file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import h5py
import numpy as np

from mritk.store.content import Array, Content

LEVEL = 4  # larger levels take longer and save little on label maps


@dataclass(frozen=True, eq=False)
class LabelMaps(Sequence[np.ndarray]):
    """N label maps, uint8, each of its own shape; unpacked one by one.

    Attributes:
        shapes: Their shapes.
        packed: Their bytes in C order, by zlib.
        spacing: Distance of voxels in mm along each axis, for each map; empty: unknown.
        affine: The (4, 4) matrix from voxels to mm of each map, row after row; empty: unknown.
    """

    shapes: tuple[tuple[int, ...], ...]
    packed: tuple[bytes, ...]
    spacing: tuple[tuple[float, ...], ...] = ()
    # Where a scan lies is no result, nor compared; so earlier files agree with later ones.
    affine: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(
        cls,
        maps: Iterable[np.ndarray],
        spacing: np.ndarray | None = None,
        affine: np.ndarray | None = None,
    ) -> LabelMaps:
        """Pack label maps.

        Args:
            maps: N label maps of values 0 to 255.
            spacing: (N, dimensions) distance of voxels in mm; None: unknown.
            affine: (N, 4, 4) matrices from voxels to mm, as of :class:`mritk.Samples`; None:
                unknown.
        """
        shapes, packed = [], []
        for one in maps:
            values = np.ascontiguousarray(one, dtype=np.uint8)
            shapes.append(values.shape)
            packed.append(zlib.compress(values.tobytes(), LEVEL))
        return cls(tuple(shapes), tuple(packed), _rows(spacing), _rows(affine))

    def __eq__(self, other: object) -> bool:
        """Whether maps and spacing are the same, however they were compressed."""
        if not isinstance(other, LabelMaps):
            return NotImplemented
        if (self.shapes, self.spacing) != (other.shapes, other.spacing):
            return False
        pairs = enumerate(zip(self.packed, other.packed, strict=True))
        return all(
            one == another or np.array_equal(self[row], other[row]) for row, (one, another) in pairs
        )

    def __hash__(self) -> int:
        return hash((self.shapes, self.spacing))

    def __len__(self) -> int:
        return len(self.shapes)

    @overload
    def __getitem__(self, number: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, number: slice) -> list[np.ndarray]: ...

    def __getitem__(self, number: int | slice) -> np.ndarray | list[np.ndarray]:
        if isinstance(number, slice):
            return [self[one] for one in range(*number.indices(len(self)))]
        shape = self.shapes[number]
        # No more is unpacked than the shape says.
        values = zlib.decompressobj().decompress(self.packed[number], int(np.prod(shape)) + 1)
        return np.frombuffer(values, np.uint8).reshape(shape)

    def spacing_of(self, number: int) -> tuple[float, ...] | None:
        """Return the spacing of a map; None where it is unknown."""
        return self.spacing[number] if self.spacing else None

    def affine_of(self, number: int) -> np.ndarray | None:
        """Return the (4, 4) matrix from voxels of a map to mm; None where it is unknown."""
        return np.reshape(self.affine[number], (4, 4)) if self.affine else None

    def only(self, rows: np.ndarray) -> LabelMaps:
        """Return those of some samples: ``rows`` are positions."""
        return LabelMaps(
            tuple(self.shapes[row] for row in rows),
            tuple(self.packed[row] for row in rows),
            tuple(self.spacing[row] for row in rows) if self.spacing else (),
            tuple(self.affine[row] for row in rows) if self.affine else (),
        )

    def write(self, group: h5py.Group) -> None:
        """Write each map as a dataset named after its row."""
        for row, (shape, packed) in enumerate(zip(self.shapes, self.packed, strict=True)):
            made = group.create_dataset(str(row), shape, "u1", chunks=shape, compression=LEVEL)
            made.id.write_direct_chunk((0,) * len(shape), packed)
            if self.spacing:
                made.attrs["spacing"] = self.spacing[row]
            if self.affine:
                made.attrs["affine"] = self.affine_of(row)

    @classmethod
    def read(cls, group: Content) -> LabelMaps:
        """Return the maps that :meth:`write` wrote."""
        found = [group[str(row)] for row in range(len(group))]
        datasets = [one.dataset for one in found]
        packed = [one.id.read_direct_chunk((0,) * one.ndim)[1] for one in datasets]
        shapes = tuple(one.shape for one in datasets)
        return cls(
            shapes, tuple(map(bytes, packed)), _told(found, "spacing"), _told(found, "affine")
        )


def _rows(values: np.ndarray | None) -> tuple[tuple[float, ...], ...]:
    return () if values is None else tuple(tuple(row.ravel().tolist()) for row in values)


def _told(maps: Sequence[Array], name: str) -> tuple[tuple[float, ...], ...]:
    """Return an attribute of all maps; empty if one has none."""
    found = [one.attrs[name] for one in maps if name in one.attrs]
    return tuple(tuple(row.ravel().tolist()) for row in found) if len(found) == len(maps) else ()
