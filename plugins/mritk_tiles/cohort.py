"""A cohort of synthetic cases, half of each class, with several tiles each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial

import numpy as np

from mritk import Classification, Samples, Workspace
from mritk_tiles.texture import draw_tile

# Raise this when the pixels change.
VERSION = 1
CLASSES = ("upright", "level")


@dataclass(frozen=True)
class Cohort:
    """What is drawn.

    Attributes:
        cases: Number of cases; every other one is of the second class.
        tiles: Tiles per case.
        side: Side of a tile in pixels.
        seed: Another seed is another cohort.
    """

    cases: int = 40
    tiles: int = 6
    side: int = 456
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("cases", 2), ("tiles", 1), ("side", 32), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")


def open_cohort(cohort: Cohort, blur: float, workspace: Workspace) -> Samples:
    """Return the tiles of a cohort; each is drawn when it is read.

    Args:
        cohort: What is drawn.
        blur: Standard deviation of a Gaussian over each tile, in pixels; 0: none.
        workspace: Not used: nothing is kept.
    """
    case = np.repeat(np.arange(cohort.cases), cohort.tiles)
    tile = np.tile(np.arange(cohort.tiles), cohort.cases)
    return Samples(
        ids=[f"case{c:03d}/tile{t:02d}" for c, t in zip(case, tile, strict=True)],
        targets=case % 2,
        task=Classification(CLASSES),
        read=partial(_read, cohort, blur, case, tile),
        digest=partial(_digest, cohort, blur),
        patients=[f"case{c:03d}" for c in case],
    )


def _read(cohort: Cohort, blur: float, case: np.ndarray, tile: np.ndarray, row: int) -> np.ndarray:
    return draw_tile(
        np.random.default_rng([cohort.seed, case[row]]),
        np.random.default_rng([cohort.seed, case[row], 1 + tile[row]]),
        side=cohort.side,
        level=bool(case[row] % 2),
        blur=blur,
    )


def _digest(cohort: Cohort, blur: float, row: int) -> str:
    """Return what a tile is a function of: drawing all of them to hash them would take longer."""
    told = json.dumps([VERSION, asdict(cohort), blur, row])
    return hashlib.sha256(told.encode()).hexdigest()
