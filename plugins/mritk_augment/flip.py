"""Mirror images left to right."""

from __future__ import annotations

import torch


def flip(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Mirror each image of (N, C, *spatial) along its last axis with probability one half."""
    chosen = torch.rand(len(images), generator=generator) < 0.5
    mask = chosen.to(images.device, non_blocking=True).reshape(-1, *[1] * (images.ndim - 1))
    return torch.where(mask, images.flip(-1), images)
