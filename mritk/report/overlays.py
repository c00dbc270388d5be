"""Pictures of what a network looked at: the map over the sample, and the outline of the lesion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps

from mritk.data.rank import is_volume
from mritk.data.samples import Samples
from mritk.images.channels import one_channel
from mritk.report.thumbnails import outline, png_address
from mritk.store.explanations import Explanations

MOST = 6
# Pixels that the larger side has at least.
SIDE = 160
OPACITY = 0.7
# Where a map is shown in full: few places are far above all others.
FULL = 99.5
OUTLINE = (86, 180, 233)  # sky blue, which is in no map


@dataclass(frozen=True)
class Overlaid:
    """A case in pictures, as ``data:`` addresses.

    Attributes:
        id: The sample.
        target: Its class.
        plain: The sample with the outline of its lesion, where it has one.
        maps: By explainer: the sample with its map and the outline.
    """

    id: str
    target: str
    plain: str
    maps: Mapping[str, str]


def overlays(found: Explanations, samples: Samples) -> list[Overlaid]:
    """Return the first cases with a lesion in pictures, or the first ones where none has any.

    Of a volume the axial slice with most of the lesion is shown, or else of the maps. What cannot
    be read is left out.
    """
    rows, pictures = samples.row_of, []
    cases = np.flatnonzero(found.located) if found.located.any() else np.arange(len(found.id))
    for case in cases[:MOST].tolist():
        if found.id[case] in rows:
            try:
                pictures.append(_overlaid(found, case, samples, rows[found.id[case]]))
            except Exception:  # a sample that cannot be read must not stop a report
                continue
    return pictures


def _overlaid(found: Explanations, case: int, samples: Samples, row: int) -> Overlaid:
    image = one_channel(np.asarray(samples.read(row)), samples.channels)
    maps = {name: np.abs(values[case].astype(np.float32)) for name, values in found.maps.items()}
    lesion = np.zeros(next(iter(maps.values())).shape, dtype=bool)
    if samples.read_lesion is not None:
        lesion = np.asarray(samples.read_lesion(row)) != 0
    full = {name: float(np.percentile(values, FULL)) or 1.0 for name, values in maps.items()}
    if is_volume(samples.spatial_dims):
        shown = lesion if lesion.any() else sum(maps[name] / full[name] for name in maps)
        at = int(np.argmax(np.asarray(shown).sum(axis=(1, 2))))
        image, lesion = image[at], lesion[at]
        maps = {name: values[at] for name, values in maps.items()}
    grey = _large(_colours(image))
    return Overlaid(
        found.id[case],
        found.classes[int(found.target[case])],
        _outlined(grey, lesion),
        {
            name: _outlined(_heated(grey, np.clip(values / full[name], 0, 1)), lesion)
            for name, values in maps.items()
        },
    )


def _colours(image: np.ndarray) -> np.ndarray:
    """Return an image as (H, W, 3) float32 in [0, 255]."""
    values = image.astype(np.float32) * (1.0 if image.dtype == np.uint8 else 255.0)
    return values if values.shape[-1:] == (3,) else np.repeat(values[..., None], 3, axis=-1)


def _large(values: np.ndarray) -> np.ndarray:
    """Return an array whose places are squares of pixels, so that :data:`SIDE` is reached."""
    times = max(1, -(-SIDE // max(values.shape[:2])))
    return values.repeat(times, axis=0).repeat(times, axis=1)


def _heated(grey: np.ndarray, heat: np.ndarray) -> np.ndarray:
    heat = _large(heat)
    colour = 255 * colormaps["inferno"](heat)[..., :3]
    weight = OPACITY * heat[..., None]
    return np.asarray((1 - weight) * grey + weight * colour)


def _outlined(picture: np.ndarray, lesion: np.ndarray) -> str:
    edge = outline(_large(lesion))
    return png_address(np.where(edge[..., None], OUTLINE, picture).astype(np.uint8))
