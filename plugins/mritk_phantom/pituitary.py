"""Pituitary macroadenoma: fills the fossa and bulges up past the chiasm or sideways."""

from __future__ import annotations

import numpy as np

from mritk_phantom.deformation import Head, smooth_noise
from mritk_phantom.healthy import within
from mritk_phantom.lesion import Appearance, Form, soft
from mritk_phantom.slices import Cut


def propose(rng: np.random.Generator, head: Head, cuts: list[Cut]) -> Form | None:
    """Return a form seated in the fossa: a sellar part, one above it, sometimes one beside it."""
    anatomy = head.anatomy
    sellar = rng.uniform((9, 8, 7), (17, 15, 12))
    above = sellar * rng.uniform((0.6, 0.7, 0.7), (1.1, 1.2, 2.0))
    rise = rng.uniform(0.6, 1.2) * sellar[2] + 0.5 * above[2]
    centre = head.sella + rng.normal(0, (1.5, 1.5, 1.0))
    middle = centre + np.array([0, 0, rise / 2])
    reach = float(max(sellar.max(), rise + above[2])) + 6
    window, _ = within(anatomy, middle, reach, np.ones(3))
    parts = [_ellipsoid(head, window, centre, sellar)]
    lean = rng.normal(0, (3.0, 3.0))
    parts.append(_ellipsoid(head, window, centre + np.array([*lean, rise]), above))
    if rng.random() < 0.5:
        side = rng.choice((-1, 1)) * sellar[0] * rng.uniform(0.6, 1.0)
        beside = centre + np.array([side, rng.normal(0, 2), rng.uniform(0, 5)])
        parts.append(_ellipsoid(head, window, beside, sellar * rng.uniform(0.6, 0.9)))
    # A smooth union: the waist at the diaphragm stays visible.
    distance = -np.log(sum(np.exp(-6 * part) for part in parts)) / 6
    lobes = smooth_noise(rng, distance.shape, anatomy.resolution, 11.0)
    distance = distance + rng.uniform(0.03, 0.14) * lobes
    core = distance < 1
    radii = np.array([sellar[0], sellar[1], 0.5 * (sellar[2] + rise + above[2])])
    return Form(middle, radii, rng.uniform(0.5, 0.9), window, distance.astype(np.float32), core)


def _ellipsoid(
    head: Head, window: tuple[slice, slice, slice], centre: np.ndarray, radii: np.ndarray
) -> np.ndarray:
    axes = [axis.ravel()[w] for axis, w in zip(head.anatomy.axes(), window, strict=True)]
    x, y, z = (((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True))
    return np.sqrt(x[:, None, None] + y[None, :, None] + z[None, None, :])


def look(
    rng: np.random.Generator, form: Form, white: np.ndarray, uptake: float, resolution: float
) -> Appearance:
    """Return a mass of middling to strong uptake, one in four with a cyst or old blood.

    ``white`` is not used: these tumours cause no oedema.
    """
    shape = form.distance.shape
    patches = smooth_noise(rng, shape, resolution, 8.0)
    brightness = uptake * rng.uniform(1.1, 1.6) + rng.uniform(0.02, 0.09) * patches
    necrosis = np.zeros(shape, dtype=bool)
    if rng.random() < 0.25:
        inner = rng.uniform(0.4, 0.85)
        necrosis = form.core & (form.distance + 0.25 * patches < inner)
        brightness[necrosis] = rng.uniform(0.35, 0.7)
    cover = soft(form.distance, 0.12) * form.core
    return Appearance.of(form, brightness, cover, necrosis, np.zeros(shape))
