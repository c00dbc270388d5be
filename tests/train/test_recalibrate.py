"""BatchNorm's statistics, measured anew on the training images before training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.swa_utils import update_bn

from mritk import Augmentation
from mritk.protocol.recipe import Recipe, Stage
from mritk.train import stage_run
from mritk.train.loop import begin, finetune
from mritk.train.recalibrate import mixed_batches, recalibrate
from mritk.train.training import prepare
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


def test_activations_that_explode_are_tamed():
    """Statistics of other images: variances that are far too small."""
    network = build().eval()
    with torch.no_grad():
        for layer in (network[1], network[4]):
            layer.running_var.fill_(1e-6)
    assert network(batches(1)[0]).abs().max() > 1e3
    recalibrate(network, network, batches())
    assert network(batches(1)[0]).abs().max() < 10


@pytest.mark.parametrize(
    ("count", "sizes"), [(37, [9, 9, 9, 10]), (17, [8, 9]), (16, [8, 8]), (3, [3])]
)
def test_each_image_is_in_one_batch_and_none_stands_alone(count, sizes):
    found = mixed_batches(count, 8, seed=0)
    assert sorted(len(rows) for rows in found) == sizes
    assert torch.cat(found).sort().values.tolist() == list(range(count))
    assert torch.cat(found).tolist() == torch.cat(mixed_batches(count, 8, seed=0)).tolist()


def test_files_sorted_by_class_are_mixed():
    """One class is dark and one is bright; in order, no batch would hold both."""
    images = torch.cat([torch.zeros(40, 1, 4, 4), torch.ones(40, 1, 4, 4)])
    network = nn.Sequential(nn.BatchNorm2d(1))

    def measured(rows):
        recalibrate(network, network, [images[chosen] for chosen in rows])
        return float(network[0].running_var)

    assert measured(torch.arange(80).split(8)) == 0.0
    assert measured(mixed_batches(80, 8, seed=0)) == pytest.approx(0.25, rel=0.1)


# -- in a training -----------------------------------------------------------------------------


def setup_of(make_setup, *, on=True, **changes):
    recipe = Recipe(stages=(HEAD,), batch_size=8, recalibrate_batch_norm=on)
    return make_setup(build=build, parameters=recipe, **changes)


def test_a_frozen_stage_keeps_the_new_statistics_and_does_not_count_them_as_trained(make_setup):
    off, on = (finetune(setup_of(make_setup, on=on)) for on in (False, True))
    images = torch.from_numpy(np.asarray(on.training.setup.train.images(16))).float() / 255
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


def test_no_features_of_the_stored_statistics_are_asked_for(make_setup, monkeypatch):
    finetune(setup_of(make_setup, on=False))  # keeps them
    monkeypatch.setattr(stage_run, "FrozenFeatures", lambda *_: pytest.fail("kept features"))
    finetune(setup_of(make_setup))


@pytest.mark.slow
def test_frozen_they_stay_and_training_they_move_on(make_setup):
    def variance(*stages):
        recipe = Recipe(stages=(HEAD, *stages), batch_size=8, recalibrate_batch_norm=True)
        fitted = finetune(make_setup(build=build, parameters=recipe))
        return fitted.network.backbone[4].running_var

    measured = variance()
    assert torch.equal(variance(Stage(1, "all", batch_norm="frozen")), measured)
    assert not torch.equal(variance(Stage(1, "all", batch_norm="train")), measured)


def test_a_recipe_without_stages_scores_the_recalibrated_network(make_setup, unseen):
    def scores(*, on):
        recipe = Recipe(stages=(), batch_size=8, recalibrate_batch_norm=on)
        return finetune(make_setup(build=build, parameters=recipe)).predict(unseen)

    assert np.abs(scores(on=True) - scores(on=False)).max() > 1e-4


def test_off_gives_the_bits_of_a_recipe_that_does_not_name_it(make_setup, unseen):
    unnamed = make_setup(build=build, parameters=Recipe(stages=(HEAD,), batch_size=8))
    one, other = finetune(unnamed), finetune(setup_of(make_setup, on=False))
    assert np.array_equal(one.predict(unseen), other.predict(unseen))


def test_bfloat16_gathers_float32_statistics(make_setup):
    rough, exact = prepare(setup_of(make_setup)), prepare(setup_of(make_setup))
    rough.inputs.precision = "bfloat16"  # the program refuses it on a processor: it is slow there
    for training in (rough, exact):
        assert begin(training) == 2
    for layer in (1, 4):
        one, other = rough.network.backbone[layer], exact.network.backbone[layer]
        assert one.running_var.dtype == torch.float32
        assert not torch.equal(one.running_var, other.running_var)
        torch.testing.assert_close(one.running_var, other.running_var, rtol=0.05, atol=0.01)


def test_a_linear_probe_as_a_start_is_refused():
    with pytest.raises(ValueError, match="with the stored statistics"):
        Recipe(recalibrate_batch_norm=True, head_start="probe")


class Stop(BaseException):
    """A stop that no handler of errors catches."""


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 4, 9])
def test_a_training_that_was_stopped_resumes_as_if_it_had_not_been(at, tmp_path):
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
