"""BatchNorm's statistics, measured anew on the training images before training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from mritk import Augmentation
from mritk.train.loop import finetune
from mritk.train.recalibrate import recalibrate
from mritk.train.recipe import Recipe, Stage
from tests.train.killable_training import make_setup as random_setup
from tests.train.killable_training import outcome

HEAD = Stage(epochs=2, name="head", train_last=0.0, learning_rate=1e-2)


def build():
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5)),
    )


def batches(count=3):
    return torch.rand((count, 8, 3, 16, 16), generator=torch.Generator().manual_seed(0))


def test_the_statistics_are_those_that_torchs_own_function_measures():
    torch.manual_seed(0)
    ours, theirs = build(), build()
    theirs.load_state_dict(ours.state_dict())
    theirs[-1].p = 0.0
    assert recalibrate(ours, ours, batches()) == 2
    update_bn(iter(batches()), theirs)
    for (name, one), other in zip(
        ours.state_dict().items(), theirs.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(one, other, msg=name)


def test_of_one_batch_they_are_mean_and_unbiased_variance():
    network = build()
    recalibrate(network, network, batches(1))
    with torch.no_grad():
        seen = network[0](batches(1)[0]).transpose(0, 1).reshape(6, -1).numpy()
    np.testing.assert_allclose(network[1].running_mean, seen.mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(network[1].running_var, seen.var(axis=1, ddof=1), rtol=1e-5)


def test_nothing_else_changes():
    network = build().train()
    network[4].eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    modes = [module.training for module in network.modules()]
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    recalibrate(network, network, batches())
    changed = {n for n, t in network.state_dict().items() if not torch.equal(t, before[n])}
    what = ("running_mean", "running_var", "num_batches_tracked")
    assert changed == {f"{layer}.{name}" for layer in (1, 4) for name in what}
    assert [module.training for module in network.modules()] == modes
    assert network[1].momentum == 0.1
    assert torch.equal(torch.rand(1), expected), "no random number is drawn"


def test_a_network_without_batch_norm_stays_as_it_is():
    assert recalibrate(nn.Conv2d(3, 2, 1), lambda batch: batch, batches()) == 0


# -- in a training -----------------------------------------------------------------------------


def setup_of(make_setup, *, on=True, **changes):
    recipe = Recipe(stages=(HEAD,), batch_size=8, recalibrate_batch_norm=on)
    return make_setup(build=build, parameters=recipe, **changes)


def test_a_frozen_stage_keeps_the_new_statistics_and_does_not_count_them_as_trained(make_setup):
    off, on = (finetune(setup_of(make_setup, on=on)) for on in (False, True))
    images = torch.from_numpy(np.asarray(on.setup.train.images(16))).float() / 255
    with torch.no_grad():
        seen = on.network.backbone[0]((images[:, None].expand(-1, 3, -1, -1) - 0.5) / 0.5)
    mean = seen.transpose(0, 1).reshape(6, -1).mean(dim=1)
    torch.testing.assert_close(on.network.backbone[1].running_mean, mean, atol=1e-5, rtol=1e-4)
    assert torch.equal(off.network.backbone[1].running_mean, torch.zeros(6))
    for stages in on.notes["changed_tensors"].values():
        assert all(name.startswith("head.") for name in stages)
    assert on.notes["recalibrated_norms"] == 2
    assert "recalibrated_norms" not in off.notes


def test_the_head_is_trained_on_the_features_of_the_new_statistics(make_setup, unseen):
    """Kept features of the stored statistics would be others; an idle augmentation uses none."""
    idle = Augmentation("idle", lambda images, generator: images)
    kept, fresh = (
        finetune(setup_of(make_setup, augmentation=augmentation)).predict(unseen)
        for augmentation in (Augmentation("none", None), idle)
    )
    np.testing.assert_allclose(kept, fresh, atol=1e-5)


def test_a_linear_probe_as_a_start_is_refused():
    with pytest.raises(ValueError, match="statistics as they are stored"):
        Recipe(recalibrate_batch_norm=True, head_start="probe")


class Stop(BaseException):
    """A stop that no handler of errors catches."""


@pytest.mark.parametrize("at", [1, 4, 9])
def test_a_training_that_was_stopped_goes_on_as_if_it_had_not_been(at, tmp_path):
    def attempt(stop):
        count = 0

        def count_batches(images, generator):
            nonlocal count
            if count == stop:
                raise Stop
            count += 1
            return images

        setup = random_setup(3, tmp_path)
        setup.checkpoint.every = 0.0
        recipe = replace(setup.parameters, recalibrate_batch_norm=True, head_start="random")
        augmentation = Augmentation("counting", count_batches)
        try:
            return outcome(replace(setup, parameters=recipe, augmentation=augmentation))
        finally:
            setup.checkpoint.close()

    expected = attempt(None)
    random_setup(3, tmp_path).checkpoint.path.unlink(missing_ok=True)
    with pytest.raises(Stop):
        attempt(at)
    assert attempt(None) == expected
