"""``small_cnn``, ``small_cnn3d`` and ``linear_pixels``: humble baselines without pretraining.

``small_cnn`` has four blocks of convolution, BatchNorm, ReLU and pooling with 32, 64, 128 and 256
channels, then global average pooling: 388,896 trainable values and features of shape (N, 256). It
takes images of any size from 32 px. ``small_cnn3d`` takes volumes, see
:mod:`mritk_small_cnn.volumes`. ``linear_pixels`` is no network at all, see
:mod:`mritk_small_cnn.linear_pixels`. The plugin is also the shortest example of a backbone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mritk import Architecture, InputContract, hookimpl, lazy

if TYPE_CHECKING:
    from torch import nn

WIDTHS = (32, 64, 128, 256)


@hookimpl
def mritk_backbones() -> Iterator[Architecture]:
    """Yield ``small_cnn`` and ``linear_pixels`` for images, ``small_cnn3d`` for volumes."""
    yield Architecture(
        "small_cnn",
        build,
        InputContract(None, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        summary="4 convolutional blocks, 256 features, no pretrained weights",
    )
    yield Architecture(
        "linear_pixels",
        lazy("mritk_small_cnn.linear_pixels:build"),
        InputContract(None, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), minimum=1),
        summary="32 × 32 grey pixels for a linear head: logistic regression as a baseline",
    )
    yield Architecture(
        "small_cnn3d",
        lazy("mritk_small_cnn.volumes:build"),
        InputContract(48, (0.25,), (0.25,), minimum=16),
        lazy("mritk_small_cnn.volumes:stages"),
        spatial_dims=3,
        summary="residual network for volumes of any size, 128 features, no pretrained weights",
    )


def build() -> nn.Module:
    """Return a freshly initialised network: (N, 3, H, W) becomes features (N, 256)."""
    from torch import nn

    blocks = [_block(before, width) for before, width in zip((3, *WIDTHS), WIDTHS, strict=False)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _block(before: int, width: int) -> nn.Module:
    from torch import nn

    return nn.Sequential(
        # BatchNorm brings the bias.
        nn.Conv2d(before, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
    )
