"""Which files are images, by their names."""

from __future__ import annotations

# What Pillow reads of PNG, JPEG, BMP, TIFF, WebP and GIF files.
IMAGE_SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp"),
    *(".tif", ".tiff", ".webp", ".gif"),
)
