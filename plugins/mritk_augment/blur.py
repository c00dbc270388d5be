"""Blur: the scan of a scanner with a wider point spread."""

from __future__ import annotations

import torch
from torch.nn import functional

from mritk_augment.affine import VOLUMES
from mritk_augment.draws import between
from mritk_augment.precision import at_least_single

# Kernels reach this many of the largest standard deviations to each side.
REACH = 4


def blur(
    images: torch.Tensor, generator: torch.Generator, *, sigma: tuple[float, float] = (0.1, 1.0)
) -> torch.Tensor:
    """Convolve (N, C, *spatial) images in [0, 1] with a Gaussian of ``sigma`` pixels or voxels."""
    sigmas = between(len(images), generator, *sigma)
    found = blurred(at_least_single(images), sigmas, round(REACH * sigma[1]))
    return found.clamp_(0, 1).to(images.dtype)


def blurred(images: torch.Tensor, sigmas: torch.Tensor, radius: int) -> torch.Tensor:
    """Return images, each convolved along every axis with its own kernel; edges are repeated.

    Args:
        images: (N, C, *spatial) floats.
        sigmas: (N,) standard deviations, above 0.
        radius: Of the kernels.
    """
    count, channels = images.shape[:2]
    offsets = torch.arange(-radius, radius + 1)
    weights = (-(offsets**2) / (2 * sigmas.unsqueeze(1) ** 2)).softmax(dim=1)
    kernels = weights.to(images, non_blocking=True).repeat_interleave(channels, dim=0)
    convolve = functional.conv3d if images.ndim == VOLUMES else functional.conv2d
    found = images.reshape(1, count * channels, *images.shape[2:])  # a kernel for each channel
    rank = images.ndim - 2
    for axis in range(rank):
        padding = [0] * (2 * rank)
        padding[2 * (rank - 1 - axis)] = padding[2 * (rank - 1 - axis) + 1] = radius
        shape = [1] * rank
        shape[axis] = 2 * radius + 1
        padded = functional.pad(found, padding, mode="replicate")
        kernel = kernels.reshape(count * channels, 1, *shape)
        found = convolve(padded, kernel, groups=count * channels)
    return found.reshape(images.shape)
