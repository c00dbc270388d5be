"""Fixtures for tests of training: an easy dataset, a setup on it, recorded training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import nn

from mritk import (
    Architecture,
    Augmentation,
    Classification,
    InputContract,
    Samples,
    Setup,
    Subset,
    Workspace,
)
from mritk.backbone import Backbone
from mritk.protocol.recipe import Recipe, Stage
from mritk.train.fine_tuning import FineTuning
from mritk.train.loop import train
from mritk.train.progress import Progress
from mritk.train.selection import BestState
from mritk.train.training import Training, prepare

HALF = (0.5, 0.5, 0.5)
SIDE = 16
TRAIN, VAL, TEST = np.arange(0, 40), np.arange(40, 60), np.arange(60, 72)


class KeepsGrid(nn.Module):
    """A network that computes its position grid with the first batch, and keeps it."""

    grid: torch.Tensor | None = None

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        maps = self.conv(batch)
        if self.grid is None:
            self.grid = torch.linspace(0, 1, maps.shape[-1])
        return (maps * self.grid).mean((2, 3))


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small lose time to a second thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build_small() -> nn.Module:
    """Two convolutions with BatchNorm, then pooled halves."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten()),
    )


@pytest.fixture
def bands() -> Callable[..., Samples]:
    """Make 72 small images: the class is the half that is bright."""

    def make(**changes) -> Samples:
        rng = np.random.default_rng(0)
        targets = np.arange(72) % 2
        images = rng.integers(0, 120, (72, SIDE, SIDE)).astype(np.uint8)
        for image, target in zip(images, targets, strict=True):
            image[8 * target : 8 * target + 8] += 100
        columns = {
            "ids": [f"image-{i:02d}" for i in range(72)],
            "targets": targets,
            "task": Classification(("top", "bottom")),
            "read": lambda i: images[i],
        }
        return Samples(**{**columns, **changes})

    return make


@pytest.fixture
def make_setup(workspace: Workspace, bands: Callable[..., Samples]) -> Callable[..., Setup]:
    """Make the setup of a fine-tuning of ``build``; stages and further fields are added."""

    def make(
        *stages: Stage,
        build: Callable[[], nn.Module] = build_small,
        recipe: dict | None = None,
        samples: Samples | None = None,
        declared=None,
        contract: InputContract | None = None,
        **fields,
    ) -> Setup:
        samples = bands() if samples is None else samples
        contract = contract or InputContract(SIDE, HALF, HALF)
        architecture = Architecture("small", build, contract, declared)
        chosen = {
            "parameters": Recipe(
                stages=stages or (Stage(epochs=2, learning_rate=1e-2),),
                **{"batch_size": 8, **(recipe or {})},
            ),
            "task": samples.task,
            "train": Subset.of(samples, TRAIN, workspace),
            "val": Subset.of(samples, VAL, workspace),
            "augmentation": Augmentation("none", None),
            "seed": 0,
            "workspace": workspace,
            "backbone": Backbone(architecture),
            "image_size": SIDE,
        }
        return Setup(**{**chosen, **fields})

    return make


@pytest.fixture
def unseen(workspace: Workspace, bands: Callable[..., Samples]) -> Subset:
    """The samples that no training may see."""
    return Subset.of(bands(), TEST, workspace)


def untrained(training: Training) -> FineTuning:
    """Return the model of a training that has not begun."""
    setup = training.setup
    return FineTuning(training, Progress(BestState(setup.selection, setup.task)))


@dataclass
class Recorded:
    """A training, with the state of the network after each epoch.

    Attributes:
        fitted: What came of it; absent while it runs.
    """

    training: Training
    start: dict[str, torch.Tensor]
    fitted: FineTuning = field(init=False)
    states: list[dict[str, torch.Tensor]] = field(default_factory=list)
    epochs: list = field(default_factory=list)

    @property
    def end(self) -> dict[str, torch.Tensor]:
        return copy_state(self.training.network)


def copy_state(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


@pytest.fixture
def record(make_setup: Callable[..., Setup]) -> Callable[..., Recorded]:
    """Train all stages of a setup and keep the state after every epoch."""

    def run(*stages: Stage, **fields) -> Recorded:
        def on_epoch(epoch) -> None:
            recorded.epochs.append(epoch)
            recorded.states.append(copy_state(training.network))

        training = prepare(make_setup(*stages, on_epoch=on_epoch, **fields))
        recorded = Recorded(training, copy_state(training.network))
        recorded.fitted = train(training)
        return recorded

    return run


@pytest.fixture
def changed() -> Callable[[dict, dict], set[str]]:
    """Return the names of the tensors that differ in any bit between two states."""

    def compare(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> set[str]:
        assert one.keys() == other.keys()
        return {name for name in one if not torch.equal(one[name], other[name])}

    return compare
