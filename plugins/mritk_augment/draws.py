"""Draw per-image parameters."""

from __future__ import annotations

import torch


def uniform(images: torch.Tensor, generator: torch.Generator, half_width: float) -> torch.Tensor:
    """Return one value per image, uniform in [-half_width, half_width).

    They have the images' device and dtype.

    The draw is made on the CPU, where ``generator`` lives, so that a batch is augmented in the
    same way on every device.
    """
    values = torch.rand(len(images), generator=generator, dtype=torch.float32)
    return ((2 * values - 1) * half_width).to(images, non_blocking=True)
