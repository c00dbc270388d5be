"""Draw per-image parameters, always on the CPU: a batch is augmented alike on every device."""

from __future__ import annotations

import torch


def uniform(images: torch.Tensor, generator: torch.Generator, half_width: float) -> torch.Tensor:
    """Return one value per image, uniform in [-half_width, half_width).

    They have the images' device and dtype.
    """
    values = torch.rand(len(images), generator=generator, dtype=torch.float32)
    return ((2 * values - 1) * half_width).to(images, non_blocking=True)


def between(count: int, generator: torch.Generator, low: float, high: float) -> torch.Tensor:
    """Return ``count`` float32 values on the CPU, uniform in [low, high)."""
    return low + (high - low) * torch.rand(count, generator=generator, dtype=torch.float32)


def one_of(count: int, generator: torch.Generator, choices: int) -> torch.Tensor:
    """Return ``count`` int64 values on the CPU, each of 0 … choices - 1 equally likely."""
    return torch.randint(choices, (count,), generator=generator)


def per_image(values: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return (N,) values on the images' device and in their dtype, of shape (N, 1, 1, …)."""
    shape = (-1, *[1] * (images.ndim - 1))
    return values.to(images, non_blocking=True).reshape(shape)
