"""Times of training on a GPU: beside the bare steps, by each engine, and beside other loaders."""

from __future__ import annotations

import argparse
import gc
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.speed.bare_network import BareNetwork
from benchmarks.speed.epoch import TakingTurns, noise, train
from benchmarks.speed.measurement import Sample, median_seconds, ratio
from benchmarks.speed.peers_epoch import GPU_GOALS, TIMM, TORCHVISION, fed_by_loaders
from benchmarks.speed.pictures import write_pictures
from benchmarks.speed.report import rounded, verdict
from mritk import Setup, Subset, Workspace
from mritk.method import Precision
from mritk.plugins.registry import Registry
from mritk.protocol.recipe import Recipe, Stage

MAIN = ("resnet18", "convnext_tiny", "efficientnetv2_s", "densenet121")
OVER_FLOOR = 1.03
# Engines whose steps are replayed as CUDA graphs.
REPLAYED = ("graphs", "compile")
# Images/s that the kernels of a step alone allow, at 224 px and batch 128 in bfloat16 on an H200:
# the sum of their times (2026-11-26, torch 2.11).
KERNELS = {
    "resnet18": 12_400, "convnext_tiny": 2_885, "efficientnetv2_s": 2_815, "densenet121": 2_672,
}  # fmt: skip
# Under how many names a picture stands: to draw one takes longer than to read it.
NAMES = 8


@dataclass(frozen=True)
class Case:
    """A training to be timed.

    Attributes:
        backbone: Its architecture.
        engine: ``eager``, ``compile`` or ``graphs``.
        batch: Batch size.
        deterministic: Whether it is repeatable.
        size: Side in pixels.
        precision: As in a protocol.
    """

    backbone: str
    engine: str = "eager"
    batch: int = 128
    deterministic: bool = False
    size: int = 224
    precision: Precision = "auto"

    @property
    def columns(self) -> dict[str, Any]:
        """What the rows of tables begin with."""
        return {
            "backbone": self.backbone,
            "px": self.size,
            "batch": self.batch,
            "engine": self.engine,
        }

    def __str__(self) -> str:
        way = "deterministic" if self.deterministic else self.engine
        precision = "" if self.precision == "auto" else f", {self.precision}"
        return f"{self.backbone}, {self.size} px, batch {self.batch}, {way}{precision}"


