"""Choose frames of a series of volumes, such as functional MRI, by a stated rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mritk import DataError
from mritk_folders.nifti import read_frames, read_length


def frame_rows(length: int, count: int) -> list[int]:
    """Return ``count`` different frames of ``range(length)``, ascending.

    The series is divided into ``count`` equal spans; the frame in which the middle of each lies is
    taken: ``(2k + 1) · length // (2 · count)``.

    Raises:
        DataError: There are not so many.
    """
    if count > length:
        raise DataError(f"has {frames(length)}, fewer than frames={count}; use frames={length}")
    return [(2 * k + 1) * length // (2 * count) for k in range(count)]


def read_evenly(path: Path, count: int) -> list[tuple[np.ndarray, float] | DataError]:
    """Return ``count`` frames of a file, see :func:`frame_rows`, with the holes of each.

    In place of one that cannot be used stands the error that tells so.

    Raises:
        DataError: There are not so many, or see :func:`mritk_folders.nifti.read_frames`.
    """
    return read_frames(path, frame_rows(read_length(path), count))


def refuse_short_series(folder: Path, names: Sequence[str], count: int) -> None:
    """Refuse files of fewer frames, by their headers. What cannot be read is reported when it is.

    Args:
        folder: Where the files are.
        names: Paths of NIfTI files, relative to ``folder``; one of three axes is of one frame.
        count: Frames of each that are wanted.

    Raises:
        DataError: A file has fewer.
    """
    lengths = {}
    for name in names:
        try:
            lengths[name] = read_length(folder / name)
        except DataError:
            continue
    short = [name for name, length in lengths.items() if length < count]
    if short:
        least = min(short, key=lambda name: lengths[name])
        found = lengths[least]
        told = f"with {found}; use frames={found}" if found > 1 else "of three axes; remove frames"
        raise DataError(
            f"{len(short)} of {len(names)} files in {folder} have fewer than {frames(count)}, such "
            f"as {least} {told}, or leave them out"
        )


def frames(count: int) -> str:
    """Return a number of frames in words."""
    return f"{count} frame{'' if count == 1 else 's'}"
