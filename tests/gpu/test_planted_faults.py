"""The tests of CUDA paths pass on what is right and fail on what is wrong, as a CPU can tell."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch

from mritk import Augmentation
from mritk.errors import NonFiniteLoss, Unavailable
from mritk.probe.logistic import fit_logistic
from mritk.protocol.recipe import Stage
from mritk.train import fine_tuning, graphs, loop
from mritk.train.divergence import LossWatch
from tests.gpu import test_bounds as bounds
from tests.gpu import test_equal as equal
from tests.gpu.scene import BUSY, Scene, float32_as_such, gap, trained
from tests.train.recorded_work import whole_trainings

# What needs a GPU to mean anything, and what each says without one.
GPU_ALONE = {
    equal.test_replayed_steps_are_those_of_the_same_optimiser_one_by_one: "steps were eager",
    equal.test_graphs_round_learning_rates_to_float32_and_change_nothing_else: "steps were eager",
    equal.test_batches_sent_while_the_gpu_computes_are_those_that_it_has_already: "the same memory",
    bounds.test_so_it_does_by_graphs: "no step was replayed",
    bounds.test_what_a_step_takes_is_near_to_what_was_estimated_before_the_first: "nothing was",
    bounds.test_a_training_that_is_over_leaves_no_memory_of_tensors_behind: "nothing was measured",
}
# Torch itself refuses these without a GPU.
REFUSED = (
    bounds.test_within_an_epoch_the_host_never_waits_for_the_gpu,
    bounds.test_nor_by_graphs,
    bounds.test_no_augmentation_makes_the_host_wait,
    bounds.test_with_memory_for_half_a_batch_the_steps_are_those_of_the_whole_one,
)
BY_GRAPHS = (
    equal.test_replayed_steps_are_those_of_the_same_optimiser_one_by_one,
    equal.test_graphs_round_learning_rates_to_float32_and_change_nothing_else,
    bounds.test_so_it_does_by_graphs,
)


def name_of(value):
    return getattr(value, "__name__", "")


@pytest.mark.slow
@pytest.mark.parametrize("test", GPU_ALONE, ids=name_of)
def test_what_needs_a_gpu_does_not_pass_without_one(on_cpu, test):
    with pytest.raises(AssertionError, match=GPU_ALONE[test]):
        test(on_cpu)


@pytest.mark.slow
def test_nor_does_a_resumed_training_by_graphs(on_cpu, tmp_path):
    with pytest.raises(AssertionError, match="steps were eager"):
        equal.test_so_does_one_by_graphs(on_cpu, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("test", REFUSED, ids=name_of)
def test_torch_refuses_what_only_a_gpu_has(on_cpu, test):
    with pytest.raises((RuntimeError, AssertionError)):
        test(on_cpu)


@pytest.mark.slow
def test_norms_that_are_not_there_are_noticed(on_cpu, monkeypatch):
    """The network of a CPU's scene has none, and a CPU is refused anyway."""
    test = equal.test_norms_take_bfloat16_if_asked_to_and_outputs_only_round
    with pytest.raises(Unavailable, match="precision bfloat16 needs a GPU"):
        test(on_cpu)
    monkeypatch.setattr("mritk.batches.inputs.resolve_precision", lambda wish, device: wish)
    with pytest.raises(AssertionError, match="norms return"):
        test(on_cpu)


def test_statistics_that_are_not_measured_are_noticed(on_cpu, monkeypatch):
    """On one device only: the other has the statistics of a fresh network."""
    real = loop.recalibrate
    calls = []

    def once(*arguments):
        calls.append(arguments)
        return real(*arguments) if len(calls) == 1 else 0

    monkeypatch.setattr(loop, "recalibrate", once)
    with pytest.raises(AssertionError, match="differ by"):
        equal.test_outputs_with_recalibrated_norms_agree_with_those_of_a_cpu(on_cpu)


