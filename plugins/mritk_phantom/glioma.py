"""Glioma: infiltrates the brain, irregular, often a bright ring around dead tissue, with oedema."""

from __future__ import annotations

import numpy as np

from mritk_phantom.deformation import Head, smooth_noise
from mritk_phantom.healthy import within
from mritk_phantom.lesion import Appearance, Form, draw_centre, soft
from mritk_phantom.slices import Cut


def propose(rng: np.random.Generator, head: Head, cuts: list[Cut]) -> Form | None:
    """Return an irregular form whose centre lies in the brain, or None if this draw misses it."""
    anatomy = head.anatomy
    radii = rng.uniform(15, 24) * rng.uniform(0.8, 1.25, 3)
    drawn = draw_centre(rng, head, cuts, radii)
    if drawn is None or np.linalg.norm(drawn[0] - head.sella) < 18:
        return None
    # At least 6 mm of brain between the centre and the dura, and not in the basal cisterns.
    centre, (i, j, k) = drawn
    seat = anatomy.voxel_at(head.points[:, i, j, k])
    if seat is None or anatomy.depth[seat] < 6 or anatomy.grey[seat] + anatomy.white[seat] < 0.6:
        return None
    window, distance = within(anatomy, centre, 2.2 * float(radii.max()), radii)
    coarse = smooth_noise(rng, distance.shape, anatomy.resolution, 13.0)
    fine = smooth_noise(rng, distance.shape, anatomy.resolution, 6.0)
    roughness = rng.uniform(0.12, 0.3)
    distance = distance + roughness * coarse + 0.4 * roughness * fine
    core = (distance < 1) & (head.depth[window] > 1.5)
    return Form(centre, radii, rng.uniform(0.1, 0.45), window, distance, core)


def look(
    rng: np.random.Generator, form: Form, white: np.ndarray, uptake: float, resolution: float
) -> Appearance:
    """Return rim, necrosis and oedema of a grown glioma.

    ``white`` is the displaced white matter in the form's window, along which oedema spreads;
    ``uptake`` the factor of the scanner's site.
    """
    shape = form.distance.shape
    patches = smooth_noise(rng, shape, resolution, 7.0)
    # The rim of the ring is 0.2 to 0.55 radii thick; one glioma in eight has no dead centre.
    hollow = rng.random() < 0.88
    inner = 1 - rng.uniform(0.2, 0.55) if hollow else -1.0
    necrosis = form.core & (form.distance + 0.15 * patches < inner)
    enhancing = uptake * rng.uniform(1.15, 1.65)
    # Part of the rim does not enhance: the barrier between blood and brain is still whole there.
    leak = soft(0.5 * patches + rng.uniform(0.2, 1.0), 0.8)
    solid = 0.6 + (enhancing - 0.6) * leak + 0.06 * patches
    brightness = np.where(necrosis, rng.uniform(0.28, 0.5), solid)
    cover = soft(form.distance, 0.25) * form.core
    reach = rng.uniform(6, 18) / float(form.radii.mean())
    spread = smooth_noise(rng, shape, resolution, 10.0)
    away = (form.distance - 1) / (reach * (0.25 + white)) + 0.3 * spread
    swelling = soft(away, 0.6) * rng.uniform(0.6, 1.0)
    swelling *= white > 0.15
    return Appearance.of(form, brightness, cover, necrosis, swelling)
