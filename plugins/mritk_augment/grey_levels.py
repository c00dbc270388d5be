"""Operations on the histogram of 256 grey levels, as in Pillow: one function each for a batch.

Images are (N, C, H, W) float in [0, 1], parameters (N,) on any device.
"""

from __future__ import annotations

import torch

from mritk_augment.draws import per_image


def posterize(images: torch.Tensor, bits: torch.Tensor) -> torch.Tensor:
    """Keep the highest ``bits`` of the 8 bits of each pixel."""
    step = per_image(2 ** (8 - bits.long()), images)  # exact, as powers of floats need not be
    levels = (images * 255).round_()
    return levels.div_(step).floor_().mul_(step).div_(255)


def solarize(images: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Invert the pixels that are not below the threshold, in [0, 1]."""
    return torch.where(images >= per_image(threshold, images), 1 - images, images)


def autocontrast(images: torch.Tensor) -> torch.Tensor:
    """Stretch each channel to the full range; a channel of one value stays as it is."""
    darkest = images.amin(dim=(2, 3), keepdim=True)
    width = images.amax(dim=(2, 3), keepdim=True) - darkest
    stretched = (images - darkest) / torch.where(width > 0, width, 1)
    return torch.where(width > 0, stretched, images).clamp_(0, 1)


def equalize(images: torch.Tensor) -> torch.Tensor:
    """Give each channel a flat histogram, by Pillow's rule; one of few values may stay as it is.

    Counting is done in integers, so the result is the same on every device.
    """
    levels = (images * 255).round_().long().flatten(2).flatten(0, 1)
    channels = torch.arange(len(levels), device=levels.device).unsqueeze(1)
    places = (levels + 256 * channels).flatten()
    counts = levels.new_zeros(256 * len(levels))
    counts = counts.scatter_add_(0, places, torch.ones_like(places)).reshape(-1, 256)
    # A step of the new scale is 1/255 of the pixels below the brightest level.
    brightest = counts.gather(1, levels.amax(dim=1, keepdim=True))
    step = (levels.shape[1] - brightest) // 255
    darker = counts.cumsum(1) - counts
    table = ((darker + step // 2) // step.clamp_min(1)).clamp_(0, 255)
    equalized = table.flatten()[places].reshape(images.shape).to(images.dtype).div_(255)
    return torch.where((step > 0).reshape(*images.shape[:2], 1, 1), equalized, images)