@pytest.mark.slow
@pytest.mark.parametrize("test", BY_GRAPHS, ids=name_of)
def test_graphs_pass_where_they_are_right(on_cpu, test):
    with whole_trainings():
        test(on_cpu)


@pytest.mark.slow
def test_so_does_a_training_by_graphs_that_was_stopped(on_cpu, tmp_path):
    with whole_trainings():
        equal.test_so_does_one_by_graphs(on_cpu, tmp_path)


@pytest.mark.slow
def test_a_logistic_regression_passes_and_one_of_another_penalty_is_found(on_cpu, monkeypatch):
    test = equal.test_a_logistic_regression_agrees_with_that_of_a_cpu_and_comes_to_an_end
    test(on_cpu)
    fits = iter((1.0, 2.0))
    monkeypatch.setattr(
        equal,
        "fit_logistic",
        lambda x, y, classes, penalties: fit_logistic(
            x, y, classes, [*penalties[:-1], next(fits) * penalties[-1]]
        ),
    )
    with pytest.raises(AssertionError, match="differ by"):
        test(on_cpu)


@pytest.mark.slow
def test_a_graph_that_keeps_its_dropout_is_found(on_cpu, monkeypatch):
    """The error that comes of a seed which is not set before a replay."""
    call = graphs.GraphedStep.__call__

    def forgetful(self, images, targets, seed):
        return call(self, images, targets, 0 if self.recorded else seed)

    monkeypatch.setattr(graphs.GraphedStep, "__call__", forgetful)
    with whole_trainings(), pytest.raises(AssertionError, match="they differ by "):
        equal.test_replayed_steps_are_those_of_the_same_optimiser_one_by_one(on_cpu)


# -- something is wrong ------------------------------------------------------------------------


@pytest.fixture
def drifting(monkeypatch):
    """Every training after the first is another one."""
    original, count = fine_tuning.FineTuning.predict, iter(range(100))

    def predict(self, subset):
        return original(self, subset) + 0.5 * next(count)

    monkeypatch.setattr(fine_tuning.FineTuning, "predict", predict)


@pytest.mark.slow
def test_a_training_that_comes_out_otherwise_is_found(on_cpu, drifting, tmp_path):
    for test in (
        equal.test_two_deterministic_runs_are_equal,
        equal.test_an_epoch_in_float32_agrees_with_the_same_epoch_on_a_cpu,
    ):
        with pytest.raises(AssertionError, match="differ by"):
            test(on_cpu)
    with pytest.raises(AssertionError, match="differ by"):
        equal.resumes(on_cpu, tmp_path)


@pytest.mark.slow
def test_a_frozen_part_that_moves_is_found(on_cpu, monkeypatch):
    setup = Scene.setup
    monkeypatch.setattr(Scene, "setup", lambda self, stage, **changes: setup(
        self, replace(stage, train_last=1.0), **changes
    ))  # fmt: skip
    with pytest.raises(AssertionError, match=r"[1-9]\d* of its tensors moved"):
        equal.test_a_frozen_backbone_keeps_every_tensor_and_the_head_learns(on_cpu)


@pytest.mark.slow
def test_nonsense_that_goes_on_is_found(on_cpu, monkeypatch):
    monkeypatch.setattr(LossWatch, "_check", lambda *_: None)
    monkeypatch.setattr("mritk.train.loop.math.isfinite", lambda _: True)
    with pytest.raises(AssertionError, match="it went on"):
        bounds.is_stopped(on_cpu)


@pytest.mark.slow
def test_nonsense_of_another_step_is_found(on_cpu, monkeypatch):
    def late(self):
        raise NonFiniteLoss("the training loss is nan at step 3 of epoch 2 (learning rate 1")

    monkeypatch.setattr(LossWatch, "mean_loss", late)
    monkeypatch.setattr(LossWatch, "_check", lambda *_: None)
    with pytest.raises(AssertionError, match="step 3 of epoch 2"):
        bounds.is_stopped(on_cpu)


