"""What decoded images will take on the disk, foreseen from what the audit saw of the samples."""

from __future__ import annotations

import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

from mritk.data.preprocessing import UNCHANGED, Preprocessing
from mritk.errors import StoreError

logger = logging.getLogger("mritk")

# From here on a person is told before anything is written.
LARGE = 1e8


def decoded_bytes(
    shapes: Sequence[tuple[int, ...]],
    modes: Sequence[str],
    size: int | None,
    preprocessing: Preprocessing = UNCHANGED,
) -> int:
    """Return the bytes of the array that :func:`mritk.data.decode.decoded` will write.

    Args:
        shapes: Per sample, its shape; ``()`` if it cannot be read.
        modes: Per sample, ``grey``, ``colour`` or ``volume`` with the dtype; empty likewise.
        size: Side in pixels or voxels; None: as they are.
        preprocessing: What is done to each after resizing.
    """
    readable = [(shape, mode) for shape, mode in zip(shapes, modes, strict=True) if mode]
    if not readable:
        return 0
    kinds = {mode.split()[0] for _, mode in readable}
    dims = 3 if "volume" in kinds else 2
    frame = (size,) * dims if size is not None else readable[0][0][:dims]
    channels = 3 if "colour" in kinds and not preprocessing.grey else 1
    item = 1 if all(mode.endswith(" uint8") for _, mode in readable) else 4
    return len(readable) * math.prod(frame) * channels * item


def require_room(needed: int, sides: Sequence[int | None], folder: Path) -> None:
    """Tell how much will be written, if that is a lot; refuse what does not fit.

    Args:
        needed: Bytes of decoded images.
        sides: Their sides, for the message.
        folder: Where they would be written.

    Raises:
        StoreError: There is not so much room.
    """
    free = shutil.disk_usage(folder).free
    what = f"{needed / 1e9:.1f} GB of decoded images ({_sides(sides)})"
    if needed > free:
        raise StoreError(
            f"not enough space for {what} in {folder} ({free / 1e9:.1f} GB free); choose a "
            "smaller image_size (or volume_size) in the protocol, free space, or set MRITK_HOME "
            "to another disk"
        )
    if needed > LARGE:
        logger.warning("%s will be written to %s (%.1f GB free)", what, folder, free / 1e9)


def _sides(sides: Sequence[int | None]) -> str:
    return ", ".join("as they are" if side is None else f"{side} px" for side in sides)
