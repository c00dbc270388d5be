"""Files of weights without their weight."""

from __future__ import annotations

from collections.abc import Mapping

import torch


def outlines(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors of the same names and shapes, of one number each, so that their file is small."""
    return {
        name: torch.zeros((), dtype=t.dtype, device="cpu").expand(t.shape)
        for name, t in tensors.items()
    }
