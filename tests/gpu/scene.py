"""Small trainings on which CUDA paths are tested: on a GPU, and as far as possible on a CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from mritk import Classification, Samples, Setup, Subset, Workspace
from mritk.plugins.registry import Registry
from mritk.protocol.recipe import Head, HiddenLayer, Recipe, Stage
from mritk.train.fine_tuning import FineTuning
from mritk.train.loop import finetune

# All that happens in and around a step, dropout included.
BUSY = Recipe(
    head=Head(hidden=(HiddenLayer(64, 0.3),)),
    label_smoothing=0.1,
    gradient_clip=1.0,
    mixup=0.2,
    cutmix=1.0,
    average=0.9,
)


@dataclass(frozen=True)
class Scene:
    """Where and on what a test trains.

    Attributes:
        device: Where.
        workspace: Its caches.
        backbone: One with BatchNorm.
        without_batch_norm: One without, whose batches may be divided.
        size: Side in pixels.
        images: Three quarters of them train.
        batch: Batch size.
        measured: What was compared, in words, also where it is as it should be.
    """

    device: str
    workspace: Workspace
    backbone: str = "resnet18"
    without_batch_norm: str = "convnext_tiny"
    size: int = 64
    images: int = 256
    batch: int = 32
    samples: Samples = field(init=False)
    measured: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        object.__setattr__(self, "samples", bands(self.images, self.size))

    @property
    def steps(self) -> int:
        """Steps of one epoch."""
        return self.images * 3 // 4 // self.batch

    def setup(self, *stages: Stage, recipe: Recipe | None = None, **changes: Any) -> Setup:
        """Return the setup of a training; fields of the setup may be changed."""
        registry, parted = Registry.load(environ={}), self.images * 3 // 4
        name = changes.pop("backbone", self.backbone)
        setup = Setup(
            parameters=replace(recipe or Recipe(), stages=stages, batch_size=self.batch),
            task=self.samples.task,
            train=Subset.of(self.samples, np.arange(parted), self.workspace),
            val=Subset.of(self.samples, np.arange(parted, self.images), self.workspace),
            augmentation=registry.augmentation("affine"),
            seed=0,
            workspace=self.workspace,
            backbone=registry.backbone(f"{name}@scratch"),
            image_size=self.size,
            device=self.device,
        )
        return replace(setup, **changes)

    def require_equal(self, scores: np.ndarray, expected: np.ndarray) -> None:
        """Require the same bits."""
        found = gap(scores, expected)
        self.require(found == 0, f"they differ by {found:.1e}" if found else "equal bit for bit")

    def require_close(self, scores: np.ndarray, expected: np.ndarray, limit: float) -> None:
        """Require no more than rounding, up to this share of the largest."""
        found = gap(scores, expected)
        self.require(found <= limit, f"differ by {found:.1e} of the largest (limit {limit:.0e})")

    def require_engine(self, *runs: Trained, engine: str = "graphs") -> None:
        """Require that the last stage of each run was computed in this way."""
        wrong = [run.engine for run in runs if run.engine != engine]
        assert not wrong, f"steps were {', '.join(wrong)}"

    def require(self, good: bool, measured: str) -> None:
        """Note what was measured, and fail if it is not good."""
        self.measured.append(measured)
        assert good, measured


def bands(count: int, side: int) -> Samples:
    """Return noisy images in four classes: the quarter that is bright."""
    rng = np.random.default_rng(0)
    targets = np.arange(count) % 4
    images = rng.integers(0, 120, (count, side, side)).astype(np.uint8)
    for image, target in zip(images, targets, strict=True):
        image[side // 4 * target : side // 4 * (target + 1)] += 100
    ids = [f"image-{i}" for i in range(count)]
    return Samples(ids, targets, Classification(tuple("abcd")), lambda i: images[i])


@dataclass(frozen=True, eq=False)
class Trained:
    """A training and what it predicts.

    Attributes:
        fitted: The model.
        scores: (N, 4) float32 logits of the validation part.
    """

    fitted: FineTuning
    scores: np.ndarray

    @property
    def engine(self) -> str:
        """How its last stage was computed."""
        return str(self.fitted.notes["engine"])


def trained(setup: Setup) -> Trained:
    """Train, and predict the validation part."""
    fitted = finetune(setup)
    return Trained(fitted, fitted.predict(setup.val))


def gap(scores: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference as a share of the largest expected value; 0: equal bits.

    NaN anywhere gives NaN, which is below no limit.
    """
    if np.array_equal(scores, expected):
        return 0.0
    return float(np.abs(scores - expected).max() / np.abs(expected).max())


@contextmanager
def float32_as_such() -> Iterator[None]:
    """Let a GPU compute convolutions with 24 bits; torch lets it take 11 (TensorFloat-32)."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before
