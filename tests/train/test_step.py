"""One training step; divided where memory is short, it is the same step."""

from __future__ import annotations

import copy
import logging
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from mritk import Classification, Regression
from mritk.errors import ExitCode, OutOfMemory, UsageError
from mritk.machine.out_of_memory import ran_out_of_memory
from mritk.model.objective import Objective
from mritk.train.step import TrainingStep, has_batch_statistics

LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 2])
CLASSES = Classification(("a", "b", "c"))
IMAGES = torch.rand(8, 1, 4, 4, generator=torch.Generator().manual_seed(1))
GPU_ERROR = "CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has 1 GiB free"
HOST_ERROR = "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"


def plain():
    """A network in which each image goes its own way."""
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4), nn.GELU()),
        *(nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 3)),
    )


def with_batch_norm():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 3))


class Short:
    """A network whose device holds ``most`` images at once."""

    def __init__(self, network, most, error=None):
        self.network, self.most, self.sizes = network, most, []
        self.error = error or torch.OutOfMemoryError(GPU_ERROR)

    def __call__(self, batch):
        self.sizes.append(len(batch))
        outputs = self.network(batch)
        if len(batch) > self.most:
            raise self.error
        return outputs


def make_step(build=plain, most=None, task=CLASSES, targets=LABELS, error=None, clip=0.0, **fields):
    torch.manual_seed(0)
    network = build().train()
    compute = Short(network, most or 1000, error)
    kept = {name: fields.pop(name) for name in ("micro_batch",) if name in fields}
    objective = Objective(task, targets, "cpu", **fields)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    return TrainingStep(network, compute, objective, optimiser, gradient_clip=clip, **kept)


def gradients(step):
    return [p.grad.clone() for p in step.network.parameters()]


CASES = {
    "plain": {},
    "class weights": {"balanced": True},
    "label smoothing": {"label_smoothing": 0.2},
    "weights and smoothing": {"balanced": True, "label_smoothing": 0.2},
    "regression": {"task": Regression("years"), "targets": np.linspace(20, 90, 8)},
}


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize("micro_batch", [1, 3, 4, 8])
@pytest.mark.parametrize("case", CASES)
def test_a_divided_step_is_the_whole_one(case, micro_batch, soft):
    """Losses, gradients, their norm and the network after it, the last part smaller or not."""
    whole = make_step(**CASES[case])
    parts = make_step(**CASES[case], micro_batch=micro_batch)
    targets = whole._objective.targets
    if soft:
        targets = whole._objective.soft(targets)
        targets = torch.lerp(targets.roll(1, 0), targets, 0.7)
    loss, norm = whole(IMAGES, targets, 0)
    other_loss, other_norm = parts(IMAGES, targets, 0)
    torch.testing.assert_close(other_loss, loss)
    torch.testing.assert_close(other_norm, norm)
    torch.testing.assert_close(gradients(parts), gradients(whole))
    torch.testing.assert_close(parts.network.state_dict(), whole.network.state_dict())
    assert max(parts._compute.sizes) == micro_batch


def test_the_step_is_that_of_plain_torch():
    step = make_step(balanced=True, label_smoothing=0.1)
    by_hand = copy.deepcopy(step.network)
    weight = torch.tensor([8 / 15, 8 / 6, 8 / 3])
    loss = functional.cross_entropy(
        by_hand(IMAGES), torch.from_numpy(LABELS), weight, label_smoothing=0.1
    )
    loss.backward()
    expected = torch.cat([p.grad.flatten() for p in by_hand.parameters()]).norm()
    torch.optim.SGD(by_hand.parameters(), lr=0.1).step()
    told, norm = step(IMAGES, torch.from_numpy(LABELS), 0)
    torch.testing.assert_close(told, loss.detach())
    torch.testing.assert_close(norm, expected)
    assert all(
        torch.equal(t, step.network.state_dict()[n]) for n, t in by_hand.state_dict().items()
    )


@pytest.mark.parametrize("micro_batch", [0, 3])
def test_the_whole_gradient_is_clipped_and_the_norm_before_is_told(micro_batch):
    free, clipped = make_step(), make_step(clip=1e-2, micro_batch=micro_batch)
    _, norm = free(IMAGES, torch.from_numpy(LABELS), 0)
    _, told = clipped(IMAGES, torch.from_numpy(LABELS), 0)
    torch.testing.assert_close(told, norm)
    after = torch.cat([g.flatten() for g in gradients(clipped)]).norm()
    assert after == pytest.approx(1e-2, rel=1e-3)


