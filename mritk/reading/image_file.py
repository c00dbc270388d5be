"""Read one image file: the reader that all plugins share."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from mritk.errors import DataError, one_line
from mritk.files.mistaken_file import stand_in
from mritk.files.regular_file import open_regular_file
from mritk.reading.deep_colour import is_deep_colour, read_deep_colour
from mritk.reading.grey_levels import grey_levels

# Pillow knows more, and hands some of them to other programs: PostScript goes to Ghostscript.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")

GREY_MODES = frozenset({"1", "L", "LA"})
DEEP_MODES = frozenset({"I", "F", "I;16", "I;16L", "I;16B", "I;16N"})

# How files of TIFF and BigTIFF begin.
TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Tags of TIFF, and what they say.
PHOTOMETRIC, SAMPLE_FORMAT, BITS_PER_SAMPLE = 262, 339, 258
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2

# What undoes each orientation of EXIF (tag 274), from (H, W) or (H, W, 3).
ORIENTATION = 0x0112
UPRIGHT = {
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.swapaxes(0, 1),
    6: lambda array: array[::-1].swapaxes(0, 1),
    7: lambda array: array[::-1, ::-1].swapaxes(0, 1),
    8: lambda array: array[:, ::-1].swapaxes(0, 1),
}


def read_image(source: Path | bytes) -> np.ndarray:
    """Return an image as uint8, (H, W) if its file is grey, else (H, W, 3).

    PNG, JPEG, TIFF, BMP, GIF and WebP are supported, regardless of the file name. 8-bit channels
    are returned as stored; images of more bits or floating point are converted like volumes, see
    :func:`mritk.grey_levels`, with one scale for all channels. EXIF orientation is
    applied. Palettes are expanded, CMYK and YCbCr are converted
    to RGB, black and white are 0 and 255. Transparency is dropped, not blended: hidden pixels
    are returned as stored.

    Args:
        source: A file, or the content of one.

    Raises:
        DataError: It is empty, truncated, not a supported image, a stack of several, not a regular
            file, too large, has channels that cannot be read completely, or contains NaN.
    """
    try:
        with open_regular_file(source) if isinstance(source, Path) else BytesIO(source) as stream:
            return _upright(stream)
    except (DataError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise DataError(_what_else(source)) from error
    except Exception as error:  # Pillow raises whatever a malformed file makes it trip over
        raise DataError(one_line(error)) from error


def refuse_truncated() -> None:
    """Let Pillow refuse them: a plugin may have allowed them, and what is missing would be grey."""
    ImageFile.LOAD_TRUNCATED_IMAGES = False


def _what_else(source: Path | bytes) -> str:
    if not (source.stat().st_size if isinstance(source, Path) else source):
        return "empty file"
    if isinstance(source, Path) and (other := stand_in(source)):
        return f"not an image: it {other}"
    if _start(source).startswith(TIFF):
        return (
            "a TIFF file whose kind of pixels cannot be read, such as floating point of 16 or "
            "64 bits or in colour, or 16-bit grey with transparency; save it without transparency, "
            "with 8 or 16 bits per channel, or in grey as 32-bit floating point"
        )
    return f"not an image in a supported format ({', '.join(FORMATS)})"


def _start(source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source[:4]
    with open_regular_file(source) as file:
        return file.read(4)


def _upright(stream: BinaryIO) -> np.ndarray:
    def open_image() -> ImageFile.ImageFile:
        refuse_truncated()
        stream.seek(0)
        return Image.open(stream, formats=FORMATS)

    with open_image() as image:
        _check(image)
        if is_deep_colour(image):
            pixels = _deep(read_deep_colour(image, open_image))
        else:
            image.load()
            pixels = _pixels(image)
        # Asked after loading, in which Pillow turns TIFF itself.
        orientation = image.getexif().get(ORIENTATION, 1)
    return np.ascontiguousarray(UPRIGHT.get(orientation, lambda array: array)(pixels))


def _check(image: ImageFile.ImageFile) -> None:
    """Refuse what need not be decoded."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        raise DataError(f"{frames} images in one file; store them as separate files")
    pixels, limit = image.width * image.height, Image.MAX_IMAGE_PIXELS
    if limit is not None and pixels > limit:
        raise DataError(
            f"has {pixels} pixels; more than {limit} are refused as a decompression bomb"
        )


def _pixels(image: ImageFile.ImageFile) -> np.ndarray:
    values = _beyond_pillow(image)
    if values is not None:
        return _deep(values)
    mode = "L" if image.mode in GREY_MODES else "RGB"
    return np.asarray(image if image.mode == mode else image.convert(mode))


def _beyond_pillow(image: ImageFile.ImageFile) -> np.ndarray | None:
    """Return the values of a deep image as its file means them; None if it has 8 bits."""
    tags = getattr(image, "tag_v2", {})
    sample_format = tags.get(SAMPLE_FORMAT, (UNSIGNED,))[0]
    if image.mode == "L" and sample_format == SIGNED:
        return np.asarray(image).view(np.int8)
    if image.mode not in DEEP_MODES:
        return None
    values = np.asarray(image)
    if image.mode == "I" and tags.get(BITS_PER_SAMPLE) == (32,) and sample_format == UNSIGNED:
        return values.view(np.uint32)
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:  # Pillow inverts those of 8 bits only
        return values.max() - values
    return values


def _deep(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise DataError("contains NaN or infinite values")
    if values.ndim == 3 and (values == values[..., :1]).all():
        # Grey stored as colour is scaled as its grey twin is, to the last bit.
        return np.repeat(grey_levels(values[..., 0])[..., None], 3, axis=-1)
    return grey_levels(values)
