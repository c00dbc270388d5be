"""Label maps of a part, compressed as in the file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import h5py
import numpy as np

LEVEL = 4  # larger levels take longer and save little on label maps


@dataclass(frozen=True)
class LabelMaps(Sequence[np.ndarray]):
    """N label maps, uint8, each of its own shape; unpacked one by one.

    Attributes:
        shapes: Their shapes.
        packed: Their bytes in C order, by zlib.
        spacing: Distance of voxels in mm along each axis, for each map; empty: unknown.
    """

    shapes: tuple[tuple[int, ...], ...]
    packed: tuple[bytes, ...]
    spacing: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(cls, maps: Iterable[np.ndarray], spacing: np.ndarray | None = None) -> LabelMaps:
        """Pack label maps.

        Args:
            maps: N label maps of values 0 to 255.
            spacing: (N, dimensions) distance of voxels in mm; None: unknown.
        """
        shapes, packed = [], []
        for one in maps:
            values = np.ascontiguousarray(one, dtype=np.uint8)
            shapes.append(values.shape)
            packed.append(zlib.compress(values.tobytes(), LEVEL))
        known = () if spacing is None else tuple(tuple(row) for row in spacing.tolist())
        return cls(tuple(shapes), tuple(packed), known)

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

    def only(self, rows: np.ndarray) -> LabelMaps:
        """Return those of some samples: ``rows`` are positions."""
        return LabelMaps(
            tuple(self.shapes[row] for row in rows),
            tuple(self.packed[row] for row in rows),
            tuple(self.spacing[row] for row in rows) if self.spacing else (),
        )

    def write(self, group: h5py.Group) -> None:
        """Write each map as a dataset named after its row."""
        for row, (shape, packed) in enumerate(zip(self.shapes, self.packed, strict=True)):
            made = group.create_dataset(str(row), shape, "u1", chunks=shape, compression=LEVEL)
            made.id.write_direct_chunk((0,) * len(shape), packed)
            if self.spacing:
                made.attrs["spacing"] = self.spacing[row]

    @classmethod
    def read(cls, group: h5py.Group) -> LabelMaps:
        """Return the maps that :meth:`write` wrote."""
        found = [group[str(row)] for row in range(len(group))]
        packed = [one.id.read_direct_chunk((0,) * one.ndim)[1] for one in found]
        spacing = [one.attrs["spacing"].tolist() for one in found if "spacing" in one.attrs]
        known = tuple(map(tuple, spacing)) if len(spacing) == len(found) else ()
        return cls(tuple(one.shape for one in found), tuple(map(bytes, packed)), known)
