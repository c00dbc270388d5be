"""``tiny_densenet``: a DenseNet with three blocks of half the usual growth."""

from __future__ import annotations

import torch
from torch import nn

STEM, GROWTH, BLOCKS = 64, 16, (6, 12, 16)
# Channels of the 1 × 1 × 1 convolution within a layer, in multiples of the growth.
BOTTLENECK = 4


def build() -> nn.Module:
    """Return a freshly initialised network: (N, 1, D, H, W) becomes features (N, 392).

    DenseNet-BC (Huang et al. 2017) of blocks of 6, 12 and 16 layers with growth 16 behind 64
    channels (Dufumier et al. 2021): 1,462,480 trainable values. Convolutions start as in He et al.
    2015.
    """
    features = nn.Sequential()
    features.add_module("conv0", nn.Conv3d(1, STEM, 7, stride=2, padding=3, bias=False))
    features.add_module("norm0", nn.BatchNorm3d(STEM))
    features.add_module("relu0", nn.ReLU())
    features.add_module("pool0", nn.MaxPool3d(3, stride=2, padding=1))
    width = STEM
    for number, layers in enumerate(BLOCKS, 1):
        block = nn.Sequential()
        for layer in range(layers):
            block.add_module(f"denselayer{layer + 1}", DenseLayer(width + layer * GROWTH))
        features.add_module(f"denseblock{number}", block)
        width += layers * GROWTH
        if number < len(BLOCKS):
            features.add_module(f"transition{number}", _transition(width))
            width //= 2
    features.add_module("norm5", nn.BatchNorm3d(width))
    network = TinyDenseNet(features)
    for module in network.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight)
    return network


def stages(network: nn.Module) -> list[tuple[str, list[str]]]:
    """Return the stem and the three blocks, each with the names of its tensors.

    A transition belongs to the block before it.
    """
    found: dict[str, list[str]] = {}
    stage = "stem"
    for name in network.state_dict():
        part = name.split(".")[1]
        if part.startswith("denseblock"):
            stage = f"block {part.removeprefix('denseblock')}"
        found.setdefault(stage, []).append(name)
    return list(found.items())


class TinyDenseNet(nn.Module):
    """Dense blocks, then the mean of each channel."""

    def __init__(self, features: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.Sequential(nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, D, H, W) to (N, 392)."""
        return self.pool(self.features(x))


class DenseLayer(nn.Module):
    """Sixteen more channels, from all that are there."""

    def __init__(self, width: int) -> None:
        super().__init__()
        narrow = BOTTLENECK * GROWTH
        self.layers = nn.Sequential()
        self.layers.add_module("norm1", nn.BatchNorm3d(width))
        self.layers.add_module("relu1", nn.ReLU())
        self.layers.add_module("conv1", nn.Conv3d(width, narrow, 1, bias=False))
        self.layers.add_module("norm2", nn.BatchNorm3d(narrow))
        self.layers.add_module("relu2", nn.ReLU())
        self.layers.add_module("conv2", nn.Conv3d(narrow, GROWTH, 3, padding=1, bias=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, width, D, H, W) to (N, width + 16, D, H, W)."""
        return torch.cat([x, self.layers(x)], dim=1)


def _transition(width: int) -> nn.Sequential:
    """Halve channels and resolution."""
    step = nn.Sequential()
    step.add_module("norm", nn.BatchNorm3d(width))
    step.add_module("relu", nn.ReLU())
    step.add_module("conv", nn.Conv3d(width, width // 2, 1, bias=False))
    step.add_module("pool", nn.AvgPool3d(2))
    return step