@contextmanager
def messages(caplog):
    with caplog.at_level(logging.WARNING, "mritk"):
        yield lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError(GPU_ERROR), RuntimeError(HOST_ERROR)])
def test_a_batch_that_does_not_fit_is_halved_until_it_does_and_the_step_stays(caplog, error):
    short, whole = make_step(most=3, error=error, balanced=True), make_step(balanced=True)
    targets = torch.from_numpy(LABELS)
    with messages(caplog) as told:
        loss, _ = short(IMAGES, targets, 0)
    assert short.micro_batch == 2
    assert short._compute.sizes == [8, 4, 2, 2, 2, 2]
    assert told() == [
        "the device ran out of memory with 8 images at once; continuing with micro-batches of "
        "4; the batch size remains 8",
        "the device ran out of memory with 4 images at once; continuing with micro-batches of "
        "2; the batch size remains 8",
    ]
    torch.testing.assert_close(loss, whole(IMAGES, targets, 0)[0])
    torch.testing.assert_close(short.network.state_dict(), whole.network.state_dict())


def test_what_is_learnt_about_memory_is_kept_for_the_next_step(caplog):
    step = make_step(most=4)
    with messages(caplog) as told:
        for _ in range(3):
            step(IMAGES, torch.from_numpy(LABELS), 0)
        assert len(told()) == 1
    assert step._compute.sizes == [8] + 3 * [4, 4]


def test_gradients_of_a_part_that_did_fit_are_not_counted_twice():
    """Memory runs out in the middle of a batch that is divided already."""
    step, whole = make_step(micro_batch=4), make_step()
    compute, calls = step._compute, []

    def late(batch):
        calls.append(len(batch))
        if len(calls) == 2:
            raise torch.OutOfMemoryError(GPU_ERROR)
        return compute(batch)

    step._compute = late
    step(IMAGES, torch.from_numpy(LABELS), 0)
    whole(IMAGES, torch.from_numpy(LABELS), 0)
    assert calls == [4, 4, 2, 2, 2, 2]
    torch.testing.assert_close(gradients(step), gradients(whole))


def test_dropout_of_a_second_attempt_is_that_of_the_first():
    """A step is a function of its seed, whatever went before."""

    def build():
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))

    retried, divided = make_step(build, most=4), make_step(build, micro_batch=4)
    one, _ = retried(IMAGES, torch.from_numpy(LABELS), 7)
    torch.rand(100)
    other, _ = divided(IMAGES, torch.from_numpy(LABELS), 7)
    assert torch.equal(one, other)


def test_batch_statistics_are_never_taken_from_a_part():
    step = make_step(with_batch_norm, most=4)
    before = copy.deepcopy(step.network)
    with pytest.raises(OutOfMemory) as caught:
        step(IMAGES, torch.from_numpy(LABELS), 0)
    text = str(caught.value)
    assert text.startswith("the device ran out of memory with batch size 8 (CUDA out of memory.")
    for advice in (
        "Lower batch_size or image_size",
        "batch_norm = 'frozen'",
        "stop other processes",
    ):
        assert advice in text
    assert "\n" not in text
    assert caught.value.exit_code == ExitCode.UNAVAILABLE == 4
    assert torch.equal(step.network[0].weight, before[0].weight)


def test_frozen_batch_norm_may_be_divided():
    def build():
        network = with_batch_norm()
        network[1].requires_grad_(False)
        return network

    steps = [make_step(build, most=most) for most in (2, None)]
    for step in steps:
        step.network[1].eval()
        step(IMAGES, torch.from_numpy(LABELS), 0)
    torch.testing.assert_close(steps[0].network.state_dict(), steps[1].network.state_dict())
    assert steps[0].micro_batch == 2


def test_a_division_that_an_earlier_stage_found_is_not_used_where_batch_norm_learns():
    step = make_step(with_batch_norm, micro_batch=2)
    step(IMAGES, torch.from_numpy(LABELS), 0)
    assert step._compute.sizes == [8]


