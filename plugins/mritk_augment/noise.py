"""Normal noise computed where the images are, the same on every device."""

from __future__ import annotations

import math

import torch


def complex_normal(
    keys: torch.Tensor, shape: torch.Size, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return radius and angle of complex normal noise, two fields of shape (N, 1, *shape).

    Real and imaginary part are independent with a standard deviation of 1 (Box & Muller 1958).

    Drawing each pixel on the CPU would take longer than a training step on a GPU. So the CPU
    draws one key per image, and each pixel's number is hashed with it in integer arithmetic, which
    is exact on every device (a counter-based generator, as in Salmon et al. 2011). The 32 bits of
    a hash give radius and angle, 16 each; the radius stays below 4.9.

    Args:
        keys: (N,) int64 in [0, 2³²), on the CPU.
        shape: Spatial shape.
        like: A tensor of the device and dtype of the result.
    """
    pixels = torch.arange(shape.numel(), device=like.device)
    keyed = mix(pixels) ^ mix(keys).to(like.device, non_blocking=True)[:, None]
    bits = mix(keyed).reshape(-1, 1, *shape)
    # Halves keep the logarithm finite.
    radius = (bits >> 16).to(like.dtype).add_(0.5).div_(2**16).log_().mul_(-2).sqrt_()
    return radius, (bits & 0xFFFF).to(like.dtype).mul_(2 * math.pi / 2**16)


def mix(numbers: torch.Tensor) -> torch.Tensor:
    """Map 32-bit numbers, held as int64, to 32-bit numbers, one to one and without pattern.

    Two rounds of multiplying and folding high bits into low ones. The multipliers are odd, so that
    no two numbers meet, and below 2³¹, so that products stay within 63 bits.
    """
    mixed = numbers ^ (numbers >> 16)
    mixed.mul_(0x21F0AAAD).bitwise_and_(0xFFFFFFFF)
    mixed ^= mixed >> 15
    mixed.mul_(0x735A2D97).bitwise_and_(0xFFFFFFFF)
    mixed ^= mixed >> 15
    return mixed
