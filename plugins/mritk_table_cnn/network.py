"""Build the network that a layer table describes."""

from __future__ import annotations

from torch import nn

from mritk_table_cnn.layer_table import LayerTable
from mritk_table_cnn.layers import AveragePool, Conv, Dense, Dropout, Layer

CHANNELS = 3  # of the input: grey images are repeated, so that one table serves all data


def build(table: LayerTable) -> nn.Module:
    """Return a freshly initialised network: (N, 3, H, W) becomes features (N, D).

    D is the width of the last dense layer; without one, the channels of the last convolution.
    Global average pooling stands before the first dense layer, or at the end.
    """
    layers, width, pooled = [], CHANNELS, False
    for layer in table.layers:
        if isinstance(layer, Dense) and not pooled:
            layers.append(_global_pool())
            pooled = True
        layers.append(_module(layer, width, pooled=pooled))
        width = getattr(layer, "channels", getattr(layer, "width", width))
    return nn.Sequential(*layers) if pooled else nn.Sequential(*layers, _global_pool())


def _module(layer: Layer, width: int, *, pooled: bool) -> nn.Module:
    if isinstance(layer, Conv):
        return _convolution(layer, width)
    if isinstance(layer, Dense):
        return nn.Sequential(nn.Linear(width, layer.width), nn.ReLU(inplace=True))
    if isinstance(layer, Dropout):
        return nn.Dropout(layer.rate) if pooled else nn.Dropout2d(layer.rate)
    kind = nn.AvgPool2d if isinstance(layer, AveragePool) else nn.MaxPool2d
    return kind(layer.size, layer.stride or layer.size)


def _convolution(layer: Conv, width: int) -> nn.Module:
    convolution = nn.Conv2d(
        *(width, layer.channels, layer.kernel, layer.stride),
        padding=layer.kernel // 2 if layer.padded else 0,
        # BatchNorm brings the bias.
        bias=not layer.batch_norm,
    )
    norm = [nn.BatchNorm2d(layer.channels)] if layer.batch_norm else []
    return nn.Sequential(convolution, *norm, nn.ReLU(inplace=True))


def _global_pool() -> nn.Module:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
