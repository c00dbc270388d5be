"""``slices:ARCH@WEIGHTS``: any backbone for images, on the slices of volumes.

The slices of a volume go through the network one by one, with its own weights and normalisation;
their features are pooled. The plugin is also the example of a family that wraps other backbones.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from mritk import Architecture, BackboneFamily, InputContract, UsageError, Weights, hookimpl, lazy

if TYPE_CHECKING:
    from mritk import Backbone

IMAGES, VOLUMES = 2, 3
# Where the network for images and the scores of slices stand in that for volumes.
NETWORK, GATE = "network.", "gate."


@dataclass(frozen=True)
class SliceOptions:
    """What may follow ``slices:ARCH@WEIGHTS``.

    Attributes:
        pool: How the features of the slices become those of the volume: their ``mean``, their
            ``max``, or a mean with learned weights, ``attention``.
        axis: What the slices are: ``axial``, ``coronal`` or ``sagittal``, of volumes whose axes
            lie as in NIfTI files that mritk has read.
        slices: How many slices, at equal distances.
        size: Side in pixels to which slices are resized; 0: that of the network.
    """

    pool: Literal["mean", "max", "attention"] = "mean"
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    slices: int = 8
    size: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no number of slices or pixels.

        Raises:
            UsageError: There would be no slice, or no pixel.
        """
        if self.slices < 1:
            raise UsageError(f"slices={self.slices}: use 1 or more slices")
        if self.size < 0:
            raise UsageError(f"size={self.size}: use a side in pixels, or leave it out")


@hookimpl
def mritk_backbones() -> Iterator[BackboneFamily]:
    """Yield the family ``slices:ARCH@WEIGHTS``."""
    yield BackboneFamily(
        "slices",
        resolve,
        placeholder="ARCH@WEIGHTS",
        summary="any backbone for images, on slices of volumes",
        options=SliceOptions,
        wraps=True,
    )


def resolve(inner: Backbone, options: SliceOptions) -> Iterator[Architecture | Weights]:
    """Yield an architecture for volumes with ``inner`` inside, and the weights of ``inner`` for it.

    Raises:
        UsageError: ``inner`` takes no images, or none of the size asked for.
    """
    if inner.architecture.spatial_dims != IMAGES:
        raise UsageError(f"slices: needs a backbone for images, and {inner.name} is none")
    if options.size and inner.input.takes(options.size) is False:
        raise UsageError(f"{inner.name} does not take images of {options.size} px; leave out size")
    contract = _contract(inner.input, options)
    yield Architecture(
        inner.architecture.name,
        partial(lazy("mritk_slices.network:build"), inner.architecture.build, inner.input, options),
        contract,
        partial(lazy("mritk_slices.network:stages"), inner.architecture),
        spatial_dims=VOLUMES,
        summary=f"{inner.architecture.name} on {options.slices} {options.axis} slices",
    )
    if inner.weights is not None:
        gate = (f"{GATE}*",) if options.pool == "attention" else ()
        yield replace(
            inner.weights,
            input=contract,
            rename=partial(lazy("mritk_slices.network:inner_tensors"), inner.weights.rename),
            may_miss=(*(f"{NETWORK}{name}" for name in inner.weights.may_miss), *gate),
        )


def _contract(images: InputContract, options: SliceOptions) -> InputContract:
    """Return the contract for volumes: the grey levels of the network, and room for the slices."""
    resized = bool(options.size or images.size)
    smallest = 1 if resized else images.minimum
    return InputContract(
        None,
        images.mean,
        images.std,
        channel_order=images.channel_order,
        intensity=images.intensity,
        minimum=smallest and max(smallest, options.slices),
    )
