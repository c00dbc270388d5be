"""The tiles of a cohort as samples, each drawn when it is read."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from mritk import Classification, Samples, Workspace
from mritk_tiles.cohort import Cohort
from mritk_tiles.texture import draw_tile

# Raise this when the pixels change.
VERSION = 2
CLASSES = ("upright", "level")


def open_tiles(cohort: Cohort, blur: float, workspace: Workspace) -> Samples:
    """Return the tiles of a cohort: (side, side, 3) uint8, the case as their patient.

    Nothing is kept in the workspace: a tile is drawn faster than it is read from a disk.

    Args:
        cohort: What is drawn.
        blur: Standard deviation of a Gaussian over each tile, in pixels; 0: none.
        workspace: Not used.
    """
    places = [(c, t) for c in range(cohort.cases) for t in range(cohort.tiles)]

    def read(row: int) -> np.ndarray:
        case, tile = places[row]
        return draw_tile(
            np.random.default_rng([cohort.seed, case]),
            # From 1: an entropy of [seed, case, 0] would be that of the case itself.
            np.random.default_rng([cohort.seed, case, 1 + tile]),
            side=cohort.side,
            level=bool(case % 2),
            blur=blur,
        )

    def digest(row: int) -> str:
        """Return what a tile is a function of: to draw all of them for it would take longer."""
        told = json.dumps([VERSION, cohort.seed, cohort.side, blur, *places[row]])
        return hashlib.sha256(told.encode()).hexdigest()

    return Samples(
        ids=[f"case{c:03d}/tile{t:02d}" for c, t in places],
        targets=np.array([c % 2 for c, _ in places]),
        task=Classification(CLASSES),
        read=read,
        digest=digest,
        patients=[f"case{c:03d}" for c, _ in places],
    )
