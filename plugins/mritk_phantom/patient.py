"""One synthetic patient: head, tumour, signal, scan, slices."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType

import numpy as np

from mritk_phantom import glioma, meningioma, pituitary
from mritk_phantom.anatomy import load_anatomy
from mritk_phantom.cohort import Patient
from mritk_phantom.deformation import Head, deform, push_aside, smooth_noise
from mritk_phantom.healthy import add_findings, add_uptake
from mritk_phantom.lesion import Form, grow, paint
from mritk_phantom.lookup import in_voxels, interpolate_all
from mritk_phantom.recipe import CLASSES, Recipe
from mritk_phantom.scanner import SITES, Site, receive
from mritk_phantom.slices import Cut, choose_cuts, show, show_labels

TUMOURS = {"glioma": glioma, "meningioma": meningioma, "pituitary": pituitary}

# A volume holds white matter at about this value, so that vessels twice as bright still fit.
WHITE = 115.0

# Tissue is computed down to this depth in mm below the dura; stripping never leaves more.
MARGIN = -10.0

# Numbers of the random streams of a patient.
HEAD, CUTS, LESION, LOOK, TISSUE, UPTAKE, FINDINGS, STRIP, SCAN, WINDOW = range(10)


@dataclass(frozen=True, eq=False)
class Scan:
    """What is kept of a patient.

    Attributes:
        volume: uint8 (X, Y, Z), the skull-stripped head; 0 is background.
        lesion: uint8 (X, Y, Z), labels of :mod:`mritk_phantom.lesion`; all 0 without tumour.
        affine: (4, 4) float64, voxel indices to mm.
        sella: (3,) float64, the pituitary fossa in mm.
        cuts: The slices, in the order of ``images``.
        images: uint8 (slices, size, size).
        masks: uint8 (slices, size, size), ``lesion`` in register with ``images``.
    """

    volume: np.ndarray
    lesion: np.ndarray
    affine: np.ndarray
    sella: np.ndarray
    cuts: list[Cut]
    images: np.ndarray
    masks: np.ndarray


def scan_patient(patient: Patient, recipe: Recipe) -> Scan:
    """Return the scan of one patient, a function of the patient and the recipe alone."""
    site = SITES[patient.site]
    head = deform(patient.generator(HEAD), load_anatomy(recipe.resolution))
    cuts = choose_cuts(patient.generator(CUTS), head)
    tumour = TUMOURS.get(CLASSES[patient.target])
    form = None if tumour is None else grow(tumour.propose, patient.generator(LESION), head, cuts)
    signal, lesion = _signal(patient, head, tumour, form, site)
    visible = _strip(patient.generator(STRIP), head, signal) | (lesion > 1)
    received = receive(patient.generator(SCAN), signal * visible, site, recipe.resolution)
    volume = np.where(visible, np.rint(received * WHITE).clip(1, 255), 0).astype(np.uint8)
    window = patient.generator(WINDOW)
    return Scan(
        volume=volume,
        lesion=lesion,
        affine=head.anatomy.affine,
        sella=head.sella,
        cuts=cuts,
        images=np.stack(
            [show(window, volume, cut, recipe.size, recipe.resolution) for cut in cuts]
        ),
        masks=np.stack([show_labels(lesion, cut, recipe.size, recipe.resolution) for cut in cuts]),
    )


def _signal(
    patient: Patient, head: Head, tumour: ModuleType | None, form: Form | None, site: Site
) -> tuple[np.ndarray, np.ndarray]:
    """Return the noiseless signal, float32 (X, Y, Z), and the lesion labels, uint8 (X, Y, Z)."""
    anatomy = head.anatomy
    near = head.depth > MARGIN
    if form is None:
        points = head.points[:, near]
    else:
        points = push_aside(head, form.centre, form.radii, form.mass_effect, where=near)
    voxels = in_voxels(points, anatomy)
    templates = (anatomy.grey, anatomy.white, anatomy.texture)
    grey, white, texture = interpolate_all(templates, voxels)
    rng = patient.generator(TISSUE)
    # The template is an average of many heads; one head has crisper borders between its tissues.
    sharp = rng.uniform(1.2, 1.8)
    fluid = (1 - grey - white).clip(0, 1)
    shares = [np.power(share, np.float32(sharp)) for share in (grey, white, fluid)]
    total = shares[0] + shares[1] + shares[2]
    brightness = (site.grey + rng.normal(0, 0.025), 1.0, site.fluid + rng.normal(0, 0.025))
    tissue = sum(np.float32(b) * share for b, share in zip(brightness, shares, strict=True)) / total
    tissue += np.float32(rng.uniform(0.5, 1.0)) * texture
    uneven = smooth_noise(rng, anatomy.shape, anatomy.resolution, 5.0)[near]
    tissue *= 1 + np.float32(0.03) * uneven
    add_uptake(patient.generator(UPTAKE), tissue, head, points, site.uptake, where=near)
    signal = _in_volume(tissue, near)
    add_findings(patient.generator(FINDINGS), signal, head)
    labels = np.zeros(anatomy.shape, dtype=np.uint8)
    if tumour is not None and form is not None:
        rng = patient.generator(LOOK)
        along = _in_volume(white, near)[form.window]
        look = tumour.look(rng, form, along, site.uptake, anatomy.resolution)
        oedema = rng.uniform(0.4, 0.55)
        paint(signal, form, look, brightness=look.brightness, oedema=oedema)
        labels[form.window] = look.labels
    return signal, labels


def _in_volume(values: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return a float32 volume with ``values`` (N,) in the N voxels of ``where``, and 0 around."""
    volume = np.zeros(where.shape, dtype=np.float32)
    volume[where] = values
    return volume


def _strip(rng: np.random.Generator, head: Head, signal: np.ndarray) -> np.ndarray:
    """Return what a skull-stripping program would leave, boolean, and brighten what is not brain.

    More or less of the meninges stays, and patches of fat and marrow outside them. ``signal`` is
    changed in place.
    """
    anatomy = head.anatomy
    margin = rng.uniform(-0.5, 2.0)
    uneven = smooth_noise(rng, anatomy.shape, anatomy.resolution, 25.0)
    remnant = smooth_noise(rng, anatomy.shape, anatomy.resolution, 16.0) > rng.uniform(0.9, 2.6)
    remnant &= (head.depth < 0.5) & (head.depth > -rng.uniform(2.0, 5.5))
    signal[remnant] = rng.uniform(0.7, 1.7)
    return (head.depth > 1.0 * uneven - margin) | remnant
