"""Who is in the phantom: each patient with a name, a class, a site and random streams."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk_phantom.recipe import CLASSES
from mritk_phantom.scanner import SITES

# Keeps the streams that assign classes apart from the streams of the patients.
ASSIGNMENT = 2**31


@dataclass(frozen=True)
class Member:
    """One row of a cohort.

    Attributes:
        index: Position in the cohort, from 0.
        site: Index into the scanners, :data:`mritk_phantom.scanner.SITES`, or those of heads.
        seed: Root of the patient's random streams.
    """

    index: int
    site: int
    seed: int

    @property
    def name(self) -> str:
        """The patient id. It tells the place in the cohort and nothing else."""
        return f"patient-{self.index:04d}"

    def generator(self, *step: int) -> np.random.Generator:
        """Return the stream of one step of the generation.

        Steps have streams of their own, so that what one class draws for its lesion does not
        change the head, the scanner or the slice positions.
        """
        return stream(self.seed, self.index, *step)


@dataclass(frozen=True)
class Patient(Member):
    """One synthetic patient of ``phantom``.

    Attributes:
        target: Index into :data:`mritk_phantom.recipe.CLASSES`.
    """

    target: int


def stream(seed: int, *key: int) -> np.random.Generator:
    """Return the random stream of a key."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def cohort(patients: int, seed: int) -> list[Patient]:
    """Return the cohort. Patient ``i`` is the same in a cohort of any size.

    Patients come in runs of four that hold each class and each site once, in random order. Four
    runs form a Latin square: each class has then been at each site once.
    """
    members = []
    for run in range(-(-patients // 4)):
        sites = stream(seed, ASSIGNMENT, run // 4).permutation(len(SITES))
        order = stream(seed, ASSIGNMENT + 1, run).permutation(len(CLASSES))
        for place, target in enumerate(order):
            site = int(sites[(target + run) % len(SITES)])
            members.append(Patient(4 * run + place, site, seed, int(target)))
    return members[:patients]
