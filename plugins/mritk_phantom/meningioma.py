"""Meningioma: grows from the dura, round and well defined, bright all over, displaces the brain."""

from __future__ import annotations

import numpy as np

from mritk_phantom.deformation import Head, smooth_noise
from mritk_phantom.healthy import within
from mritk_phantom.lesion import Appearance, Form, draw_centre, soft
from mritk_phantom.slices import Cut


def propose(rng: np.random.Generator, head: Head, cuts: list[Cut]) -> Form | None:
    """Return a rounded form with a broad base on the dura or the falx, or None if it misses both.

    The ball's centre is nearer to the dura than its radius; what would lie beyond it is cut off,
    which leaves a flat base.
    """
    anatomy = head.anatomy
    radius = rng.uniform(13, 22)
    radii = radius * rng.uniform(0.85, 1.18, 3)
    drawn = draw_centre(rng, head, cuts, radii)
    if drawn is None:
        return None
    centre, (i, j, k) = drawn
    depth, (x, y, _) = head.depth[i, j, k], head.points[:, i, j, k]
    on_falx = y > 18 and 0.1 * radius < abs(x) < 0.7 * radius
    if not (on_falx or 0.05 * radius < depth < 0.6 * radius):
        return None
    # The fossa itself is where pituitary tumours start.
    if np.linalg.norm(centre - head.sella) < 18:
        return None
    window, distance = within(anatomy, centre, 2.0 * float(radii.max()), radii)
    lobes = smooth_noise(rng, distance.shape, anatomy.resolution, 14.0)
    distance = distance + rng.uniform(0.02, 0.12) * lobes
    core = (distance < 1) & (head.depth[window] > 0)
    if on_falx:
        core &= np.sign(x) * head.points[0][window] > 0
    return Form(centre, radii, rng.uniform(0.5, 0.9), window, distance, core)


def look(
    rng: np.random.Generator, form: Form, white: np.ndarray, uptake: float, resolution: float
) -> Appearance:
    """Return an even bright mass, sometimes with a cyst, calcium or oedema.

    ``white`` is the displaced white matter in the form's window; ``uptake`` the factor of the
    scanner's site.
    """
    shape = form.distance.shape
    patches = smooth_noise(rng, shape, resolution, 6.0)
    brightness: np.ndarray = uptake * rng.uniform(1.15, 1.6) + rng.uniform(0.01, 0.06) * patches
    necrosis = np.zeros(shape, dtype=bool)
    if rng.random() < 0.3:
        necrosis = form.core & (patches > rng.uniform(1.2, 2.0))
        brightness[necrosis] = rng.uniform(0.3, 0.6)
    cover = soft(form.distance, 0.1) * form.core
    swelling: np.ndarray = np.zeros(shape, dtype=np.float32)
    if rng.random() < 0.5:
        reach = rng.uniform(2, 9) / float(form.radii.mean())
        away = (form.distance - 1) / (reach * (0.25 + white)) + 0.3 * patches
        swelling = soft(away, 0.6) * rng.uniform(0.4, 0.8) * (white > 0.15)
    return Appearance.of(form, brightness, cover, necrosis, swelling)
