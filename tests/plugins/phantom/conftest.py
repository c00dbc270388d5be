"""A small phantom that all quick tests share: 8 patients at 4 mm, 64 pixels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("nilearn", reason="the phantom's anatomy is shipped by nilearn")

from mritk import Samples, Workspace
from mritk_phantom.recipe import Recipe
from mritk_phantom.store import ensure, open_samples

SMALL = Recipe(patients=8, size=64, resolution=4)


@dataclass(frozen=True)
class Phantom:
    """An open phantom together with what its folder keeps."""

    samples: Samples
    folder: Path
    workspace: Workspace

    @property
    def rows(self) -> list[dict]:
        """The table of slices."""
        return json.loads((self.folder / "samples.json").read_text())

    @property
    def images(self) -> np.ndarray:
        """All slices, uint8 (N, size, size)."""
        return np.stack([self.samples.read(i) for i in range(len(self.samples))])

    @property
    def masks(self) -> np.ndarray:
        """All lesion labels, uint8 (N, size, size)."""
        return np.load(self.folder / "lesions.npy")

    def patients(self, name: str) -> list[str]:
        """The patients of a class."""
        return list(dict.fromkeys(row["patient"] for row in self.rows if row["class"] == name))

    def volume(self, patient: str) -> dict[str, np.ndarray]:
        """What is kept of a patient in three dimensions."""
        with np.load(self.folder / "volumes" / f"{patient}.npz") as file:
            return dict(file)


def make(workspace: Workspace, recipe: Recipe) -> Phantom:
    """Generate a phantom in a workspace that does not have it."""
    samples = open_samples(recipe, workspace)
    return Phantom(samples, ensure(workspace, recipe), workspace)


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Phantom:
    """The small phantom."""
    return make(Workspace(tmp_path_factory.mktemp("phantom")), SMALL)


@pytest.fixture(scope="session")
def full(default_phantom: Workspace) -> Phantom:
    """The default phantom, for slow tests."""
    return make(default_phantom, Recipe())
