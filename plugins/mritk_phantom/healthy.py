"""What is bright or dark in a head without being a tumour; every class has it alike.

Venous sinuses, cavernous sinuses, the pituitary gland, choroid plexus, the arteries of the circle
of Willis and the dura take up contrast agent. Scars, lacunes and dilated perivascular spaces are
dark. Without them a bright or a dark spot would already be a diagnosis.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np

from mritk_phantom.anatomy import SELLA, Anatomy
from mritk_phantom.deformation import Head, smooth_noise

SINUS, CHOROID, CAVERNOUS, GLAND, ARTERY = 1, 2, 3, 4, 5

# Centre lines in MNI mm and radius in mm of vessels near the base of the brain; left side mirrored.
VESSELS = (
    (((13, 4, -34), (11, 6, -26), (11, 0, -20), (9, 3, -14)), 2.2),  # internal carotid
    (((9, 3, -14), (20, 4, -14), (34, 2, -10), (40, -4, -4)), 1.7),  # middle cerebral
    (((9, 3, -14), (2, 10, -12), (1, 26, -10), (1, 36, 2)), 1.4),  # anterior cerebral
    (((0, -22, -42), (0, -20, -30), (0, -17, -18)), 2.0),  # basilar
    (((0, -17, -18), (12, -20, -15), (22, -32, -8)), 1.5),  # posterior cerebral
    (((14, -8, -18), (20, -24, -8), (6, -38, 0)), 1.4),  # basal vein
    (((2, -40, 4), (0, -60, 14), (0, -82, 0)), 2.6),  # vein of Galen and straight sinus
)


@cache
def uptake_map(anatomy: Anatomy) -> np.ndarray:
    """Return which structure of the template takes up contrast, uint8 (X, Y, Z); 0 is none."""
    x, y, z = anatomy.axes()
    # A vessel thinner than a voxel would have gaps.
    thick = 0.6 * anatomy.resolution
    labels = np.zeros(anatomy.shape, dtype=np.uint8)
    near_dura = (anatomy.depth > -4) & (anatomy.depth < 3)
    labels[near_dura & (np.abs(x) < 4) & (z > -10) & ((z > 20) | (y < -60))] = SINUS
    transverse = (np.abs(z + 22 + 0.1 * np.abs(x)) < 5) & (y < -45) & (np.abs(x) < 60)
    labels[near_dura & transverse] = SINUS
    fluid = anatomy.brain & (anatomy.grey + anatomy.white < 0.4) & (anatomy.depth > 22)
    labels[fluid & (np.abs(x) > 3) & (np.abs(x) < 32) & (y < 8) & (z > -14)] = CHOROID
    for side in (-1, 1):
        labels[_ball(anatomy, (side * 13, SELLA[1] - 3, SELLA[2] + 1), (5, 12, 7))] = CAVERNOUS
    labels[_ball(anatomy, SELLA, (7.5, 5.5, 4.5))] = GLAND
    for line, radius in VESSELS:
        for side in (-1, 1):
            tube = [(side * px, py, pz) for px, py, pz in line]
            window = _around(anatomy, tube, max(radius, thick))
            labels[window][_distance(anatomy, tube, window) < max(radius, thick)] = ARTERY
    return labels


def _ball(anatomy: Anatomy, centre: tuple[float, ...], radii: tuple[float, ...]) -> np.ndarray:
    offsets = [((a - c) / r) ** 2 for a, c, r in zip(anatomy.axes(), centre, radii, strict=True)]
    return offsets[0] + offsets[1] + offsets[2] < 1


def _around(
    anatomy: Anatomy, line: list[tuple[int, int, int]], reach: float
) -> tuple[slice, slice, slice]:
    """Return the window of all voxels that may lie within ``reach`` mm of a polyline."""
    low = (np.min(line, axis=0) - reach - anatomy.origin) / anatomy.resolution
    high = (np.max(line, axis=0) + reach - anatomy.origin) / anatomy.resolution
    first, last = np.floor(low).astype(int), np.ceil(high).astype(int)
    x, y, z = (slice(max(a, 0), max(b + 1, 0)) for a, b in zip(first, last, strict=True))
    return x, y, z


def _distance(
    anatomy: Anatomy, line: list[tuple[int, int, int]], window: tuple[slice, slice, slice]
) -> np.ndarray:
    """Return the distance in mm of each voxel of a window to a polyline."""
    x, y, z = anatomy.axes()
    axes = (x[window[0]], y[:, window[1]], z[:, :, window[2]])
    nearest = np.full([axis.size for axis in axes], np.inf, dtype=np.float32)
    for start, end in itertools.pairwise(line):
        along = np.subtract(end, start).astype(float)
        offsets = [a - s for a, s in zip(axes, start, strict=True)]
        t = sum(o * d for o, d in zip(offsets, along, strict=True)) / (along @ along)
        t = np.clip(t, 0, 1)
        gap2 = sum((o - t * d) ** 2 for o, d in zip(offsets, along, strict=True))
        nearest = np.minimum(nearest, np.sqrt(gap2))
    return nearest


def add_uptake(
    rng: np.random.Generator,
    signal: np.ndarray,
    head: Head,
    points: np.ndarray,
    factor: float,
    *,
    where: np.ndarray | None = None,
) -> None:
    """Brighten, in place, the healthy structures of a head whose tissue now lies at ``points``.

    Args:
        rng: The randomness of this step.
        signal: float32 (X, Y, Z).
        head: Without deformation by a mass.
        points: (3, X, Y, Z) mm of the template.
        factor: The uptake of the scanner's site.
        where: If given, a boolean volume of N voxels; ``signal`` is then (N,), ``points`` (3, N).
    """
    anatomy, depth = head.anatomy, head.depth
    labels = _nearest(uptake_map(anatomy), points, anatomy)
    noise = smooth_noise(rng, anatomy.shape, anatomy.resolution, 6.0)
    if where is not None:
        depth, noise = depth[where], noise[where]
    patchy = 1 + 0.25 * noise
    spread = {SINUS: (0.8, 1.5), CHOROID: (0.4, 1.4), CAVERNOUS: (0.6, 1.4), GLAND: (0.8, 1.5)}
    spread[ARTERY] = (0.5, 1.6)
    table = np.zeros(6, dtype=np.float32)
    for label, (low, high) in spread.items():
        table[label] = factor * rng.uniform(low, high)
    bright = table[labels] * patchy
    # Choroid plexus fills only part of the ventricles.
    bright[(labels == CHOROID) & (patchy < rng.uniform(1.0, 1.4))] = 0
    dura = (depth > 0) & (depth < 2.0) & (patchy > rng.uniform(0.9, 1.5))
    bright[dura] = factor * rng.uniform(0.4, 1.1)
    np.maximum(signal, bright, out=signal, where=labels != CHOROID)
    signal += np.where(labels == CHOROID, bright * np.float32(0.6), 0)


def add_findings(rng: np.random.Generator, signal: np.ndarray, head: Head) -> None:
    """Add, in place, 1 to 4 harmless findings: dark scars and lacunes, bright veins and aneurysms.

    They lie within 45 mm of the pituitary fossa, where the slices and the tumours are.
    """
    inside = head.depth > 3
    for _ in range(rng.integers(1, 5)):
        centre = head.sella + rng.uniform((-40, -35, -12), (40, 35, 35))
        radius, bright = rng.uniform(2.0, 7.0), rng.random() < 0.5
        level = rng.uniform(0.9, 1.5) if bright else rng.uniform(0.25, 0.6)
        if bright:
            radius *= 0.65
        stretch = rng.uniform(0.7, 1.4, 3)
        window, distance = within(head.anatomy, centre, 2.0 * radius, radius * stretch)
        if not inside[window].any():
            continue
        rough = smooth_noise(rng, distance.shape, head.anatomy.resolution, radius)
        weight = np.clip(3 * (1 - distance - 0.2 * rough), 0, 1) * inside[window]
        signal[window] += weight * (np.float32(level) - signal[window])


def within(
    anatomy: Anatomy, centre: np.ndarray, reach: float, radii: np.ndarray
) -> tuple[tuple[slice, slice, slice], np.ndarray]:
    """Return the window of voxels within ``reach`` mm of ``centre``, clipped to the volume.

    With it comes each voxel's distance to ``centre`` in units of the ellipsoid of ``radii`` (mm),
    float32 of the window's shape.
    """
    offsets, slices = [], []
    for d, axis in enumerate(anatomy.axes()):
        offset = axis.ravel() - np.float32(centre[d])
        inside = np.flatnonzero(np.abs(offset) <= reach)
        start, stop = (inside[0], inside[-1] + 1) if len(inside) else (0, 1)
        slices.append(slice(int(start), int(stop)))
        offsets.append((offset[start:stop] / np.float32(radii[d])) ** 2)
    x, y, z = offsets
    distance = np.sqrt(x[:, None, None] + y[None, :, None] + z[None, None, :])
    return (slices[0], slices[1], slices[2]), distance


def _nearest(labels: np.ndarray, points: np.ndarray, anatomy: Anatomy) -> np.ndarray:
    """Return the label at each of ``points``; template points outside the grid take its edge."""
    index = np.zeros(points.shape[1:], dtype=np.int64)
    for d, n in enumerate(labels.shape):
        step = np.rint((points[d] - np.float32(anatomy.origin[d])) / np.float32(anatomy.resolution))
        index = index * n + step.clip(0, n - 1).astype(np.int64)
    return labels.ravel().take(index)
