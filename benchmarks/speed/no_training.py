"""A plugin whose trials take no time, so that a run costs what mritk itself costs.

mritk run -p benchmarks/speed/no_training.py -d dots --protocol nothing --seeds 1000
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mritk import Classification, Dataset, Method, ProtocolFile, Samples, Setup, Subset, hookimpl

PROTOCOL = """
method = "nothing"
image_size = 8

[parameters]
variant = 0
"""
SAMPLES = 24


@dataclass(frozen=True)
class Parameters:
    """What may be varied, so that a benchmark has as many rows as it wants.

    Attributes:
        variant: Any number; it changes the fingerprint and nothing else.
    """

    variant: int = 0


@dataclass(frozen=True)
class Nothing:
    """Scores that are drawn, not learnt."""

    seed: int
    notes: dict[str, Any] = field(default_factory=dict)

    def predict(self, subset: Subset) -> np.ndarray:
        """Return logits (N, 2) in float32."""
        draw = np.random.default_rng(self.seed)
        return draw.normal(size=(len(subset), 2)).astype(np.float32)


def fit(setup: Setup) -> Nothing:
    """Learn nothing."""
    return Nothing(setup.seed)


def dots(root: Any) -> Samples:
    """Return 24 images of 8 × 8 pixels, of two classes and 12 patients."""
    images = np.random.default_rng(0).integers(0, 256, (SAMPLES, 8, 8)).astype(np.uint8)
    return Samples(
        ids=[f"dot-{k:02d}" for k in range(SAMPLES)],
        targets=np.arange(SAMPLES) // 2 % 2,
        task=Classification(("left", "right")),
        read=lambda k: images[k],
        patients=[f"patient-{k // 2:02d}" for k in range(SAMPLES)],
    )


@hookimpl
def mritk_datasets() -> Iterator[Dataset]:
    """Provide the dataset."""
    yield Dataset("dots", dots)


@hookimpl
def mritk_methods() -> Iterator[Method]:
    """Provide the method."""
    yield Method("nothing", fit, Parameters, uses_backbone=False, uses_augmentation=False)


@hookimpl
def mritk_protocols() -> Iterator[ProtocolFile]:
    """Provide the protocol."""
    yield ProtocolFile("nothing", lambda: PROTOCOL)
