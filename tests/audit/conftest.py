"""Pictures with structure, and a way to audit them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import pytest
from scipy import ndimage

from mritk import Classification, Samples, Workspace
from mritk.audit.audit import Audit, audit


def make_heads(count: int, side: int = 96, seed: int = 0) -> list[np.ndarray]:
    """Return pictures (side, side) uint8 of different random structure inside an ellipse."""
    return [picture.copy() for picture in _heads(count, side, seed)]


@cache
def _heads(count: int, side: int, seed: int) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    pictures = []
    for _ in range(count):
        height, width = generator.uniform(0.55, 0.75, 2)
        noise = ndimage.gaussian_filter(generator.normal(size=(side, side)), side / 20)
        noise += 0.3 * ndimage.gaussian_filter(generator.normal(size=(side, side)), side / 60)
        inside = (y / height) ** 2 + (x / width) ** 2 < 1
        picture = (140 + 60 * noise / noise.std()) * inside
        pictures.append(np.clip(ndimage.gaussian_filter(picture, 0.7), 0, 255).astype(np.uint8))
    return pictures


@pytest.fixture
def heads() -> list[np.ndarray]:
    """Twelve different pictures."""
    return make_heads(12)


@pytest.fixture
def as_samples() -> Callable[..., Samples]:
    """Make samples of given pictures; labels alternate unless they are given."""

    def make(pictures: Sequence[np.ndarray], prefix: str = "image", **columns) -> Samples:
        columns.setdefault("targets", np.arange(len(pictures)) % 2)
        columns.setdefault("task", Classification(("a", "b")))
        return Samples(
            ids=[f"{prefix}-{i:03d}" for i in range(len(pictures))],
            read=lambda i: pictures[i],
            **columns,
        )

    return make


@pytest.fixture
def audited(workspace: Workspace) -> Callable[..., Audit]:
    """Audit samples under the names first, second, …"""

    def run(*datasets: Samples, sources: Sequence[Sequence[str]] = ()) -> Audit:
        names = ("first", "second", "third")
        declared = sources or [()] * len(datasets)
        return audit(
            [(n, d, (), s) for n, d, s in zip(names, datasets, declared, strict=False)], workspace
        )

    return run
