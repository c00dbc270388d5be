"""Checks that trainings on a GPU are what they should be: equal, close, and within their bounds.

Each check takes a :class:`~benchmarks.speed.gpu_scene.Scene` and returns what it found. None of
them passes without the thing that it checks: on a CPU there is no graph, and the check says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from benchmarks.speed.gpu_scene import BUSY, Scene, Trained, float32_as_such, gap, trained
from mritk import Augmentation
from mritk.batches import resident
from mritk.machine.device import repeatable
from mritk.plugins.registry import Registry
from mritk.probe.features import FrozenBackbone
from mritk.protocol.recipe import Probe, Stage
from mritk.train import graphs
from mritk.train.checkpoint import Checkpoint

NEVER = 10**9
NOTHING = Augmentation("none", None)


@dataclass(frozen=True)
class Found:
    """What a check found.

    Attributes:
        measured: In words.
        ok: Whether that is as it should be.
    """

    measured: str
    ok: bool


def equal(scores: np.ndarray, expected: np.ndarray) -> Found:
    """Judge scores that must have the same bits."""
    found = gap(scores, expected)
    return Found("equal bit for bit" if found == 0 else f"they differ by {found:.1e}", found == 0)


def close(scores: np.ndarray, expected: np.ndarray, limit: float) -> Found:
    """Judge scores that may differ by rounding, up to this share of the largest."""
    found = gap(scores, expected)
    return Found(f"differ by {found:.1e} of the largest (limit {limit:.0e})", found <= limit)


def repeats(scene: Scene) -> Found:
    """Two deterministic runs are equal."""
    setup = scene.setup(Stage(2), recipe=BUSY, deterministic=True)
    return equal(trained(setup).scores, trained(setup).scores)


def as_on_a_cpu(scene: Scene) -> Found:
    """An epoch in float32 agrees with the same epoch on the CPU."""
    stage = Stage(1, optimizer="sgd", learning_rate=1e-2)
    setup = scene.setup(stage, precision="float32")
    with float32_as_such():
        here = trained(setup)
    return close(here.scores, trained(replace(setup, device="cpu")).scores, 1e-2)


def tensor_float_32(scene: Scene) -> Found:
    """What torch's default for float32 convolutions on a GPU changes in untrained logits."""
    setup = scene.setup(precision="float32")
    default = trained(setup).scores
    with float32_as_such():
        return close(default, trained(setup).scores, 1e-2)


def learns(scene: Scene) -> Found:
    """The precision that is chosen for the device learns four classes (chance 0.25)."""
    setup = scene.setup(Stage(4))
    run = trained(setup)
    accuracy = float((run.scores.argmax(1) == setup.val.targets).mean())
    return Found(f"accuracy {accuracy:.2f} in {run.fitted.notes['precision']}", accuracy > 0.6)


def frozen_rests(scene: Scene) -> Found:
    """A frozen backbone keeps every tensor, and the head learns."""
    run = trained(scene.setup(Stage(1, "head", train_last=0.0), recipe=BUSY))
    names = run.fitted.progress.changed["head"]
    moved = [name for name in names if name.startswith("backbone.")]
    return Found(
        f"{len(moved)} of its tensors moved, {len(names)} in all", not moved and names != []
    )


def _by_graphs(scene: Scene, *, recorded: bool) -> Trained:
    setup = scene.setup(Stage(3), recipe=BUSY, deterministic=True, graphs=True)
    with mock.patch.object(graphs, "WARM_UP", graphs.WARM_UP if recorded else NEVER):
        return trained(setup)


def graphs_repeat_steps(scene: Scene) -> Found:
    """Replayed steps are those that the same optimiser makes one by one."""
    replayed, one_by_one = (_by_graphs(scene, recorded=recorded) for recorded in (True, False))
    if replayed.engine != "graphs" or one_by_one.engine != "eager":
        return Found(f"steps were {replayed.engine} and {one_by_one.engine}", False)
    return equal(replayed.scores, one_by_one.scores)


def graphs_are_close_to_eager(scene: Scene) -> Found:
    """Graphs round learning rates to float32, and change nothing else."""
    setup = scene.setup(Stage(2, learning_rate=1e-4), deterministic=True, precision="float32")
    with float32_as_such():
        replayed, eager = trained(replace(setup, graphs=True)), trained(setup)
    if replayed.engine != "graphs":
        return Found(f"steps were {replayed.engine}", False)
    return close(replayed.scores, eager.scores, 5e-2)


def compiled_is_close_to_eager(scene: Scene) -> Found:
    """By SGD: Adam makes a full step of a gradient that is zero but for rounding."""
    stage = Stage(1, optimizer="sgd", learning_rate=1e-2)
    setup = scene.setup(stage, precision="float32")
    with float32_as_such():
        compiled, eager = trained(replace(setup, compile=True)), trained(setup)
    if compiled.engine != "compile":
        return Found(f"steps were {compiled.engine}", False)
    return close(compiled.scores, eager.scores, 1e-2)


