"""Small networks with ReLUs, for images and for volumes, and inputs for them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

SIDE, CLASSES = 12, 3


def convolutional(dims, *, in_place=False, seed=0):
    """Return two blocks of convolution and ReLU, pooling and a linear layer, not trained."""
    layer, pool = ((nn.Conv2d, nn.AdaptiveAvgPool2d), (nn.Conv3d, nn.AdaptiveAvgPool3d))[dims - 2]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            layer(1, 6, 3),
            nn.ReLU(in_place),
            layer(6, 8, 3, stride=2),
            nn.ReLU(in_place),
            pool(1),
            nn.Flatten(),
            nn.Linear(8, CLASSES),
        ).eval()


def inputs(dims, count=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn((count, 1, *[SIDE] * dims), generator=generator)


@pytest.fixture(params=[2, 3], ids=["images", "volumes"])
def dims(request):
    return request.param
