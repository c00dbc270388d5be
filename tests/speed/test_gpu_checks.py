"""The checks of a GPU pass on what is right and fail on what is wrong, as far as a CPU can tell."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.speed import gpu_bounds, gpu_checks, gpu_measured
from benchmarks.speed.gpu_scene import BUSY, Scene, float32_as_such, gap, trained
from mritk import Augmentation, Workspace
from mritk.errors import NonFiniteLoss
from mritk.protocol.recipe import Stage
from mritk.train import graphs, loop
from mritk.train.divergence import LossWatch
from tests.train.recorded_work import whole_trainings

ALL = (
    *(gpu_checks.EXACTNESS + gpu_checks.LAST),
    *(gpu_bounds.BOUNDS + gpu_bounds.MEMORY),
    *gpu_measured.MEASURED,
)
# What needs a GPU to mean anything, and what each says without one.
GPU_ALONE = {
    "graphs and the same steps one by one": "steps were eager and eager",
    "graphs and eager": "steps were eager",
    "stopped and gone on, by graphs": "steps were eager",
    "data sent in batches, and data on the GPU": "both lay in the same memory",
    "NaN by graphs": "no step was replayed",
    "estimated memory": "nothing was measured",
    "memory left by trainings": "nothing was measured",
}
# Torch itself refuses these without a GPU; the compiler is another test's.
REFUSED = {
    "the host waits within an epoch",
    "the host waits within an epoch by graphs",
    "augmentations that wait",
    "memory for half a batch",
}
COMPILED = "compiled and eager"
BY_GRAPHS = (
    gpu_checks.graphs_repeat_steps,
    gpu_checks.graphs_are_close_to_eager,
    partial(gpu_checks.goes_on, by_graphs=True),
    partial(gpu_bounds.nonsense_is_stopped, by_graphs=True),
)


@pytest.fixture
def scene(tmp_path):
    small = {"backbone": "small_cnn", "without_batch_norm": "small_cnn"}
    return Scene("cpu", Workspace(tmp_path), **small, size=32, images=80, batch=8)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def names(checks):
    return [name for name, _, _ in checks]


def test_every_check_is_named_once_and_told_apart_here():
    assert len(set(names(ALL))) == len(ALL)
    assert {*GPU_ALONE, *REFUSED, COMPILED} < {*names(ALL)}


@pytest.mark.parametrize(
    ("name", "check"),
    [(n, c) for n, _, c in ALL if n not in {*GPU_ALONE, *REFUSED, COMPILED}],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_has_a_meaning_on_a_cpu_passes_there(scene, name, check):
    found = check(scene)
    assert found.ok, f"{name}: {found.measured}"


@pytest.mark.parametrize("name", GPU_ALONE)
def test_what_needs_a_gpu_does_not_pass_without_one(scene, name):
    (check,) = (check for known, _, check in ALL if known == name)
    assert check(scene) == gpu_checks.Found(GPU_ALONE[name], ok=False)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_torch_refuses_what_only_a_gpu_has(scene, name):
    (check,) = (check for known, _, check in ALL if known == name)
    with pytest.raises((RuntimeError, AssertionError)):
        check(scene)


def test_statistics_that_are_not_measured_are_noticed(scene, monkeypatch):
    """On one device only: the other goes on with the statistics of a fresh network."""
    real = loop.recalibrate
    calls = []

    def once(*arguments):
        calls.append(arguments)
        return real(*arguments) if len(calls) == 1 else 0

    monkeypatch.setattr(loop, "recalibrate", once)
    assert not gpu_measured.recalibrated_as_on_a_cpu(scene).ok


@pytest.mark.parametrize("check", BY_GRAPHS)
def test_checks_of_graphs_pass_where_graphs_are_right(scene, check):
    with whole_trainings():
        found = check(scene)
    assert found.ok, found.measured


def test_a_graph_that_keeps_its_dropout_is_found(scene, monkeypatch):
    """The error that comes of a seed which is not set before a replay."""
    call = graphs.GraphedStep.__call__

    def forgetful(self, images, targets, seed):
        return call(self, images, targets, 0 if self.recorded else seed)

    monkeypatch.setattr(graphs.GraphedStep, "__call__", forgetful)
    with whole_trainings():
        found = gpu_checks.graphs_repeat_steps(scene)
    assert not found.ok
    assert found.measured.startswith("they differ by ")


# -- checks fail where something is wrong ----------------------------------------------------------


@pytest.fixture
def drifting(monkeypatch):
    """Every training after the first is another one."""
    original, count = loop.FineTuning.predict, iter(range(100))

    def predict(self, subset):
        return original(self, subset) + 0.5 * next(count)

    monkeypatch.setattr(loop.FineTuning, "predict", predict)


@pytest.mark.parametrize("check", [gpu_checks.repeats, gpu_checks.as_on_a_cpu, gpu_checks.goes_on])
def test_a_training_that_comes_out_otherwise_is_found(scene, drifting, check):
    assert not check(scene).ok


def test_a_frozen_part_that_moves_is_found(scene, monkeypatch):
    setup = Scene.setup
    monkeypatch.setattr(Scene, "setup", lambda self, stage, **changes: setup(
        self, replace(stage, train_last=1.0), **changes
    ))  # fmt: skip
    found = gpu_checks.frozen_rests(scene)
    assert not found.ok
    assert not found.measured.startswith("0 ")


def test_nonsense_that_goes_on_is_found(scene, monkeypatch):
    monkeypatch.setattr(LossWatch, "_check", lambda *_: None)
    monkeypatch.setattr("mritk.train.stage_run.StageRun.require_finite", lambda *_: None)
    assert gpu_bounds.nonsense_is_stopped(scene) == gpu_checks.Found("it went on", ok=False)


def test_nonsense_of_another_step_is_found(scene, monkeypatch):
    def late(self):
        raise NonFiniteLoss("the training loss is nan at step 3 of epoch 2 (learning rate 1")

    monkeypatch.setattr(LossWatch, "mean_loss", late)
    monkeypatch.setattr(LossWatch, "_check", lambda *_: None)
    assert not gpu_bounds.nonsense_is_stopped(scene).ok


def test_waits_are_forbidden_while_steps_are_made_and_at_no_other_time(scene, monkeypatch):
    """From the second epoch on; between them the host looks at the validation part."""
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    setup = scene.setup(Stage(3), recipe=BUSY)
    forbidden = gpu_bounds.Forbidden(setup.augmentation.apply)
    with forbidden.until_the_mean():
        trained(
            replace(
                setup,
                augmentation=Augmentation("watched", forbidden.augment),
                on_epoch=forbidden.after_epoch,
            )
        )
    assert modes == 2 * [*["error"] * scene.steps, "default"]
    assert forbidden.steps == 2 * scene.steps


def test_a_host_that_waits_is_found(scene, monkeypatch):
    """An augmentation that asks for a number; the stand-in tells of it as torch does."""
    mode = ["default"]
    item = torch.Tensor.item

    def watched(tensor):
        if mode[-1] == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        return item(tensor)

    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", mode.append)
    monkeypatch.setattr(torch.Tensor, "item", watched)
    with whole_trainings():  # whose optimiser asks for no number either
        assert gpu_bounds.host_does_not_wait(scene).ok
    assert mode[-1] == "default"

    def asks(images, generator):
        return images * images.mean().item()

    scene_setup = Scene.setup

    def setup(self, *stages, **changes):
        return scene_setup(self, *stages, **changes, augmentation=Augmentation("asks", asks))

    monkeypatch.setattr(Scene, "setup", setup)
    with whole_trainings(), pytest.raises(RuntimeError, match="synchronizing"):
        gpu_bounds.host_does_not_wait(scene)
    assert mode[-1] == "default"


# -- what checks are made of -----------------------------------------------------------------------


def test_a_gap_is_a_share_of_the_largest_and_nan_is_below_no_limit():
    expected = np.array([[1.0, -4.0]], dtype=np.float32)
    assert gap(expected, expected) == 0
    assert gap(expected + np.float32(0.5), expected) == pytest.approx(0.125)
    assert not gpu_checks.close(expected * np.nan, expected, 1.0).ok
    assert not gpu_checks.equal(expected * np.nan, expected).ok


def test_torchs_way_of_computing_float32_is_put_back():
    before = torch.backends.cudnn.allow_tf32
    with pytest.raises(ValueError, match="planted"), float32_as_such():
        assert not torch.backends.cudnn.allow_tf32
        raise ValueError("planted")
    assert torch.backends.cudnn.allow_tf32 == before


@pytest.fixture
def gpu_memory(monkeypatch):
    """A GPU of 100 GiB, of which this process holds 10."""
    shares = []
    properties = type("Properties", (), {"total_memory": 100 * 2**30})
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 10 * 2**30)
    monkeypatch.setattr(
        torch.cuda, "set_per_process_memory_fraction", lambda share, device: shares.append(share)
    )
    return shares


@pytest.mark.parametrize(("gib", "share"), [(15, 0.25), (500, 1.0)])
def test_a_limit_of_memory_is_beyond_what_is_held_and_is_lifted_again(gpu_memory, gib, share):
    with pytest.raises(KeyError), gpu_bounds.memory_limit("cuda:0", gib * 2**30):
        raise KeyError
    assert gpu_memory == [share, 1.0]


@pytest.mark.parametrize(("short", "ok"), [(True, True), (False, False)])
def test_batches_under_a_limit(scene, gpu_memory, monkeypatch, short, ok):
    """With a network that runs out of memory while the limit stands, and one that does not."""
    monkeypatch.setattr("mritk.train.step.has_batch_statistics", lambda network: False)
    original = gpu_bounds.memory_limit

    def limited(device, nbytes):
        from mritk.batches.inputs import Inputs

        compute = Inputs.compute

        def scarce(self, network, images):
            if len(images) > 4 and torch.is_grad_enabled():
                raise torch.OutOfMemoryError("CUDA out of memory")
            return compute(self, network, images)

        if short:
            monkeypatch.setattr(Inputs, "compute", scarce)
        return original(device, nbytes)

    monkeypatch.setattr(gpu_bounds, "memory_limit", limited)
    # Frozen statistics: parts of a batch through BatchNorm would be another recipe.
    setup = Scene.setup
    monkeypatch.setattr(Scene, "setup", lambda self, *stages, **changes: setup(
        self, *(replace(stage, batch_norm="frozen") for stage in stages), **changes
    ))  # fmt: skip
    found = gpu_bounds.batches_are_divided(scene)
    assert found.ok is ok, found.measured
    assert found.measured.startswith("parts of 4;") is ok


def test_an_augmentation_that_depends_on_the_device_or_on_chance_is_found(scene, monkeypatch):
    """The stand-in draws by torch's own generator."""
    from mritk.plugins.registry import Registry

    original = Registry.augmentation

    def augmentation(self, name):
        record = original(self, name)
        if name == "flip":
            return replace(record, apply=lambda images, generator: torch.rand_like(images))
        return record

    monkeypatch.setattr(Registry, "augmentation", augmentation)
    found = gpu_checks.augmentations_as_on_a_cpu(scene)
    assert found == gpu_checks.Found("flip differs from itself", ok=False)
