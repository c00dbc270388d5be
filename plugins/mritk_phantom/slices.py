"""Which slices of a head are shown, and how a slice becomes an image.

The positions are drawn before anything is known of a lesion, from one distribution for all classes;
lesions are then grown so that all six slices cut them. No position can therefore tell a class.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import zoom

from mritk_phantom.deformation import Head
from mritk_phantom.recipe import PLANES

# The middle of the two slices of a plane lies within these mm of the pituitary fossa.
MIDDLE = ((-9.0, 9.0), (-9.0, 10.0), (0.0, 13.0))
# Half the distance between them, in mm.
HALF_GAP = (2.0, 5.0)
# A slice of a lesion patient shows at least this much of the tumour (oedema not counted), in mm2.
LEAST_AREA = 60.0
# These quantiles of the brain's brightness are shown at these grey levels, times a gain, plus a
# spread, both drawn anew for every slice.
QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.998)
LEVELS = (45.0, 78.0, 106.0, 124.0, 142.0, 160.0, 172.0, 204.0, 226.0)
GAIN, SPREAD = (0.88, 1.12), 9.0
# Side of the square that an image shows, in mm; the largest heads reach its edge.
FIELD_OF_VIEW = 208.0


@dataclass(frozen=True)
class Cut:
    """One slice of a volume: ``volume.take(index, axis)``.

    Attributes:
        axis: 0 sagittal, 1 coronal, 2 axial.
        index: Voxel index along that axis.
        number: 1 or 2, in random order along the axis.
        offset: Distance to the pituitary fossa along the axis, in mm.
    """

    axis: int
    index: int
    number: int
    offset: float

    @property
    def name(self) -> str:
        """Such as ``axial-1``."""
        return f"{PLANES[self.axis]}-{self.number}"


def choose_cuts(rng: np.random.Generator, head: Head) -> list[Cut]:
    """Return two cuts per plane, sagittal, coronal, axial, around the pituitary fossa."""
    cuts = []
    for axis in range(3):
        middle, half = rng.uniform(*MIDDLE[axis]), rng.uniform(*HALF_GAP)
        for number, side in enumerate(rng.permutation([-half, half]), start=1):
            place = head.sella[axis] + middle + side - head.anatomy.origin[axis]
            index = round(place / head.anatomy.resolution)
            cuts.append(Cut(axis, index, number, float(middle + side)))
    return cuts


def all_cut(core: np.ndarray, cuts: list[Cut], resolution: float) -> bool:
    """Tell whether every cut shows at least ``LEAST_AREA`` of ``core``, a boolean volume."""
    least = LEAST_AREA / resolution**2
    return all(np.count_nonzero(core.take(cut.index, cut.axis)) >= least for cut in cuts)


def show(
    rng: np.random.Generator, volume: np.ndarray, cut: Cut, size: int, resolution: float
) -> np.ndarray:
    """Return a cut as an image, uint8 (size, size): black background, brain from 1 to 255.

    Front or top is up, as on a radiologist's screen. The grey scale is piecewise linear between
    landmarks of the histogram (Nyul and Udupa, Magnetic Resonance in Medicine 42, 1999), for every
    class alike. So a tumour stands out by its place and form; how bright the slice is tells little.
    """
    plane = to_square(volume.take(cut.index, cut.axis), resolution).astype(np.float32)
    inside = resize((plane > 0).astype(np.float32), size, order=1) >= 0.5
    image = resize(plane, size, order=1)
    grey = np.interp(image, *_grey_scale(rng, image[inside]))
    return np.where(inside, np.rint(grey).clip(1, 255), 0).astype(np.uint8)


def _grey_scale(rng: np.random.Generator, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return increasing brightnesses and the grey levels, from 0 to 255, that show them."""
    levels = np.array(LEVELS) * rng.uniform(*GAIN) + rng.normal(0, SPREAD, len(LEVELS))
    shown = np.array([0.0, *np.maximum.accumulate(levels.clip(1, 254)), 255.0])
    landmarks = np.quantile(values, QUANTILES) if len(values) else np.zeros(len(QUANTILES))
    top = values.max() if len(values) else 0.0
    # The small steps keep the scale increasing, even in a slice of few grey levels.
    seen = np.array([0.0, *landmarks, top]) + 1e-3 * np.arange(len(shown))
    return seen, shown


def show_labels(labels: np.ndarray, cut: Cut, size: int, resolution: float) -> np.ndarray:
    """Return a cut through a volume of labels, uint8 (size, size), in register with the image."""
    plane = to_square(labels.take(cut.index, cut.axis), resolution)
    return resize(plane, size, order=0).astype(np.uint8)


def to_square(plane: np.ndarray, resolution: float) -> np.ndarray:
    """Turn (right, up) into (row, column) order, centred in ``FIELD_OF_VIEW``, zeros around."""
    image = plane.T[::-1]
    side = round(FIELD_OF_VIEW / resolution)
    for axis, n in enumerate(image.shape):
        if n > side:
            image = image.take(range((n - side) // 2, (n - side) // 2 + side), axis)
    before = [(side - n) // 2 for n in image.shape]
    return np.pad(image, [(b, side - n - b) for b, n in zip(before, image.shape, strict=True)])


def resize(image: np.ndarray, size: int, *, order: int) -> np.ndarray:
    """Return a square image at ``size`` pixels; order 0 takes the nearest pixel, 1 is bilinear."""
    factor = size / image.shape[0]
    return zoom(image, factor, order=order, mode="nearest", grid_mode=True)
