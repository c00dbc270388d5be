"""The input contract that a repository's ``preprocessor_config.json`` states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from mritk import InputContract

# Pillow's numbers; filters that mritk does not have become the nearest one that it has.
BILINEAR = (0, 2, 4, 5)

Sides: TypeAlias = "int | tuple[int, ...]"


def contract_of(preprocessor: Mapping[str, Any], config: Mapping[str, Any]) -> InputContract:
    """Return what the pixels must look like.

    The size is that of the crop where there is one, else that of resizing, else the
    ``image_size`` of the network. ``rescale_factor`` is folded into mean and std, since mritk's
    pixels lie in [0, 1], and so is what EfficientNet's processor does besides: ``rescale_offset``
    subtracts 1, and ``include_top`` divides by the standard deviation once more. Without
    ``image_mean`` and ``image_std`` pixels are not normalised.

    Args:
        preprocessor: Content of ``preprocessor_config.json``.
        config: Content of ``config.json``.
    """
    channels = int(config.get("num_channels") or 3)
    mean, std = (0.0,) * channels, (1.0,) * channels
    stated_std = _each(preprocessor.get("image_std"), channels, std)
    if preprocessor.get("do_normalize", True):
        mean = _each(preprocessor.get("image_mean"), channels, mean)
        std = stated_std
    efficientnet = str(preprocessor.get("image_processor_type")).startswith("EfficientNet")
    if preprocessor.get("include_top", efficientnet):
        std = tuple(one * other for one, other in zip(std, stated_std, strict=True))
    scale, offset = 255.0, 0
    if preprocessor.get("do_rescale", True):
        # Exactly 1 for the usual 1/255.
        scale = round(255 * float(preprocessor.get("rescale_factor") or 1 / 255), 9)
        offset = 1 if preprocessor.get("rescale_offset") else 0
    return InputContract(
        _size(preprocessor, config),
        tuple((value + offset) / scale for value in mean),
        tuple(value / scale for value in std),
        "bilinear" if preprocessor.get("resample", 2) in BILINEAR else "bicubic",
        "BGR" if preprocessor.get("do_flip_channel_order") else "RGB",
    )


def _size(preprocessor: Mapping[str, Any], config: Mapping[str, Any]) -> Sides | None:
    cropped = preprocessor.get("do_center_crop", "crop_size" in preprocessor)
    stated = (
        preprocessor.get("crop_size") if cropped else None,
        preprocessor.get("size"),
        config.get("image_size"),
    )
    for size in stated:
        if sides := _stated_sides(size):
            return sides_of(sides)
    return None


def _stated_sides(size: Any) -> Sequence[int]:
    """Return (height, width), or the one side that is stated; empty: none is."""
    if isinstance(size, Mapping):
        edges = [size[key] for key in ("shortest_edge", "longest_edge") if size.get(key)]
        return [size[key] for key in ("height", "width") if size.get(key)] or edges[:1]
    if isinstance(size, list | tuple):
        return size[-2:]
    return [size] if size else ()


def sides_of(sides: Sequence[int]) -> Sides:
    """Return what a contract says of an input of these sides: one of a square."""
    return int(sides[0]) if len(set(sides)) == 1 else tuple(map(int, sides))


def _each(stated: Any, channels: int, otherwise: tuple[float, ...]) -> tuple[float, ...]:
    """Return one value per channel; a grey network takes the first of three."""
    if stated is None:
        return otherwise
    values = [float(v) for v in stated] if isinstance(stated, list) else [float(stated)] * channels
    return tuple(values[:channels])
