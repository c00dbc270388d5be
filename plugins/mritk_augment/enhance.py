"""Pillow's enhancers: each image is mixed with a poorer version of itself, (N, C, H, W) in [0, 1].

A factor of 0 gives the poorer version, 1 the image, more than 1 overstates the difference. Factors
are (N,) on any device.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from mritk_augment.draws import per_image

# ITU-R BT.601 luma, rounded as torchvision rounds it.
LUMA = (0.2989, 0.587, 0.114)


def brightness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Mix with black."""
    return (images * per_image(factor, images)).clamp_(0, 1)


def color(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Mix with the grey version; images of one channel stay as they are."""
    return images if images.shape[1] == 1 else mix(grey(images), images, factor)


def contrast(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Mix with the mean grey value."""
    return mix(grey(images).mean(dim=(1, 2, 3), keepdim=True), images, factor)


def sharpness(images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Mix with a smoothed version (3 × 3, centre 5/13, others 1/13); the border stays."""
    if min(images.shape[-2:]) < 3:
        return images
    inner = images[..., 1:-1, 1:-1]
    # Nine pixels of the same weight, and four more of the centre.
    smooth = (9 * functional.avg_pool2d(images, 3, stride=1) + 4 * inner) / 13
    sharpened = images.clone()
    sharpened[..., 1:-1, 1:-1] = mix(smooth, inner, factor)
    return sharpened


def mix(poorer: torch.Tensor, images: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Return poorer + factor · (images - poorer), cut at black and white."""
    return torch.lerp(poorer.expand_as(images), images, per_image(factor, images)).clamp_(0, 1)


def grey(images: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, H, W) luma; images of one channel are their own."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(dim=1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue).unsqueeze(1)