@dataclass
class Times:
    """Times trainings on one device, and remembers what they came to.

    Attributes:
        device: Where.
        workspace: Its caches; images of a size are decoded once.
        images: Images of an epoch.
        validation: Images that are predicted after it.
        repeats: Epochs that count.
        rates: Images/s of what was timed so far.
    """

    device: str
    workspace: Workspace
    images: int = 4096
    validation: int = 256
    repeats: int = 3
    rates: dict[Case, float] = field(default_factory=dict)

    def setup(self, case: Case, repeats: int) -> Setup:
        """Return the setup of a case, backbone and all; the first epoch will not count."""
        samples = _noise(self.images + self.validation, case.size)
        rows, registry = np.arange(len(samples)), Registry.load(environ={})
        return Setup(
            parameters=Recipe((Stage(repeats + 1, "all"),), batch_size=case.batch),
            task=samples.task,
            train=Subset.of(samples, rows[: self.images], self.workspace),
            val=Subset.of(samples, rows[self.images :], self.workspace),
            augmentation=registry.augmentation("affine"),
            seed=0,
            workspace=self.workspace,
            backbone=registry.backbone(f"{case.backbone}@scratch"),
            image_size=case.size,
            device=self.device,
            precision=case.precision,
            deterministic=case.deterministic,
            compile=case.engine == "compile",
            graphs=case.engine in REPLAYED,
        )

    def floor(self, case: Case) -> BareNetwork:
        """Return the bare network, with the optimiser that is fastest on a GPU.

        Its steps are replayed where those of the case are, and never compiled.
        """
        floor = BareNetwork(
            case.backbone,
            size=case.size,
            batch=case.batch,
            steps=self.images // case.batch,
            unseen=self.validation,
            device=self.device,
        )
        floor.optimiser = torch.optim.AdamW(floor.model.parameters(), lr=1e-4, fused=True)
        if case.engine in REPLAYED and self.device.startswith("cuda"):
            floor.replay_steps()
        return floor

    def take_turns(
        self, case: Case, others: Mapping[str, Callable[[], object]], floor: BareNetwork
    ) -> TakingTurns:
        """Train, and let the floor and the others run after each epoch.

        Raises:
            RuntimeError: The training continued by another engine than that of the case.
        """
        turns = TakingTurns(floor, others)
        with warnings_of_mritk() as told:
            train(self.setup(case, self.repeats), turns)
        if told and case.engine != "eager":
            raise RuntimeError(told[0])
        return turns

    def rate(self, case: Case, samples: list[Sample]) -> float:
        """Return images/s of epochs with the images of the case's full batches."""
        return self.images // case.batch * case.batch / median_seconds(samples)

    def epoch(self, case: Case) -> dict[str, Any]:
        """Time a case beside the floor."""
        if self.device.startswith("cuda"):
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)
        turns = self.take_turns(case, {}, self.floor(case))
        over = ratio(turns.training, turns.floor_training)
        self.rates[case] = self.rate(case, turns.training)
        return {
            **case.columns,
            "deterministic": case.deterministic,
            "images/s": round(self.rates[case]),
            "floor, images/s": round(self.rate(case, turns.floor_training)),
            "ratio": round(over, 3),
            "peak with floor, GB": self._peak(),
            "goals": self.goals(case, over),
            "samples": _plain(turns),
        }

    def beside(self, case: Case, other: Case) -> dict[str, Any]:
        """Time two cases that differ in their precision, one after the other."""
        samples = {str(one): self.epoch(one)["samples"] for one in (case, other)}
        rates = self.rates[case], self.rates[other]
        return {
            **case.columns,
            f"{case.precision}, images/s": round(rates[0]),
            f"{other.precision}, images/s": round(rates[1]),
            "gain": round(rates[1] / rates[0], 3),
            "samples": samples,
        }

    def goals(self, case: Case, over: float) -> str:
        """Return the goals of a case that was timed, and which are met."""
        rate, standard = self.rates[case], Case(case.backbone, case.engine)
        if case.deterministic:
            eager = self.rates.get(replace(case, deterministic=False))
            return f"{rate / eager:.2f} of eager" if eager else ""
        found = [] if case.engine == "compile" else [verdict(over, at_most=OVER_FLOOR)]
        if case.batch < standard.batch:
            large = self.rates.get(standard)
            found += [f"{rate / large:.2f} of batch {standard.batch}"] if large else []
        elif case.engine != "eager" and case.size == standard.size:
            kernels = KERNELS.get(case.backbone)
            found.append(verdict(rate, at_least=round(kernels / OVER_FLOOR) if kernels else None))
        return "; ".join(filter(None, found))

    def beside_peers(self, case: Case, folder: Path, workers: int) -> dict[str, Any]:
        """Time a case beside the same network that other libraries' loaders feed.

        Args:
            case: What is timed.
            folder: With ``train/CLASS/*.jpg``, as many as an epoch has.
            workers: Of each loader.
        """
        floor = self.floor(case)
        options = argparse.Namespace(batch=case.batch, workers=workers)
        loaders = fed_by_loaders(floor, folder, case.size, options, self.device)
        turns = self.take_turns(case, loaders, floor)
        others = {name: ratio(of, turns.training) for name, of in turns.of_others.items()}
        goal = GPU_GOALS.get(case.backbone)
        return {
            "backbone": case.backbone,
            "px": case.size,
            "batch": case.batch,
            "workers": workers,
            "mritk, images/s": round(self.rate(case, turns.training)),
            **{
                f"{name}, images/s": round(self.rate(case, of))
                for name, of in turns.of_others.items()
            },
            "torchvision / mritk": rounded(others[TORCHVISION]),
            "timm / mritk": rounded(others[TIMM]),
            "goal": verdict(others[TORCHVISION], at_least=goal),
            "samples": _plain(turns),
        }

    def _peak(self) -> float | None:
        if not self.device.startswith("cuda"):
            return None
        return rounded(torch.cuda.max_memory_allocated(self.device) / 1e9)


@contextmanager
def warnings_of_mritk() -> Iterator[list[str]]:
    """Yield what mritk warns of inside the block, such as a way that it had to leave."""
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record.getMessage())

    handler = Handler(logging.WARNING)
    logger = logging.getLogger("mritk")
    logger.addHandler(handler)
    try:
        yield told
    finally:
        logger.removeHandler(handler)


# To draw the images and to digest them takes longer than some of the epochs.
_noise = lru_cache(maxsize=1)(noise)


def write_many_pictures(folder: Path, count: int) -> None:
    """Write ``train/CLASS/*.jpg``: each picture that is drawn stands there under several names."""
    write_pictures(folder, {"train": -(-count // NAMES)})
    drawn = sorted(folder.glob("train/*/*.jpg"))
    for number in range(count - len(drawn)):
        path = drawn[number % len(drawn)]
        os.link(path, path.with_name(f"again-{number:05d}.jpg"))


def _plain(turns: TakingTurns) -> dict[str, list[float]]:
    """Return all seconds."""
    of = {"training": turns.training, "floor": turns.floor_training, **turns.of_others}
    return {name: [sample.seconds for sample in samples] for name, samples in of.items()}
