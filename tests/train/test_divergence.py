"""A training is stopped at the first step whose loss or gradient makes no sense."""

from __future__ import annotations

import math

import pytest
import torch

from mritk.errors import NonFiniteLoss
from mritk.train.divergence import EXPLODED, LossWatch


def add(watch, loss, norm=1.0, rate=1e-3):
    watch.add(torch.tensor(loss), torch.tensor(norm), rate)


def test_the_mean_is_that_of_all_steps():
    losses = torch.rand(50, generator=torch.Generator().manual_seed(0))
    watch = LossWatch(1, 50, "cpu")
    for loss in losses.tolist():
        add(watch, loss)
    assert watch.count == 50
    assert watch.mean_loss() == pytest.approx(losses.double().mean().item(), rel=1e-7)
    assert torch.equal(watch.values[:, 0], losses)


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, EXPLODED, 1e30])
def test_a_loss_that_is_no_number_or_exploded_stops_at_its_step(loss):
    watch = LossWatch(4, 10, "cpu")
    add(watch, 0.7)
    add(watch, 0.6)
    with pytest.raises(NonFiniteLoss, match=r"at step 3 of epoch 4 \(learning rate 0\.05, ") as e:
        add(watch, loss, norm=12.5, rate=0.05)
    assert "gradient norm 12.5" in str(e.value)
    assert "set gradient_clip in the protocol" in str(e.value)


@pytest.mark.parametrize("norm", [math.nan, math.inf])
def test_a_gradient_that_is_no_number_stops_even_if_the_loss_is_fine(norm):
    watch = LossWatch(1, 10, "cpu")
    with pytest.raises(NonFiniteLoss, match=f"loss is 0.5 at step 1 .* norm {norm}"):
        add(watch, 0.5, norm=norm)


def test_a_large_gradient_alone_is_no_reason():
    """It is what gradient_clip is for."""
    watch = LossWatch(1, 1, "cpu")
    add(watch, 100.0, norm=1e9)
    assert watch.mean_loss() == 100.0


def test_the_first_of_several_bad_steps_is_named():
    """On a GPU they are found together, behind the work."""
    watch = LossWatch(2, 5, "cpu")
    watch._check = lambda *_: None
    for loss, rate in [(0.5, 0.1), (math.nan, 0.2), (math.nan, 0.3)]:
        add(watch, loss, rate=rate)
    del watch._check
    with pytest.raises(NonFiniteLoss, match=r"loss is nan at step 2 of epoch 2 .* rate 0\.2,"):
        watch.mean_loss()


def test_an_epoch_resumes_from_its_first_steps():
    whole, part, rest = (LossWatch(1, 6, "cpu") for _ in range(3))
    for watch, losses in ((whole, range(6)), (part, range(4))):
        for loss in losses:
            add(watch, float(loss))
    rest.resume(part.values[: part.count])
    assert rest.count == 4
    for loss in (4.0, 5.0):
        add(rest, loss)
    assert rest.mean_loss() == whole.mean_loss() == 2.5
    with pytest.raises(IndexError):
        add(rest, 6.0)
