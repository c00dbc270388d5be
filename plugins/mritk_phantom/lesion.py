"""What every tumour is made of: a place and form first, then an appearance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mritk_phantom.deformation import Head
from mritk_phantom.slices import Cut, all_cut

OEDEMA, SOLID, NECROSIS = 1, 2, 3
TRIES = 20000

Window = tuple[slice, slice, slice]


@dataclass(frozen=True, eq=False)
class Form:
    """Where a tumour grew.

    Attributes:
        centre: (3,) mm.
        radii: (3,) mm of the ellipsoid that pushes tissue aside.
        mass_effect: In [0, 1): the part of the tumour's volume by which tissue was displaced.
        window: The part of the volume that the arrays below cover.
        distance: float32, about 0 at the tumour's centre and 1 on its outline.
        core: Boolean, the tumour without its oedema: ``distance < 1`` inside the skull.
    """

    centre: np.ndarray
    radii: np.ndarray
    mass_effect: float
    window: Window
    distance: np.ndarray
    core: np.ndarray


@dataclass(frozen=True, eq=False)
class Appearance:
    """What a tumour looks like; arrays cover the window of its form.

    Attributes:
        brightness: float32 signal of the tumour, white matter being 1.
        cover: float32 in [0, 1], how far ``brightness`` replaces the tissue.
        swelling: float32 in [0, 1], how far oedema darkens the tissue.
        labels: uint8, one of 0, OEDEMA, SOLID, NECROSIS.
    """

    brightness: np.ndarray
    cover: np.ndarray
    swelling: np.ndarray
    labels: np.ndarray

    @classmethod
    def of(
        cls,
        form: Form,
        brightness: np.ndarray,
        cover: np.ndarray,
        necrosis: np.ndarray,
        swelling: np.ndarray,
    ) -> Appearance:
        """Return what a form looks like whose part ``necrosis`` (boolean) is dead."""
        labels = np.zeros(form.core.shape, dtype=np.uint8)
        labels[swelling > 0.25] = OEDEMA
        labels[form.core] = SOLID
        labels[necrosis] = NECROSIS
        return cls(brightness.astype(np.float32), cover, swelling.astype(np.float32), labels)


# Of a tumour that no slice has to show, in mm³.
SMALLEST = 1000.0


def grow(
    propose: Callable[[np.random.Generator, Head, list[Cut]], Form | None],
    rng: np.random.Generator,
    head: Head,
    cuts: list[Cut],
) -> Form:
    """Return the first proposed form that all cuts show; without cuts, one of a fair size.

    Raises:
        RuntimeError: None of ``TRIES`` proposals fitted, which no seed should bring about.
    """
    for _ in range(TRIES):
        form = propose(rng, head, cuts)
        if form is not None:
            core = np.zeros(head.anatomy.shape, dtype=bool)
            core[form.window] = form.core
            volume = float(core.sum()) * head.anatomy.resolution**3
            if all_cut(core, cuts, head.anatomy.resolution) and (cuts or volume >= SMALLEST):
                return form
    raise RuntimeError(f"no tumour fits the slices {[c.name for c in cuts]} after {TRIES} tries")


def draw_centre(
    rng: np.random.Generator, head: Head, cuts: list[Cut], radii: np.ndarray
) -> tuple[np.ndarray, tuple[int, int, int]] | None:
    """Return a centre in mm from which ``radii`` reach well into every cut, and its voxel.

    Without cuts it is anywhere in the volume. None if the cuts of a plane lie too far apart for a
    tumour of this size, or the voxel is none of the volume.
    """
    low, high = np.full(3, -np.inf), np.full(3, np.inf)
    if not cuts:
        low = head.anatomy.origin
        high = low + head.anatomy.resolution * (np.array(head.anatomy.shape) - 1)
    for cut in cuts:
        place = head.anatomy.origin[cut.axis] + head.anatomy.resolution * cut.index
        low[cut.axis] = max(low[cut.axis], place - 0.9 * radii[cut.axis])
        high[cut.axis] = min(high[cut.axis], place + 0.9 * radii[cut.axis])
    if not (low < high).all():
        return None
    centre = rng.uniform(low, high)
    voxel = head.anatomy.voxel_at(centre)
    return voxel and (centre, voxel)


def soft(distance: np.ndarray, width: float) -> np.ndarray:
    """Return 1 where ``distance`` is below 1, falling to 0 over ``width`` around it."""
    return np.clip(0.5 + (1 - distance) / np.float32(width), 0, 1)


def paint(
    signal: np.ndarray, form: Form, look: Appearance, *, brightness: np.ndarray, oedema: float
) -> None:
    """Put a tumour into a signal, in place.

    ``brightness`` is that of the tumour in its window, ``oedema`` that of fully swollen tissue.
    """
    region = signal[form.window]
    region += look.swelling * (np.float32(oedema) - region)
    region += look.cover * (brightness - region)
