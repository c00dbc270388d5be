"""Small pictures of samples, for a page. Trial files hold no pixels; the data set does."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping

import numpy as np

from mritk.data.channels import one_channel
from mritk.data.samples import Samples

SIDE = 96


def thumbnails(samples: Samples, ids: Iterable[str]) -> Mapping[str, str]:
    """Return pictures as ``data:`` addresses, by sample id; what cannot be shown is left out.

    A volume is shown by its middle slice, several channels by their mean.
    """
    rows = {name: row for row, name in enumerate(samples.ids)}
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


def png_address(image: np.ndarray) -> str:
    """Return a picture, uint8 (H, W) or (H, W, 3), as a ``data:`` address."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"