@pytest.mark.parametrize("build", [plain, with_batch_norm])
def test_a_single_image_that_does_not_fit(build):
    step = make_step(build, most=-1)
    expected = "memory with a single image .* use a smaller image_size or backbone"
    with pytest.raises(OutOfMemory, match=expected):
        step(IMAGES[:1], torch.from_numpy(LABELS[:1]), 0)


def test_halving_ends_with_a_single_image():
    step = make_step(most=-1)
    with pytest.raises(OutOfMemory, match="a single image"):
        step(IMAGES, torch.from_numpy(LABELS), 0)
    assert step._compute.sizes == [8, 4, 2, 1]


def test_any_other_error_passes():
    step = make_step(most=1, error=RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        step(IMAGES, torch.from_numpy(LABELS), 0)
    assert step.micro_batch == 0


def test_what_is_a_lack_of_memory():
    assert ran_out_of_memory(torch.OutOfMemoryError(""))
    assert ran_out_of_memory(RuntimeError(HOST_ERROR))
    assert not ran_out_of_memory(RuntimeError("memory format option is only supported by strided"))


@pytest.mark.parametrize(
    ("layer", "training", "expected"),
    [
        (nn.BatchNorm1d(2), True, True),
        (nn.BatchNorm3d(2), True, True),
        (nn.BatchNorm2d(2), False, False),
        (nn.BatchNorm2d(2, track_running_stats=False), True, True),
        (nn.LayerNorm(2), True, False),
        (nn.GroupNorm(1, 2), True, False),
        (nn.InstanceNorm2d(2, track_running_stats=True), True, False),
    ],
)
def test_what_takes_statistics_from_a_batch(layer, training, expected):
    assert has_batch_statistics(nn.Sequential(nn.ReLU(), layer.train(training))) is expected


def test_an_optimiser_that_finds_no_memory_is_told_and_not_tried_again(monkeypatch):
    """Part of the weights may have moved."""
    network = nn.Linear(3, 2)
    optimiser = torch.optim.AdamW(network.parameters())
    steps = []

    def run_out(*_):
        steps.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(optimiser, "step", run_out)
    objective = Objective(Classification(("a", "b")), np.array([0, 1]), "cpu")
    step = TrainingStep(network, network, objective, optimiser)
    with pytest.raises(OutOfMemory, match="in the optimiser step"):
        step(torch.ones(2, 3), torch.tensor([0, 1]), seed=0)
    assert len(steps) == 1


def test_a_single_image_of_which_batch_norm_can_take_no_statistics_is_told_with_what_helps():
    def build():
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(16), nn.Linear(16, 3))

    with pytest.raises(UsageError, match=r"raise batch_size .* or train with batch_norm = 'froz"):
        make_step(build)(IMAGES[:1], torch.from_numpy(LABELS[:1]), 0)


def test_what_else_is_wrong_with_a_single_image_is_not_told_as_batch_norms(monkeypatch):
    def refuse(*_):
        raise ValueError("planted")

    step = make_step(with_batch_norm)
    monkeypatch.setattr(step, "_compute", refuse)
    with pytest.raises(ValueError, match="planted"):
        step(IMAGES[:1], torch.from_numpy(LABELS[:1]), 0)


def test_other_errors_about_values_pass():
    with pytest.raises(ValueError, match="planted"):
        make_step(most=1, error=ValueError("planted"))(IMAGES, torch.from_numpy(LABELS), 0)


class Coupled(Objective):
    """A loss that compares the samples of a batch."""

    couples_samples = True


@pytest.mark.parametrize("micro_batch", [0, 2])
def test_a_batch_whose_loss_couples_its_samples_is_never_divided(micro_batch):
    """Not by what an earlier stage could divide, and not where memory is short."""
    step = make_step(micro_batch=micro_batch, most=4)
    objective = Coupled(CLASSES, LABELS, "cpu")
    step = TrainingStep(
        step.network, step._compute, objective, step.optimiser, micro_batch=micro_batch
    )
    assert step.micro_batch == 0
    with pytest.raises(OutOfMemory, match="because the loss compares the samples of a batch"):
        step(IMAGES, objective.targets, 0)
    assert step._compute.sizes == [8]
