"""What a radiologist would check: the tumours are where and what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from mritk_phantom.anatomy import SELLA, load_anatomy
from mritk_phantom.cohort import cohort
from mritk_phantom.deformation import deform, push_aside, smooth_noise
from mritk_phantom.healthy import add_uptake
from mritk_phantom.lesion import NECROSIS, OEDEMA, SOLID
from mritk_phantom.lookup import in_voxels, interpolate
from mritk_phantom.patient import HEAD, MARGIN
from mritk_phantom.recipe import PLANES, Recipe
from mritk_phantom.slices import LEAST_AREA

RESOLUTION = 4


def head_of(patient: str):
    """The patient's head before the tumour."""
    member = cohort(80, Recipe().seed)[int(patient[-4:])]
    return deform(member.generator(HEAD), load_anatomy(RESOLUTION))


def tumour_points(scan):
    """Positions in mm of the voxels of a tumour without its oedema, (n, 3)."""
    index = np.argwhere(scan["lesion"] > OEDEMA)
    return index @ scan["affine"][:3, :3].T + scan["affine"][:3, 3]


@pytest.mark.parametrize("name", ["glioma", "meningioma", "pituitary"])
def test_every_slice_of_a_tumour_patient_shows_the_tumour(small, name):
    for row in (r for r in small.rows if r["class"] == name):
        lesion = small.volume(row["patient"])["lesion"]
        plane = lesion.take(row["index"], PLANES.index(row["plane"]))
        assert np.count_nonzero(plane > OEDEMA) * RESOLUTION**2 >= LEAST_AREA


def test_patients_without_a_tumour_have_empty_masks(small):
    none = [i for i, row in enumerate(small.rows) if row["class"] == "none"]
    assert len(none) == 12 and not small.masks[none].any()
    assert all(not small.volume(p)["lesion"].any() for p in small.patients("none"))


def test_masks_are_in_register_with_images_and_volumes(small):
    tumours = [i for i, row in enumerate(small.rows) if row["class"] != "none"]
    for i in tumours:
        row, scan = small.rows[i], small.volume(small.rows[i]["patient"])
        plane = scan["lesion"].take(row["index"], PLANES.index(row["plane"]))
        pixel = (208 / 64) ** 2
        area = np.count_nonzero(plane > OEDEMA) * RESOLUTION**2
        assert np.count_nonzero(small.masks[i] > OEDEMA) * pixel == pytest.approx(area, rel=0.35)
        assert (small.images[i][small.masks[i] > OEDEMA] > 0).mean() > 0.9
    assert set(np.unique(small.masks)) <= {0, OEDEMA, SOLID, NECROSIS}


def test_pituitary_tumours_sit_in_the_fossa_on_the_midline(small):
    for patient in small.patients("pituitary"):
        scan = small.volume(patient)
        offset = tumour_points(scan).mean(axis=0) - scan["sella"]
        assert abs(offset[0]) < 9 and abs(offset[1]) < 9 and -6 < offset[2] < 22
        nearest = np.linalg.norm(tumour_points(scan) - scan["sella"], axis=1).min()
        assert nearest < 2 * RESOLUTION
        assert np.linalg.norm(scan["sella"] - np.array(SELLA)) < 20


@pytest.mark.slow
def test_meningiomas_touch_the_dura_or_the_falx(small):
    for patient in small.patients("meningioma"):
        head, core = head_of(patient), small.volume(patient)["lesion"] > OEDEMA
        at_dura = head.depth[core].min() <= RESOLUTION
        at_falx = np.abs(head.points[0][core]).min() <= RESOLUTION
        assert at_dura or at_falx


@pytest.mark.slow
def test_gliomas_lie_in_the_brain_and_most_have_a_dead_centre_and_oedema(small):
    for patient in small.patients("glioma"):
        head, lesion = head_of(patient), small.volume(patient)["lesion"]
        voxels = in_voxels(head.points, head.anatomy)
        brain = interpolate(load_anatomy(RESOLUTION).brain.astype(np.float32), voxels)
        assert brain[lesion > OEDEMA].mean() > 0.6
        assert np.count_nonzero(lesion == OEDEMA) > 0.2 * np.count_nonzero(lesion > OEDEMA)
    hollow = [(small.volume(p)["lesion"] == NECROSIS).any() for p in small.patients("glioma")]
    assert any(hollow)


@pytest.mark.slow
def test_slice_positions_do_not_know_the_class():
    """The same patient number gets the same positions whatever its class."""
    from dataclasses import replace

    from mritk_phantom.patient import scan_patient

    recipe = Recipe(patients=4, size=32, resolution=8)
    member = cohort(4, recipe.seed)[0]
    positions = {
        tuple(cut.offset for cut in scan_patient(replace(member, target=target), recipe).cuts)
        for target in range(4)
    }
    assert len(positions) == 1


def test_smooth_noise_has_unit_variance_and_is_smooth():
    noise = smooth_noise(np.random.default_rng(0), (60, 60, 60), 2.0, 8.0)
    assert noise.dtype == np.float32 and noise.shape == (60, 60, 60)
    assert abs(noise.mean()) < 0.1 and noise.std() == pytest.approx(1, abs=0.1)
    assert np.abs(np.diff(noise, axis=0)).max() < 2


def test_a_mass_pushes_tissue_outwards_and_conserves_its_volume():
    """Near the mass, what lies at relative radius b was at (b^3 - strength)^(1/3)."""
    head = deform(np.random.default_rng(0), load_anatomy(RESOLUTION))
    voxel = np.array([25, 30, 22])
    centre = head.anatomy.origin + RESOLUTION * voxel
    radii = np.full(3, 12.0)
    pushed = push_aside(head, centre, radii, 0.9)
    x, y, z = voxel + np.array([4, 0, 0])
    shift = np.linalg.solve(head.linear, pushed[:, x, y, z] - head.points[:, x, y, z])
    b = 4 * RESOLUTION / 12
    expected = b * 12 * ((1 - 0.9 / b**3) ** (1 / 3) - 1) * np.exp(-(b**2) / 9)
    assert shift == pytest.approx([expected, 0, 0], abs=1e-3)
    assert (push_aside(head, centre, radii, 0.0) == head.points).mean() > 0.99


def test_what_is_computed_of_some_voxels_is_what_they_have_in_the_whole_volume():
    head = deform(np.random.default_rng(0), load_anatomy(RESOLUTION))
    near = head.depth > MARGIN
    mass = (head, head.sella, np.full(3, 12.0), 0.5)
    points = push_aside(*mass)
    some = push_aside(*mass, where=near)
    assert np.array_equal(some, points[:, near])

    signal = np.ones(head.anatomy.shape, dtype=np.float32)
    part = signal[near]
    add_uptake(np.random.default_rng(1), signal, head, points, 1.0)
    add_uptake(np.random.default_rng(1), part, head, some, 1.0, where=near)
    assert signal.max() > 1
    assert np.array_equal(part, signal[near])
