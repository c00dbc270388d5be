"""Trainings on a GPU stay within bounds: of memory, of numbers, of waiting."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from unittest import mock

import torch
from torch import nn

from mritk import Augmentation
from mritk.errors import NonFiniteLoss
from mritk.machine.peak_memory import PeakMemory
from mritk.method import Epoch
from mritk.model.latency import measure_latency, measure_replayed_latency
from mritk.plugins.registry import Registry
from mritk.protocol.recipe import Stage
from mritk.train import divergence, stage_run
from mritk.train.divergence import LossWatch
from mritk.train.graphs import GraphedStep
from mritk.train.training import prepare
from tests.gpu.scene import BUSY, float32_as_such, trained

GIB = 2**30
# What an estimate of memory may be off: cuDNN takes and leaves workspaces as it likes.
ESTIMATED = (0.6, 1.5)


# -- memory ------------------------------------------------------------------------------------


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


def test_with_memory_for_half_a_batch_the_steps_are_those_of_the_whole_one(roomy):
    stage = Stage(1, optimizer="sgd", learning_rate=1e-2)
    setup = roomy.setup(stage, precision="float32", backbone=roomy.without_batch_norm)
    with float32_as_such():
        whole = trained(setup)
        estimate = whole.fitted.progress.memory
        room = estimate.constant + estimate.per_image * roomy.batch // 2
        expected = whole.scores
        del whole
        with memory_limit(roomy.device, room):
            parts = trained(setup)
    size = parts.fitted.progress.micro_batch
    assert 0 < size < roomy.batch, f"{room / GIB:.2f} GiB held the whole batch of {roomy.batch}"
    roomy.measured.append(f"parts of {size}")
    roomy.require_close(parts.scores, expected, 1e-2)


def test_what_a_step_takes_is_near_to_what_was_estimated_before_the_first(roomy):
    gc.collect()
    peak = PeakMemory(roomy.device)
    before = peak.measured().get("peak_device_memory_bytes")
    assert before is not None, "nothing was measured"
    run = trained(roomy.setup(Stage(2)))
    took = peak.measured()["peak_device_memory_bytes"] - before
    estimated = run.fitted.progress.memory.at(roomy.batch)
    ratio = took / estimated
    text = f"{took / GIB:.2f} GiB, estimated {estimated / GIB:.2f} GiB: {ratio:.2f} times"
    roomy.require(ESTIMATED[0] <= ratio <= ESTIMATED[1], text)


def test_a_training_that_is_over_leaves_no_memory_of_tensors_behind(roomy):
    """Without the collector's help."""
    held = []
    for seed in range(3):  # what libraries keep for themselves, the first one takes
        gc.collect()
        gc.disable()
        try:
            trained(replace(roomy.setup(Stage(1)), seed=seed))
            held.append(torch.cuda.memory_allocated(roomy.device))
        finally:
            gc.enable()
    left = held[-1] - held[0]
    assert held[0] > 0, "nothing was measured"
    roomy.require(left < 2**20, f"{left / 2**20:.1f} MiB of two trainings")


# -- numbers -----------------------------------------------------------------------------------


def is_stopped(scene, **engine):
    """Spoil one step of an epoch; require that the training stops soon and names the step.

    Returns:
        The steps by graphs.
    """
    steps, at = scene.steps, scene.steps - 1
    setup = scene.setup(Stage(3), **engine)
    seen = iter(range(10**9))

    def spoil(images, generator):
        return images * torch.nan if next(seen) == at else images

    made: list[GraphedStep] = []

    class Noted(GraphedStep):
        def __init__(self, step, said):
            super().__init__(step, said)
            made.append(self)

    try:
        with mock.patch.object(stage_run, "GraphedStep", Noted):
            trained(replace(setup, augmentation=Augmentation("spoil", spoil)))
    except NonFiniteLoss as error:
        told = str(error)
    else:
        raise AssertionError("it went on")
    named = f"is nan at step {at + 1} of epoch 1 " in told
    scene.require(named and next(seen) <= 2 * steps, told.partition(" (learning")[0])
    return made


def test_an_image_that_is_no_number_stops_the_training(scene):
    is_stopped(scene)


def test_so_it_does_by_graphs(on_gpu):
    assert any(step.recorded for step in is_stopped(on_gpu, graphs=True)), "no step was replayed"


# -- waiting -----------------------------------------------------------------------------------


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
        """Begin, or continue, to forbid; then augment."""
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


def waits_nowhere(scene, **engine):
    """Train and require that the host waits for no step; torch would tell if it did."""
    setup = scene.setup(Stage(3), recipe=BUSY, **engine)
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
        assert is_told_of_waits(scene.device), "torch does not tell"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    text = f"{forbidden.steps} steps without a wait"
    scene.require(forbidden.steps == 2 * scene.steps, text)
    return run


def is_told_of_waits(device):
    number = torch.ones((), device=device)
    torch.cuda.set_sync_debug_mode("error")
    try:
        number.item()
    except RuntimeError:
        return True
    return False


def test_within_an_epoch_the_host_never_waits_for_the_gpu(on_gpu):
    waits_nowhere(on_gpu)


def test_nor_by_graphs(on_gpu):
    on_gpu.require_engine(waits_nowhere(on_gpu, graphs=True))


def test_no_augmentation_makes_the_host_wait(on_gpu):
    registry = Registry.load(environ={})
    images = torch.rand(on_gpu.batch, 1, on_gpu.size, on_gpu.size, device=on_gpu.device)
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
    on_gpu.require(not waiting, ", ".join(waiting) or f"none of {len(names)}")


def wide() -> nn.Module:
    """A network whose arithmetic takes longer than its launches at 1,024 px."""
    layers = [nn.Conv2d(3, 256, 3), *(nn.Conv2d(256, 256, 3) for _ in range(3))]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def test_latency_waits_for_the_result(on_gpu):
    """One image of many times the pixels takes longer, which calls that do not wait would not."""
    network = wide().to(on_gpu.device)
    small, large = (measure_latency(network, (3, side, side)) for side in (32, 1024))
    assert small and large, "it cannot be measured"
    ratio = large / small
    on_gpu.require(ratio > 5, f"1,024 times the pixels take {ratio:.1f} times as long")


def test_a_replayed_latency_is_that_of_the_kernels(on_gpu):
    """Of a small network launches take longer than arithmetic, unless one launch starts it all."""
    network = prepare(on_gpu.setup(precision="float32")).network
    called = measure_latency(network, (3, 64, 64))
    replayed, large = (measure_replayed_latency(network, (3, side, side)) for side in (64, 1024))
    assert called and replayed and large, "it cannot be measured"
    text = (
        f"{1e3 * called:.2f} ms, {1e3 * replayed:.2f} ms replayed, {1e3 * large:.2f} ms at 1,024 px"
    )
    on_gpu.require(replayed < called and large > 1.5 * replayed, text)
