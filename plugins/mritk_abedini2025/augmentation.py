"""The study's augmentation, as Keras' ``ImageDataGenerator`` makes it."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

ROTATION, SHEAR = math.radians(5.0), math.radians(0.05)  # Keras takes both in degrees
SHIFT, ZOOM, BRIGHTNESS = 0.05, 0.05, 0.1
CONTRAST = 1.5


def moved(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Rotate, shift, shear and zoom in one bilinear resampling, then scale brightness.

    Rotation ±5°, shifts ±5 % of the side, shear ±0.05°, zoom of each axis 0.95 to 1.05, brightness
    times 0.9 to 1.1; black outside. (N, C, H, W) in [0, 1] stays so.
    """
    matrices = _matrices(images, generator)
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    seen = functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)
    brightness = 1 + _uniform(images, generator, BRIGHTNESS)
    return (seen * brightness.reshape(-1, 1, 1, 1)).clamp(0, 1)


def moved_with_contrast(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The same, then 1.5 times the distance to each channel's mean, for every image alike.

    This is ``tf.image.adjust_contrast(x, 1.5)`` on floats, which are not clipped: pixels below a
    third of the mean come out negative, bright ones above 1.
    """
    seen = moved(images, generator)
    mean = seen.mean(dim=(2, 3), keepdim=True)
    return mean + CONTRAST * (seen - mean)


def _matrices(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return (N, 2, 3) matrices from output to input positions, in shares of half a side."""
    angle, shear = (_uniform(images, generator, half) for half in (ROTATION, SHEAR))
    zoom_x, zoom_y = (1 + _uniform(images, generator, ZOOM) for _ in range(2))
    shift_x, shift_y = (2 * _uniform(images, generator, SHIFT) for _ in range(2))
    cos, sin = angle.cos(), angle.sin()
    turned, leaning = (angle + shear).sin(), (angle + shear).cos()
    rows = [
        torch.stack([cos * zoom_x, -turned * zoom_y, shift_x], dim=1),
        torch.stack([sin * zoom_x, leaning * zoom_y, shift_y], dim=1),
    ]
    matrices = torch.stack(rows, dim=1)
    height, width = images.shape[-2:]
    matrices[:, 0, 1] *= height / width  # a rotation of oblong images must not shear them
    matrices[:, 1, 0] *= width / height
    return matrices


def _uniform(images: torch.Tensor, generator: torch.Generator, half: float) -> torch.Tensor:
    """Return (N,) draws from [-half, half], on the device of the images."""
    return ((2 * torch.rand(len(images), generator=generator) - 1) * half).to(
        images, non_blocking=True
    )
