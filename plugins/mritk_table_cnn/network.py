"""The network of a layer table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from mritk_table_cnn.layer_table import LayerTable


def build(table: LayerTable) -> nn.Module:
    """Return a freshly initialised network: (N, 3, H, W) becomes features (N, D).

    D is the width of the last dense layer, else the channels of the last convolution.
    Convolutions are padded so that stride 1 keeps the size.
    """
    from torch import nn

    layers: list[nn.Module] = []
    width, pooled = 3, False
    for layer in table.layers:
        value = layer.values[0]
        if layer.kind == "conv":
            kernel, stride = int(layer.values[1]), int((*layer.values, 1, 1)[2])
            layers += [
                # BatchNorm brings the bias.
                nn.Conv2d(width, int(value), kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(int(value)),
                nn.ReLU(inplace=True),
            ]
            width = int(value)
        elif layer.kind == "dense":
            layers += [] if pooled else [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
            layers += [nn.Linear(width, int(value)), nn.ReLU(inplace=True)]
            width, pooled = int(value), True
        elif layer.kind == "dropout":
            layers.append(nn.Dropout(value))
        else:
            pool = nn.MaxPool2d if layer.kind == "max_pool" else nn.AvgPool2d
            layers.append(pool(int(value)))
    layers += [] if pooled else [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers)
