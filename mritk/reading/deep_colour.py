"""Colour images of 16 bits per channel, which Pillow cuts to their upper byte.

Pillow unpacks such a pixel by taking the upper byte of each channel, for either byte order. So an
image decoded a second time, as if of the other byte order, gives the lower bytes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from PIL.ImageFile import ImageFile

from mritk.errors import DataError

# The ends of Pillow's names for layouts of 16 bits, each with that of the other byte order.
SWAPPED = {
    ";16B": ";16L",
    ";16L": ";16B",
    ";16N": ";16B" if sys.byteorder == "little" else ";16L",
}

# Grey with transparency of 16 bits each fills as many bytes as four channels of 8 bits.
GREY_AND_ALPHA, FOUR_BYTES = "LA;16B", "RGBA"

COLOURS = ("RGB;16", "RGBA;16", "RGBX;16")

BITS_PER_SAMPLE = 258


def is_deep_colour(image: ImageFile) -> bool:
    """Return whether several channels of more than 8 bits were stored; ``image`` is not loaded."""
    if image.mode not in ("RGB", "RGBA", "CMYK") or not image.tile:
        return False
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (8,))
    return max(bits) > 8 or ";16" in _layout(image)


def read_deep_colour(image: ImageFile, open_again: Callable[[], ImageFile]) -> np.ndarray:
    """Return the channels as stored, uint16 (H, W) if grey, else (H, W, 3), without transparency.

    Args:
        image: The opened file; is loaded.
        open_again: Opens the same file another time.

    Raises:
        DataError: The layout is one of those that Pillow does not keep whole.
    """
    layout = _layout(image)
    if layout == GREY_AND_ALPHA:
        four = _decoded(image, FOUR_BYTES)
        return four[..., 0] << 8 | four[..., 1]
    if not layout.startswith(COLOURS) or layout[-4:] not in SWAPPED:
        raise DataError(
            f"16 bits per channel in layout {layout}, of which only 8 can be read; save it as a "
            "16-bit grey or RGB PNG"
        )
    upper = _decoded(image, layout)
    lower = _decoded(open_again(), layout[:-4] + SWAPPED[layout[-4:]])
    return upper[..., :3] << 8 | lower[..., :3]


def _layout(image: ImageFile) -> str:
    arguments = image.tile[0].args
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _decoded(image: ImageFile, layout: str) -> np.ndarray:
    """Return the bytes that Pillow takes for this layout, as uint16."""
    image.tile = [
        tile._replace(args=(layout, *tile.args[1:]) if isinstance(tile.args, tuple) else layout)
        for tile in image.tile
    ]
    image.load()
    return np.asarray(image).astype(np.uint16)
