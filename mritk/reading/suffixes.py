"""Which files are images, by their names."""

from __future__ import annotations

# What Pillow reads of PNG, JPEG, BMP, TIFF, WebP and GIF files.
IMAGE_SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp"),
    *(".tif", ".tiff", ".webp", ".gif"),
)


def is_image_name(name: str) -> bool:
    """Return whether a file of this name is an image: by its suffix, in any case.

    >>> is_image_name("scan.JFIF"), is_image_name("scan.png.txt")
    (True, False)
    """
    return name.lower().endswith(IMAGE_SUFFIXES)