@pytest.mark.slow
def test_waits_are_forbidden_while_steps_are_made_and_at_no_other_time(on_cpu, monkeypatch):
    """From the second epoch on; between them the host looks at the validation part."""
    modes = []
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", modes.append)
    setup = on_cpu.setup(Stage(3), recipe=BUSY)
    forbidden = bounds.Forbidden(setup.augmentation.apply)
    with forbidden.until_the_mean():
        trained(
            replace(
                setup,
                augmentation=Augmentation("watched", forbidden.augment),
                on_epoch=forbidden.after_epoch,
            )
        )
    assert modes == 2 * [*["error"] * on_cpu.steps, "default"]
    assert forbidden.steps == 2 * on_cpu.steps


@pytest.mark.slow
def test_a_host_that_waits_is_found(on_cpu, monkeypatch):
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
        bounds.waits_nowhere(on_cpu)
    assert mode[-1] == "default"

    def asks(images, generator):
        return images * images.mean().item()

    scene_setup = Scene.setup

    def setup(self, *stages, **changes):
        return scene_setup(self, *stages, **changes, augmentation=Augmentation("asks", asks))

    monkeypatch.setattr(Scene, "setup", setup)
    with whole_trainings(), pytest.raises(RuntimeError, match="synchronizing"):
        bounds.waits_nowhere(on_cpu)
    assert mode[-1] == "default"


# -- what these tests are made of --------------------------------------------------------------


def test_a_gap_is_a_share_of_the_largest_and_nan_is_below_no_limit(on_cpu):
    expected = np.array([[1.0, -4.0]], dtype=np.float32)
    assert gap(expected, expected) == 0
    assert gap(expected + np.float32(0.5), expected) == pytest.approx(0.125)
    with pytest.raises(AssertionError):
        on_cpu.require_close(expected * np.nan, expected, 1.0)
    with pytest.raises(AssertionError):
        on_cpu.require_equal(expected * np.nan, expected)
    on_cpu.require_equal(expected, expected)
    assert on_cpu.measured[-1] == "equal bit for bit"


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
    with pytest.raises(KeyError), bounds.memory_limit("cuda:0", gib * 2**30):
        raise KeyError
    assert gpu_memory == [share, 1.0]


@pytest.mark.slow
@pytest.mark.parametrize("short", [True, False])
def test_batches_under_a_limit(on_cpu, gpu_memory, monkeypatch, short):
    """With a network that runs out of memory while the limit stands, and one that does not."""
    monkeypatch.setattr("mritk.train.step.has_batch_statistics", lambda network: False)
    original = bounds.memory_limit

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

    monkeypatch.setattr(bounds, "memory_limit", limited)
    # Frozen statistics: parts of a batch through BatchNorm would be another recipe.
    setup = Scene.setup
    monkeypatch.setattr(Scene, "setup", lambda self, *stages, **changes: setup(
        self, *(replace(stage, batch_norm="frozen") for stage in stages), **changes
    ))  # fmt: skip
    with nullcontext() if short else pytest.raises(AssertionError, match="held the whole batch"):
        bounds.test_with_memory_for_half_a_batch_the_steps_are_those_of_the_whole_one(on_cpu)
    assert on_cpu.measured[:1] == ["parts of 4"] * short


def test_an_augmentation_that_depends_on_the_device_or_on_chance_is_found(on_cpu, monkeypatch):
    """The stand-in draws by torch's own generator."""
    from mritk.plugins.registry import Registry

    original = Registry.augmentation

    def augmentation(self, name):
        record = original(self, name)
        if name == "flip":
            return replace(record, apply=lambda images, generator: torch.rand_like(images))
        return record

    monkeypatch.setattr(Registry, "augmentation", augmentation)
    with pytest.raises(AssertionError, match="flip differs from itself"):
        equal.test_a_batch_is_augmented_alike_on_every_device_and_twice_with_the_same_bits(on_cpu)
