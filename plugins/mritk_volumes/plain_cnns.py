"""``sfcn``, ``tiny_vgg`` and ``mrinet3d``: plain stacks of convolutions for volumes."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

SFCN_WIDTHS = (32, 64, 128, 256, 256)
VGG_WIDTHS = (8, 16, 32, 64, 128)
MRINET_WIDTHS = (32, 64, 128)
# What 58 × 70 × 58 voxels, the published size, come to behind the three blocks of ``mrinet3d``.
MRINET_MAP = (5, 7, 5)


def build_sfcn() -> nn.Module:
    """Return SFCN (Peng et al. 2021): (N, 1, D, H, W) becomes features (N, 64).

    Five blocks of convolution, BatchNorm, pooling and ReLU, and a convolution of 1 × 1 × 1; global
    average pooling. 2,950,336 trainable values. The dropout of the published network is that of
    the head here: ``head.dropout`` in a protocol.
    """
    blocks = [
        nn.Sequential(
            nn.Conv3d(before, width, 3, padding=1),
            nn.BatchNorm3d(width),
            nn.MaxPool3d(2),
            nn.ReLU(),
        )
        for before, width in pairwise((1, *SFCN_WIDTHS))
    ]
    last = nn.Sequential(nn.Conv3d(SFCN_WIDTHS[-1], 64, 1), nn.BatchNorm3d(64), nn.ReLU())
    return nn.Sequential(*blocks, last, nn.AdaptiveAvgPool3d(1), nn.Flatten())


def build_tiny_vgg() -> nn.Module:
    """Return tiny-VGG (Dufumier et al. 2021): (N, 1, D, H, W) becomes features (N, 128).

    Five blocks of two convolutions, BatchNorm, ReLU and pooling. 884,216 trainable values. The
    published network flattens the last map, so that its size depends on that of the volumes; here
    it is pooled.
    """
    blocks = [
        nn.Sequential(
            nn.Conv3d(before, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv3d(width, width, 3, padding=1),
            nn.BatchNorm3d(width),
            nn.ReLU(),
            nn.MaxPool3d(2),
        )
        for before, width in pairwise((1, *VGG_WIDTHS))
    ]
    network = nn.Sequential(*blocks, nn.AdaptiveAvgPool3d(1), nn.Flatten())
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.bias is not None:
            nn.init.xavier_normal_(module.weight)
            nn.init.zeros_(module.bias)
    return network


def build_mrinet3d() -> nn.Module:
    """Return the network of Kan et al. 2020: (N, 1, D, H, W) becomes features (N, 22400).

    Three blocks of convolution without padding, BatchNorm, ReLU and pooling. 278,016 trainable
    values. Their maps are flattened; volumes of other than 58 × 70 × 58 voxels are pooled to the
    same map of 5 × 7 × 5 before.
    """
    blocks = [
        nn.Sequential(
            nn.Conv3d(before, width, 3), nn.BatchNorm3d(width), nn.ReLU(), nn.MaxPool3d(2)
        )
        for before, width in pairwise((1, *MRINET_WIDTHS))
    ]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool3d(MRINET_MAP), nn.Flatten())
