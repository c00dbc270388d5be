"""One synthetic patient: head, tumour, signals, one or two scans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from mritk_phantom.deformation import Head, push_aside, smooth_noise
from mritk_phantom.heads.people import Person
from mritk_phantom.heads.recipe import HeadRecipe
from mritk_phantom.heads.scanner import SITES, show
from mritk_phantom.heads.sequences import BRIGHTNESS, tumour_brightness, tumour_labels
from mritk_phantom.heads.shape import Shape, shape_of
from mritk_phantom.heads.template import FLUID, Template, load_template
from mritk_phantom.healthy import add_findings, add_uptake
from mritk_phantom.lesion import Appearance, Form, grow, paint
from mritk_phantom.patient import TUMOURS
from mritk_phantom.recipe import CLASSES
from mritk_phantom.scanner import Site

# Numbers of the random streams of a person; those of the shape come before.
LESION, LOOK, TISSUE, UPTAKE, FINDINGS, MOVE, SCAN = range(10, 17)

# How much of the thickness of the cortex is lost by the oldest.
THINNING = 0.32


@dataclass(frozen=True, eq=False)
class HeadScan:
    """What is kept of one scan; axes as in :func:`turned`.

    Attributes:
        volumes: uint8 (sequences, D, H, W).
        labels: uint8 (D, H, W), values as in :data:`mritk_phantom.heads.sequences.LABELS`.
    """

    volumes: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class Tissues:
    """Shares of the tissues of a head, float32 (X, Y, Z) each, in [0, 1].

    Attributes:
        grey: Grey matter.
        white: White matter.
        around: (4, X, Y, Z), see :class:`mritk_phantom.heads.template.Template`.
        deep: White matter around the ventricles, as far as it has changed with age.
        texture: In units of the brightness of white matter in T1.
    """

    grey: np.ndarray
    white: np.ndarray
    around: np.ndarray
    deep: np.ndarray
    texture: np.ndarray


@dataclass(frozen=True, eq=False)
class Tumour:
    """A tumour in its place."""

    form: Form
    look: Appearance
    labels: np.ndarray
    oedema: float


def scan_person(person: Person, recipe: HeadRecipe) -> tuple[list[HeadScan], float]:
    """Return the scans of a person, and the volume within the skull in ml.

    They are a function of the person and the recipe alone.
    """
    template = load_template(recipe.size)
    shape = shape_of(person, template)
    kind = TUMOURS.get(CLASSES[person.tumour])
    form = None if kind is None else grow(kind.propose, person.generator(LESION), shape.head, [])
    points = shape.brain.points
    if form is not None:
        points = push_aside(shape.brain, form.centre, form.radii, form.mass_effect)
    brain = Head(template.anatomy, points, shape.brain.linear)
    tissues = _tissues(person, template, shape, brain)
    site = SITES[person.site].receiver
    labels = np.zeros(template.anatomy.shape, dtype=np.uint8)
    tumour = None
    if kind is not None and form is not None:
        rng = person.generator(LOOK)
        look = kind.look(rng, form, tissues.white[form.window], site.uptake, recipe.resolution)
        tumour = Tumour(form, look, tumour_labels(look), float(rng.uniform(0.85, 1.1)))
        labels[form.window] = tumour.labels
    signals = {
        name: _signal(person, name, tissues, brain, tumour, site) for name in recipe.sequences
    }
    hull = shape.head.places.look_up(template.hull)
    inside = np.clip(0.5 + (hull + FLUID) / recipe.resolution, 0, 1)
    volume = float(inside.sum()) * recipe.resolution**3 / 1000
    scans = [_scan(person, n, recipe, signals, labels) for n in range(1, person.scans + 1)]
    return scans, volume


def _tissues(person: Person, template: Template, shape: Shape, brain: Head) -> Tissues:
    anatomy = template.anatomy
    rng = person.generator(TISSUE)
    grey, white, texture = (
        brain.places.look_up(part) for part in (template.grey, template.white, template.texture)
    )
    around = np.stack([shape.head.places.look_up(part) for part in template.around])
    fluid = (around[0] - grey - white).clip(0, 1)
    # The template is an average of many heads; one head has crisper borders between its tissues.
    sharp = np.float32(rng.uniform(1.2, 1.8))
    shares = [np.power(share.clip(0, 1), sharp) for share in (grey, white, fluid)]
    total = np.maximum(sum(shares), np.float32(1e-6))
    inside = around[0].clip(0, 1)
    grey, white = (share / total * inside for share in shares[:2])
    # Near the surface, what the cortex loses becomes fluid.
    outer = np.clip(1 - shape.head.depth / 30, 0, 1)
    grey = grey * (1 - np.float32(THINNING * shape.ageing.cortex + 0.05) * outer)
    around[0] = inside - grey - white
    patchy = 0.7 + 0.5 * smooth_noise(rng, anatomy.shape, anatomy.resolution, 18.0)
    deep = brain.places.look_up(template.deep) * white * patchy.clip(0, 2)
    texture *= np.float32(rng.uniform(0.5, 1.0))
    return Tissues(grey, white, around, deep * np.float32(shape.ageing.deep), texture)


def _signal(
    person: Person,
    name: str,
    tissues: Tissues,
    brain: Head,
    tumour: Tumour | None,
    site: Site,
) -> np.ndarray:
    """Return the noiseless signal of one sequence, float32 (X, Y, Z)."""
    sequence, anatomy = BRIGHTNESS[name], brain.anatomy
    # The same stream for each sequence: patches of tissue are in the same places.
    rng = person.generator(TISSUE, 1)
    grey = (site.grey if sequence.grey is None else sequence.grey) + rng.normal(0, 0.025)
    fluid = (site.fluid if sequence.fluid is None else sequence.fluid) + rng.normal(0, 0.025)
    fat = sequence.fat * rng.uniform(0.8, 1.2)
    signal = np.float32(grey) * tissues.grey + np.float32(sequence.white) * tissues.white
    levels = (fluid, sequence.muscle, fat, sequence.marrow)
    for level, share in zip(levels, tissues.around, strict=True):
        signal += np.float32(level) * share
    signal += np.float32(sequence.texture) * tissues.texture
    signal += np.float32(sequence.deep) * tissues.deep
    patchy = smooth_noise(rng, anatomy.shape, anatomy.resolution, 9.0)
    signal *= 1 + np.float32(0.03) * patchy
    # Muscle and fat are in strands.
    signal += tissues.around[1] * np.float32(0.15) * patchy
    if name == "t1ce":
        add_uptake(person.generator(UPTAKE), signal, brain, brain.points, site.uptake)
    if name in ("t1", "t1ce"):
        add_findings(person.generator(FINDINGS), signal, brain)
    if tumour is not None:
        brightness = tumour_brightness(tumour.look, tumour.labels, sequence)
        oedema = sequence.swollen * tumour.oedema
        paint(signal, tumour.form, tumour.look, brightness=brightness, oedema=oedema)
    return signal.clip(0)


def _scan(
    person: Person,
    number: int,
    recipe: HeadRecipe,
    signals: dict[str, np.ndarray],
    labels: np.ndarray,
) -> HeadScan:
    """Return one scan; the head lies a little differently in the second one."""
    if number > 1:
        rng = person.generator(MOVE, number)
        move = Rotation.from_euler("xyz", rng.normal(0, 3.0, 3), degrees=True).as_matrix()
        middle = (np.array(labels.shape) - 1) / 2
        shift = middle - move @ middle + rng.normal(0, 2.5, 3) / recipe.resolution
        signals = {
            name: affine_transform(signal, move, shift, order=1) for name, signal in signals.items()
        }
        labels = affine_transform(labels, move, shift, order=0)
    volumes = [
        show(person.generator(SCAN, number, channel), signal, SITES[person.site], recipe.resolution)
        for channel, signal in enumerate(signals.values())
    ]
    return HeadScan(np.stack([turned(v) for v in volumes]), turned(labels))


def turned(volume: np.ndarray) -> np.ndarray:
    """Return (X, Y, Z), to the right, the front and up, as (D, H, W).

    D runs upwards, H from the front to the back, W from the patient's right to the left: the axes
    in which mritk reads NIfTI files, so that ``volume[k]`` is an axial slice as radiologists look
    at it.
    """
    return np.ascontiguousarray(volume.transpose(2, 1, 0)[:, ::-1, ::-1])
