"""Checks that trainings on a GPU stay within bounds: of memory, of numbers, of waiting.

As in :mod:`benchmarks.speed.gpu_checks`, and to be run beside them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from unittest import mock

import torch

from benchmarks.speed.gpu_checks import Check, Found, close
from benchmarks.speed.gpu_scene import BUSY, Scene, float32_as_such, trained
from mritk import Augmentation
from mritk.errors import NonFiniteLoss
from mritk.machine.peak_memory import PeakMemory
from mritk.method import Epoch
from mritk.plugins.registry import Registry
from mritk.protocol.recipe import Stage
from mritk.train import divergence, stage_run
from mritk.train.divergence import LossWatch
from mritk.train.graphs import GraphedStep
from mritk.train.step import TrainingStep

GIB = 2**30
# What a prediction of memory may be off: cuDNN takes and leaves workspaces as it likes.
FORESEEN = (0.6, 1.5)


@contextmanager
def memory_limit(device: str, nbytes: int) -> Iterator[None]:
    """Let tensors take no more than ``nbytes`` beyond what they hold now."""
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    share = (torch.cuda.memory_reserved(device) + nbytes) / total
    torch.cuda.set_per_process_memory_fraction(min(1.0, share), device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)


def batches_are_divided(scene: Scene) -> Found:
    """With memory for half a batch, the steps are those of the whole one."""
    stage = Stage(1, optimizer="sgd", learning_rate=1e-2)
    setup = scene.setup(stage, precision="float32", backbone=scene.without_batch_norm)
    with float32_as_such():
        whole = trained(setup)
        estimate = whole.fitted.progress.memory
        assert estimate is not None
        room = estimate.constant + estimate.per_image * scene.batch // 2
        expected = whole.scores
        del whole
        with memory_limit(scene.device, room):
            parts = trained(setup)
    size = parts.fitted.progress.micro_batch
    if not 0 < size < scene.batch:
        return Found(f"{room / GIB:.2f} GiB held the whole batch of {scene.batch}", False)
    found = close(parts.scores, expected, 1e-2)
    return replace(found, measured=f"parts of {size}; {found.measured}")


def memory_is_foreseen(scene: Scene) -> Found:
    """What a step takes is near to what was predicted before the first."""
    gc.collect()
    peak = PeakMemory(scene.device)
    before = peak.measured().get("peak_device_memory_bytes")
    run = trained(scene.setup(Stage(2)))
    if before is None or run.fitted.progress.memory is None:
        return Found("nothing was measured", False)
    took = peak.measured()["peak_device_memory_bytes"] - before
    predicted = run.fitted.progress.memory.at(scene.batch)
    ratio = took / predicted
    text = f"{took / GIB:.2f} GiB, foreseen {predicted / GIB:.2f} GiB: {ratio:.2f} times"
    return Found(text, FORESEEN[0] <= ratio <= FORESEEN[1])


def memory_is_released(scene: Scene) -> Found:
    """A training that is over leaves no memory of tensors behind, without the collector's help."""
    if not scene.device.startswith("cuda"):
        return Found("nothing was measured", False)
    held = []
    for seed in range(3):  # what libraries keep for themselves, the first one takes
        gc.collect()
        gc.disable()
        try:
            trained(replace(scene.setup(Stage(1)), seed=seed))
            held.append(torch.cuda.memory_allocated(scene.device))
        finally:
            gc.enable()
    left = held[-1] - held[0]
    return Found(f"{left / 2**20:.1f} MiB of two trainings", left < 2**20)


