"""What depends on whether samples are images, volumes, or data without a grid."""

from __future__ import annotations

from typing import TypeVar

IMAGE, VOLUME = 2, 3
T = TypeVar("T")


def has_grid(spatial_dims: int | None) -> bool:
    """Whether samples have pixels or voxels, which can be decoded, resized and audited."""
    return spatial_dims in (IMAGE, VOLUME)


def is_volume(spatial_dims: int | None) -> bool:
    """Whether samples are volumes."""
    return spatial_dims == VOLUME


def of_rank(spatial_dims: int | None, image: T, volume: T) -> T:
    """Return what is meant for images; for anything else, what is meant for volumes."""
    return image if spatial_dims == IMAGE else volume
