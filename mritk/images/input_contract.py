"""The pixels that a set of weights expects (no NumPy: plugins state it where names are listed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from mritk.images.grid import Fit, Grid, GridLike, Size, Spacing, one_side

# Fields that came later, and fields that do not change a pixel.
LATER = {"identity": "unless default"}
ADVICE = {"identity": False}
INTERPOLATIONS = ("bilinear", "bicubic", "nearest")


@dataclass(frozen=True)
class InputContract:
    """The pixels that a set of weights expects.

    A pixel in [0, 1] is normalised to ``(pixel - mean) / std`` per channel. A single grey channel
    is repeated to ``channels``. Samples with named channels need as many.

    Attributes:
        size: Side length in pixels (or voxels) that the weights were trained on, or one side per
            axis; None: any size.
        mean: One value per channel, in units of the [0, 1] pixel range.
        std: One value per channel.
        interpolation: ``bilinear`` or ``bicubic`` resizing, antialiased; or ``nearest``.
        channel_order: ``RGB`` or ``BGR``; ``mean`` and ``std`` are in this order.
        fit: ``resize`` stretches samples to the size; ``crop_or_pad`` keeps their proportions, see
            :class:`mritk.Grid`. New networks for volumes should use ``crop_or_pad``.
        spacing: Distance of pixels or voxels in mm, for all axes or per axis, to which samples are
            resampled before they are cropped or padded; None: as they are.
        intensity: ``unit``: pixels in [0, 1]; ``zscore``: each channel of each sample first gets
            mean 0 and standard deviation 1 over its pixels that are not 0, which stay 0; ``mean``
            and ``std`` then usually are 0 and 1.
        fixed: The network takes ``size`` only. Not part of its identity, like ``minimum``.
        minimum: The smallest side that the network takes; None: not stated.
    """

    size: Size = 224
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    channel_order: str = "RGB"
    fit: Fit = field(default="resize", metadata=LATER)
    spacing: Spacing = field(default=None, metadata=LATER)
    intensity: Literal["unit", "zscore"] = field(default="unit", metadata=LATER)
    fixed: bool = field(default=False, metadata=ADVICE)
    minimum: int | None = field(default=None, metadata=ADVICE)

    def __post_init__(self) -> None:
        """Refuse what would later feed wrong pixels to a network without a word.

        Raises:
            ValueError: Values that are unknown or do not belong together.
        """
        if len(self.mean) != len(self.std) or not all(self.std):
            raise ValueError("mean and std need one value per channel, and std must not be 0")
        if self.interpolation not in INTERPOLATIONS:
            known = ", ".join(INTERPOLATIONS)
            raise ValueError(f"interpolation must be one of {known}, not {self.interpolation!r}")
        if self.channel_order not in ("RGB", "BGR"):
            raise ValueError(f"channel_order must be RGB or BGR, not {self.channel_order!r}")
        if self.intensity not in ("unit", "zscore"):
            raise ValueError(f"intensity must be unit or zscore, not {self.intensity!r}")
        if self.fixed and self.size is None:
            raise ValueError("a network that takes one size only must state it: fixed needs size")
        Grid(self.size, self.fit, self.spacing)

    @property
    def channels(self) -> int:
        """Number of input channels of the network."""
        return len(self.mean)

    def grid(self, size: Size) -> GridLike:
        """Return the grid of inputs of this size, as ``Subset.images`` takes it."""
        return size if self.fit == "resize" else Grid(size, self.fit, self.spacing)

    def takes(self, size: int) -> bool | None:
        """Tell whether the network takes inputs with this side; None: it does not say."""
        if self.fixed:
            return one_side(self.size) == size
        if self.minimum is not None and size < self.minimum:
            return False
        return True if self.size is None or self.minimum is not None else None

    def as_dict(self) -> dict[str, Any]:
        """Return what tells these pixels from others, as plain data.

        Later fields are left out at their default, so that older identities stay as they are.
        """
        told = {}
        for member in fields(self):
            value, rule = getattr(self, member.name), member.metadata.get("identity", True)
            if rule and not (rule == "unless default" and value == member.default):
                told[member.name] = value
        return told

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> InputContract:
        """Return the contract of :meth:`as_dict`, also where it was written as JSON.

        Raises:
            KeyError: A field is missing.
        """
        given: dict[str, Any] = {
            member.name: told[member.name]
            for member in fields(cls)
            if member.name in told or "identity" not in member.metadata
        }
        for name, value in given.items():
            given[name] = tuple(value) if isinstance(value, list) else value
        return cls(**given)


IMAGENET = InputContract()