def nonsense_is_stopped(scene: Scene, *, by_graphs: bool = False) -> Found:
    """An image that is no number at one step stops the training, which names the step."""
    steps, at = scene.steps, scene.steps - 1
    setup = scene.setup(Stage(3), graphs=by_graphs)
    seen = iter(range(10**9))

    def spoil(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return images * torch.nan if next(seen) == at else images

    made: list[GraphedStep] = []

    class Noted(GraphedStep):
        def __init__(self, step: TrainingStep) -> None:
            super().__init__(step)
            made.append(self)

    try:
        with mock.patch.object(stage_run, "GraphedStep", Noted):
            trained(replace(setup, augmentation=Augmentation("spoil", spoil)))
    except NonFiniteLoss as error:
        if by_graphs and not any(step.recorded for step in made):
            return Found("no step was replayed", False)
        named = f"is nan at step {at + 1} of epoch 1 " in str(error)
        return Found(str(error).partition(" at learning")[0], named and next(seen) <= 2 * steps)
    return Found("it went on", False)


@dataclass
class Forbidden:
    """Makes every wait of the host an error: from the second epoch on, while steps are made.

    An epoch ends with the one wait that it may have, for its mean loss.

    Attributes:
        steps: How many steps were watched so far.
    """

    apply: Callable[[torch.Tensor, torch.Generator], torch.Tensor]
    steps: int = 0
    _epochs: int = 0

    def augment(self, images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Begin, or go on, to forbid; then augment."""
        if self._epochs:
            torch.cuda.set_sync_debug_mode("error")
            self.steps += 1
        return self.apply(images, generator)

    def after_epoch(self, epoch: Epoch) -> None:
        """Count epochs."""
        self._epochs = epoch.epoch

    @contextmanager
    def until_the_mean(self) -> Iterator[None]:
        """Forbid no more when an epoch asks for its mean loss."""
        original = LossWatch.mean_loss

        def mean_loss(of: LossWatch) -> float:
            if self._epochs:
                torch.cuda.set_sync_debug_mode("default")
            return original(of)

        with mock.patch.object(LossWatch, "mean_loss", mean_loss):
            yield


def host_does_not_wait(scene: Scene, *, by_graphs: bool = False) -> Found:
    """Within an epoch the host never waits for the GPU, and torch would tell if it did."""
    setup = scene.setup(Stage(3), recipe=BUSY, graphs=by_graphs)
    assert setup.augmentation.apply is not None
    forbidden = Forbidden(setup.augmentation.apply)
    watched = replace(
        setup,
        augmentation=Augmentation("affine", forbidden.augment),
        on_epoch=forbidden.after_epoch,
    )
    try:
        # The watch looks behind the work every few steps, as it would in a longer epoch.
        with mock.patch.object(divergence, "LOOK_EVERY", 2), forbidden.until_the_mean():
            run = trained(watched)
        blind = not _is_told_of_waits(scene.device)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    if blind or (by_graphs and run.engine != "graphs"):
        return Found("torch does not tell" if blind else f"steps were {run.engine}", False)
    return Found(f"{forbidden.steps} steps without a wait", forbidden.steps == 2 * scene.steps)


def augmentations_do_not_wait(scene: Scene) -> Found:
    """No augmentation makes the host wait for the GPU."""
    registry = Registry.load(environ={})
    images = torch.rand(scene.batch, 1, scene.size, scene.size, device=scene.device)
    waiting, names = [], [record.name for record in registry.records(Augmentation)]
    for name in names:
        apply = registry.augmentation(name).apply
        if apply is None:
            continue
        apply(images, torch.Generator().manual_seed(0))
        torch.cuda.set_sync_debug_mode("error")
        try:
            apply(images, torch.Generator().manual_seed(1))
        except RuntimeError as error:
            waiting.append(f"{name} ({str(error).splitlines()[0]})")
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return Found(", ".join(waiting) or f"none of {len(names)}", not waiting)


def _is_told_of_waits(device: str) -> bool:
    number = torch.ones((), device=device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        number.item()
    except RuntimeError:
        return True
    return False


BOUNDS: tuple[tuple[str, int, Check], ...] = (
    ("the host waits within an epoch", 15, host_does_not_wait),
    ("the host waits within an epoch by graphs", 15, partial(host_does_not_wait, by_graphs=True)),
    ("augmentations that wait", 15, augmentations_do_not_wait),
    ("NaN", 10, nonsense_is_stopped),
    ("NaN by graphs", 10, partial(nonsense_is_stopped, by_graphs=True)),
)
# To be made at a size at which images take the memory, and not what libraries need to work.
MEMORY: tuple[tuple[str, int, Check], ...] = (
    ("memory for half a batch", 30, batches_are_divided),
    ("memory foreseen", 15, memory_is_foreseen),
    ("memory left by trainings", 20, memory_is_released),
)
