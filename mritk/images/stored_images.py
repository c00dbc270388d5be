"""Images of one part that stay on disk because they are more than the memory at hand."""

from __future__ import annotations

from typing import Any

import numpy as np


def images_at(images: np.ndarray | StoredImages, rows: np.ndarray) -> np.ndarray:
    """Return some images of a part, (k, …), as an array of their own.

    Args:
        images: What :meth:`mritk.Subset.images` or ``masks`` returned.
        rows: Integers (k,), each from 0 to n - 1.
    """
    return images[rows] if isinstance(images, np.ndarray) else images.take(rows)


class StoredImages:
    """Some rows of an array on disk, read when they are asked for.

    It has the shape of a NumPy array and is none: nothing is read until :meth:`take`. Only the
    rows of this part can be taken. ``numpy.asarray`` reads them all, if they fit after all.
    """

    def __init__(self, whole: np.ndarray, rows: np.ndarray) -> None:
        """Show ``rows`` (n,) of ``whole`` (N, …), a memory map."""
        self._whole, self._rows = np.asarray(whole), rows

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that the array would have, (n, …)."""
        return (len(self._rows), *self._whole.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        """uint8, float16 or float32."""
        return self._whole.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._whole.ndim

    @property
    def nbytes(self) -> int:
        """The bytes that the array would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Read the images at ``rows`` of this part.

        Args:
            rows: Integers (k,), each from 0 to n - 1.
            out: Written to and returned if given: (k, …), of the same dtype.

        Returns:
            (k, …), an array of its own.

        Raises:
            IndexError: A row is outside this part.
        """
        chosen = np.asarray(rows, dtype=np.int64)
        if chosen.size and (chosen.min() < 0 or chosen.max() >= len(self)):
            raise IndexError(f"rows {chosen.min()} to {chosen.max()} of {len(self)} images")
        # "raise" would fill a copy of ``out`` first; the rows have been checked.
        return np.take(self._whole, self._rows[chosen], axis=0, out=out, mode="clip")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("images on disk cannot be viewed as an array without reading them")
        return self.take(np.arange(len(self))).astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"<images {self.shape} {self.dtype} on disk>"
