"""Compute in single precision or better."""

from __future__ import annotations

import torch


def at_least_single(images: torch.Tensor) -> torch.Tensor:
    """Return half-precision images as float32, others as they are.

    Spectra, histograms and pixel positions need more than the 8 or 11 bits of a half.
    """
    return images.to(torch.promote_types(images.dtype, torch.float32))
