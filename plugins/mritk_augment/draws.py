"""Draw per-image parameters, always on the CPU: a batch is augmented alike on every device."""

from __future__ import annotations

from functools import lru_cache

import torch


def uniforms(
    images: torch.Tensor, generator: torch.Generator, *half_widths: float
) -> tuple[torch.Tensor, ...]:
    """Return float32 values (N,) on the CPU for each half-width, uniform in ± it, one per image."""
    values = torch.rand(len(half_widths), len(images), generator=generator, dtype=torch.float32)
    return ((2 * values - 1) * _column(half_widths)).unbind()


@lru_cache(maxsize=32)
@torch.inference_mode(mode=False)  # made while evaluating, it could not be trained through
def _column(values: tuple[float, ...]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None]


def sent(images: torch.Tensor, *drawn: torch.Tensor) -> list[torch.Tensor]:
    """Return (N, …) tensors on the images' device and in their dtype, in one transfer.

    What is made of a few numbers per image is made before: on a GPU each operation is launched.
    """
    count = len(images)
    flat = torch.cat([tensor.reshape(count, -1) for tensor in drawn], dim=1)
    widths = [tensor.numel() // count for tensor in drawn]
    parts = flat.to(images, non_blocking=True).split(widths, dim=1)
    return [part.reshape(one.shape) for part, one in zip(parts, drawn, strict=True)]


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
