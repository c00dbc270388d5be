"""Small pictures of samples, for a page. Trial files hold no pixels; the data set does."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping

import numpy as np

from mritk.data.samples import Samples
from mritk.images.channels import one_channel

SIDE = 96


def thumbnails(samples: Samples, ids: Iterable[str]) -> Mapping[str, str]:
    """Return pictures as ``data:`` addresses, by sample id; what cannot be shown is left out.

    A volume is shown by its middle slice, several channels by their mean.
    """
    rows = samples.row_of
    found = {}
    for name in ids:
        if name in rows:
            try:
                array = np.asarray(samples.read(rows[name]))
                found[name] = _address(one_channel(array, samples.channels))
            except Exception:  # a sample that cannot be read must not stop a report
                continue
    return found


def _address(image: np.ndarray) -> str:
    from PIL import Image

    if image.ndim == 3 and image.shape[-1] != 3:
        image = image[len(image) // 2]
    if image.dtype != np.uint8:
        image = np.clip(255 * image, 0, 255).astype(np.uint8)
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE, SIDE))
    return png_address(np.asarray(picture))


def outline(mask: np.ndarray) -> np.ndarray:
    """Return which pixels of a mask (H, W) lie at its border, bool."""
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask))


def png_address(image: np.ndarray, colours: int = 0) -> str:
    """Return a picture, uint8 (H, W) or (H, W, 3), as a ``data:`` address.

    Args:
        image: The picture.
        colours: How many it may have, to be smaller; 0: all of them.
    """
    from PIL import Image

    picture, out = Image.fromarray(image), io.BytesIO()
    (picture.quantize(colours) if colours else picture).save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
