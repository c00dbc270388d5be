"""What a protocol does to every image of every part, once, after resizing: ``[preprocessing]``."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import Image

# ITU-R BT.601, as Pillow's mode L and OpenCV's grey images have it.
LUMA = np.asarray((0.299, 0.587, 0.114), dtype=np.float32)


@dataclass(frozen=True)
class Preprocessing:
    """Deterministic changes to images, the same in training, validation and test.

    Attributes:
        grey: Colours become their luminance (ITU-R BT.601). Volumes are grey already.
        blur: Standard deviation of a Gaussian in pixels (or voxels) of the resized image, edges
            continued; 0: none.
    """

    grey: bool = field(default=False, metadata={"fingerprint": "unless default"})
    blur: float = field(default=0.0, metadata={"fingerprint": "unless default"})

    def __post_init__(self) -> None:
        if not 0 <= self.blur < math.inf:
            raise ValueError("blur must be a number of pixels, at least 0")

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        return self.grey or self.blur > 0

    def of(self, image: np.ndarray, *, spatial_dims: int) -> np.ndarray:
        """Return a changed image.

        Args:
            image: (H, W), (H, W, 3) or (D, H, W); uint8, or float32 in [0, 1].
            spatial_dims: 2 for an image, 3 for a volume.

        Returns:
            An array of the same dtype; a coloured image that turns grey loses its third axis.
        """
        if self.grey and spatial_dims == 2 and image.ndim == 3:
            image = _luminance(image)
        return self._blurred(image, spatial_dims) if self.blur else image

    def _blurred(self, image: np.ndarray, spatial_dims: int) -> np.ndarray:
        from scipy import ndimage

        sigma = [self.blur] * spatial_dims + [0.0] * (image.ndim - spatial_dims)
        smooth = ndimage.gaussian_filter(image.astype(np.float32), sigma, mode="nearest")
        return np.rint(smooth).astype(np.uint8) if image.dtype == np.uint8 else smooth

    def identity(self) -> list[dict[str, object]]:
        """Plain data for the key of a cache; empty if nothing is changed, as keys were before."""
        return [asdict(self)] if self else []


UNCHANGED = Preprocessing()


def _luminance(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).convert("L"))
    return np.asarray(image @ LUMA, dtype=np.float32)