class _Stop(BaseException):
    """What ends a process passes all handlers of errors."""


def goes_on(scene: Scene, *, by_graphs: bool = False) -> Found:
    """A training that was stopped within an epoch goes on as if it had not been."""
    setup = scene.setup(Stage(2), recipe=BUSY, deterministic=True, graphs=by_graphs)
    whole, apply = trained(setup), setup.augmentation.apply
    assert apply is not None
    at, seen = scene.steps + max(1, scene.steps // 2), iter(range(NEVER))

    def stop(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        if next(seen) == at:
            raise _Stop
        return apply(images, generator)

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "checkpoint")
        for augment in (stop, apply):
            checkpoint = Checkpoint(file, {}, [], every=0.0)
            there = replace(
                setup, checkpoint=checkpoint, augmentation=Augmentation("affine", augment)
            )
            try:
                gone_on = trained(there)
            except _Stop:
                continue
            finally:
                checkpoint.close()
    if by_graphs and whole.engine != "graphs":
        return Found(f"steps were {whole.engine}", False)
    return equal(gone_on.scores, whole.scores)


def streamed_is_resident(scene: Scene) -> Found:
    """Batches that are sent while the GPU computes are those that it has already."""
    setup = scene.setup(Stage(2), deterministic=True)
    there = trained(setup)
    with mock.patch.object(resident, "MEMORY_SHARE", 0.0):
        sent = trained(setup)
    if not there.fitted.training.train.nbytes or sent.fitted.training.train.nbytes:
        return Found("both lay in the same memory", False)
    return equal(sent.scores, there.scores)


def features_as_on_a_cpu(scene: Scene) -> Found:
    """Features of a frozen backbone agree with those of the CPU."""
    setup = scene.setup(Stage(1), precision="float32", augmentation=NOTHING)
    with float32_as_such():
        here = FrozenBackbone(setup).features(setup.train).values
    there = FrozenBackbone(replace(setup, device="cpu")).features(setup.train).values
    return close(here, there, 1e-3)


def probe_as_on_a_cpu(scene: Scene) -> Found:
    """So does the linear probe on them."""
    method = Registry.load(environ={}).method("linear_probe")
    setup = replace(
        scene.setup(Stage(1), precision="float32", augmentation=NOTHING),
        parameters=Probe(penalties=(1.0,)),
    )
    with float32_as_such():
        here = method.fit(setup).predict(setup.val)
    there = method.fit(replace(setup, device="cpu")).predict(setup.val)
    return close(here, there, 1e-2)


def augmentations_as_on_a_cpu(scene: Scene) -> Found:
    """A batch is augmented alike on every device, and twice with the same bits.

    A pixel that lies on a border between two values may fall to either side: means are compared.
    """
    registry = Registry.load(environ={})
    images = torch.rand(scene.batch, 1, scene.size, scene.size, generator=_drawn(0))
    wrong, names = [], [record.name for record in registry.records(Augmentation)]
    for name in names:
        apply = registry.augmentation(name).apply
        if apply is None:
            continue
        with repeatable(scene.device, deterministic=True):
            first, second = (apply(images.to(scene.device), _drawn(1)).cpu() for _ in range(2))
        if not torch.equal(first, second):
            wrong.append(f"{name} differs from itself")
        off = float((first - apply(images, _drawn(1))).abs().mean())
        if not off <= 1e-3:
            wrong.append(f"{name} is off by {off:.1e} on average")
    return Found("; ".join(wrong) or f"{len(names)} agree", not wrong)


def _drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


Check = Callable[[Scene], Found]

# Name, seconds that it may take on a GPU, check.
EXACTNESS: tuple[tuple[str, int, Check], ...] = (
    ("two deterministic runs", 20, repeats),
    ("an epoch in float32, GPU and CPU", 25, as_on_a_cpu),
    ("float32 logits with TensorFloat-32, and without", 10, tensor_float_32),
    ("learning", 10, learns),
    ("frozen backbone", 10, frozen_rests),
    ("graphs and the same steps one by one", 15, graphs_repeat_steps),
    ("graphs and eager", 15, graphs_are_close_to_eager),
    ("stopped and gone on", 20, goes_on),
    ("stopped and gone on, by graphs", 20, partial(goes_on, by_graphs=True)),
    ("data sent in batches, and data on the GPU", 15, streamed_is_resident),
    ("features, GPU and CPU", 15, features_as_on_a_cpu),
    ("linear probe, GPU and CPU", 10, probe_as_on_a_cpu),
    ("augmentations, GPU and CPU", 15, augmentations_as_on_a_cpu),
)
# Compiling takes long; it comes when the rest is known.
LAST: tuple[tuple[str, int, Check], ...] = (("compiled and eager", 60, compiled_is_close_to_eager),)
