"""How age and sex change a head: atrophy within the skull, head size, and a twist of the brain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk_phantom.deformation import Head, deform
from mritk_phantom.heads.people import OLDEST, YOUNGEST, Person
from mritk_phantom.heads.template import Template
from mritk_phantom.lookup import in_voxels, interpolate

# Numbers of the random streams of a person.
HEAD, AGEING, SEX = 1, 2, 3

# How many years a brain may look older or younger than it is, as a standard deviation; and each
# sign of age by itself.
LOOKS_OLDER, EACH_SIGN = 5.0, 7.0
# Heads of women and men relative to the template, and how much people of one sex differ.
HEAD_SIZE, HEAD_SIZE_SPREAD = (0.925, 0.97), 0.03
# How far in mm the left half of the brain lies before the right one, in women and men.
TWIST, TWIST_SPREAD = (-1.0, 5.0), 2.0
# How far skull and folds are bent, relative to the slices of phantom, which have no skull.
BENT = 0.65
# The middle of the brain in MNI mm, to which it shrinks.
BRAIN_MIDDLE = (0.0, -18.0, -2.0)


@dataclass(frozen=True)
class Ageing:
    """How far each sign of age has come: 0 as in the youngest, 1 as in the oldest on average.

    Attributes:
        ventricles: Their width.
        atrophy: How much of the brain is lost within its skull.
        cortex: How thin it is.
        deep: How dark the white matter around the ventricles is.
    """

    ventricles: float
    atrophy: float
    cortex: float
    deep: float

    @classmethod
    def of(cls, person: Person) -> Ageing:
        """Return the signs of age of a person."""
        rng = person.generator(AGEING)
        looks = person.age + rng.normal(0, LOOKS_OLDER)
        signs = (looks + rng.normal(0, EACH_SIGN, 4) - YOUNGEST) / (OLDEST - YOUNGEST)
        ventricles, atrophy, cortex, deep = signs.clip(-0.2, 1.3).tolist()
        # Ventricles widen late in life, the cortex thins all along.
        return cls(0.3 * ventricles + 0.7 * max(ventricles, 0) ** 2, atrophy, cortex, deep)


@dataclass(frozen=True, eq=False)
class Shape:
    """A person's head.

    Attributes:
        head: Where its skull, scalp and dura are.
        brain: Where its brain is: a head whose points differ by atrophy and twist.
        ageing: The signs of age.
    """

    head: Head
    brain: Head
    ageing: Ageing


def shape_of(person: Person, template: Template) -> Shape:
    """Return the head of a person, a function of the person and the template alone."""
    anatomy = template.anatomy
    rng = person.generator(SEX)
    size = HEAD_SIZE[person.male] * rng.normal(1, HEAD_SIZE_SPREAD)
    twist = rng.normal(TWIST[person.male], TWIST_SPREAD)
    head = deform(person.generator(HEAD), anatomy, scale=size, bent=BENT)
    ageing = Ageing.of(person)
    points = head.points.copy()
    middle = np.array(BRAIN_MIDDLE, dtype=np.float32)[:, None, None, None]
    points += np.float32(0.005 + 0.05 * ageing.atrophy) * (points - middle)
    points[1] += np.float32(0.5 * twist) * np.tanh(points[0] / np.float32(25))
    points += widened(points, template, 0.5 + 6.0 * ageing.ventricles)
    return Shape(head, Head(anatomy, points, head.linear), ageing)


def widened(points: np.ndarray, template: Template, by: float) -> np.ndarray:
    """Return the shift of points by which ventricles grow ``by`` mm on every side."""
    voxels = in_voxels(points, template.anatomy)
    shift = [np.float32(by) * interpolate(part, voxels) for part in template.to_ventricle]
    return np.stack(shift)
