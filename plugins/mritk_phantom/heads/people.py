"""Who is in a phantom of heads: age, sex, tumour, site, number of scans and official part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk_phantom.cohort import Member, stream
from mritk_phantom.recipe import CLASSES

# Keep the streams that assign people to rows apart from those of the people.
SITING, TUMOURS = 2**31 + 2, 2**31 + 3

YOUNGEST, OLDEST = 18.0, 90.0
# A run of twenty people by site, as an index into mritk_phantom.heads.scanner.SITES.
RUN = (0,) * 6 + (1,) * 6 + (2,) * 5 + (3,) * 3
LAST_SITE = 3
# Share of the people that are scanned twice.
SCANNED_TWICE = 0.2


@dataclass(frozen=True)
class Person(Member):
    """One synthetic patient of ``phantom3d``.

    Attributes:
        age: In years.
        male: Whether the patient is a man.
        tumour: Index into :data:`mritk_phantom.recipe.CLASSES`.
        scans: 1 or 2.
        part: Official part, ``train`` or ``test``.
    """

    age: float
    male: bool
    tumour: int
    scans: int
    part: str


def people(count: int, seed: int, *, healthy: bool) -> list[Person]:
    """Return the cohort. Person ``i`` is the same in a cohort of any size.

    Every run of twenty has each site in its share and, unless healthy, each class five times. The
    people of the last site, and one in each other site, are the official test set: 3 of its 6
    people are from a scanner that is not in the training set.
    """
    members: list[Person] = []
    for run in range(-(-count // len(RUN))):
        rng = stream(seed, SITING, run)
        sites = rng.permutation(RUN)
        classes = stream(seed, TUMOURS, run).permutation(np.arange(len(RUN)) % len(CLASSES))
        tested: set[int] = set()
        for place, site in enumerate(sites.tolist()):
            index = run * len(RUN) + place
            own = stream(seed, index, 0)
            age = round(float(own.uniform(YOUNGEST, OLDEST)), 1)
            male = bool(own.random() < 0.5)
            scans = 2 if own.random() < SCANNED_TWICE else 1
            part = "test" if site == LAST_SITE or site not in tested else "train"
            tested.add(site)
            tumour = CLASSES.index("none") if healthy else int(classes[place])
            members.append(Person(index, site, seed, age, male, tumour, scans, part))
    return members[:count]
