"""The rows of a layer table: what each kind of layer may say about itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

AT_LEAST_0 = {"least": 0}
AT_LEAST_1 = {"least": 1}
SHARE = {"least": 0, "below": 1}


@dataclass(frozen=True)
class Conv:
    """A convolution, and then a ReLU.

    Attributes:
        channels: Number of its output channels.
        kernel: Side of its kernel in pixels.
        stride: Pixels from one output to the next.
        padded: Zeros around the input, half the kernel wide (rounded down); false: none.
        batch_norm: BatchNorm between convolution and ReLU; the convolution then has no bias.
    """

    channels: int = field(metadata=AT_LEAST_1)
    kernel: int = field(default=3, metadata=AT_LEAST_1)
    stride: int = field(default=1, metadata=AT_LEAST_1)
    padded: bool = True
    batch_norm: bool = False


@dataclass(frozen=True)
class MaxPool:
    """The largest value of each window, without padding.

    Attributes:
        size: Side of the window in pixels.
        stride: Pixels from one window to the next; 0: ``size``.
    """

    size: int = field(default=2, metadata=AT_LEAST_1)
    stride: int = field(default=0, metadata=AT_LEAST_0)


@dataclass(frozen=True)
class AveragePool(MaxPool):
    """The mean of each window, without padding."""


@dataclass(frozen=True)
class Dropout:
    """Values set to zero in training: whole channels before the global pooling, features after.

    Attributes:
        rate: Share of them, from 0 to below 1.
    """

    rate: float = field(metadata=SHARE)


@dataclass(frozen=True)
class Dense:
    """A fully connected layer and a ReLU, on the globally pooled features.

    Attributes:
        width: Number of its outputs.
    """

    width: int = field(metadata=AT_LEAST_1)


Layer = Conv | MaxPool | AveragePool | Dropout | Dense

KINDS: Mapping[str, type[Layer]] = {
    "conv": Conv,
    "max_pool": MaxPool,
    "average_pool": AveragePool,
    "dropout": Dropout,
    "dense": Dense,
}
