"""Fine-tuning: it learns, repeats itself bit for bit, and never sees a test sample."""

from __future__ import annotations

import json
import math
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.modules.module import register_module_forward_pre_hook

from mritk import (
    Architecture,
    Augmentation,
    Classification,
    InputContract,
    Regression,
    Samples,
    Subset,
)
from mritk.backbone import Backbone
from mritk.batches.inputs import Inputs
from mritk.method import SelectionRule
from mritk.model import alike
from mritk.model.network import Network
from mritk.protocol.recipe import Head, HiddenLayer, Recipe, Stage
from mritk.seeds import derive
from mritk.train.loop import finetune
from mritk.train.optimiser import Schedule
from mritk.train.training import prepare

TRAIN, VAL, TEST = range(40), range(40, 60), range(60, 72)
LAST = SelectionRule(on="last")


def stage(**changes):
    return Stage(**{"epochs": 2, "learning_rate": 1e-2, **changes})


def accuracy(fitted, subset):
    return float((fitted.predict(subset).argmax(axis=1) == subset.targets).mean())


def state_of(fitted):
    return {name: tensor.clone() for name, tensor in fitted.network.state_dict().items()}


def assert_same(one, other):
    assert all(torch.equal(one[name], other[name]) for name in one)


def build_volumetric():
    return nn.Sequential(nn.Conv3d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool3d(1), nn.Flatten())


# -- learning ----------------------------------------------------------------------------------


def test_true_labels_are_learnt(make_setup, unseen):
    fitted = finetune(make_setup(stage(epochs=8)))
    assert accuracy(fitted, unseen) > 0.9


def test_without_stages_the_network_is_scored_as_it_begins(make_setup, unseen):
    """Zero-shot: the untouched network of this seed, built here by hand."""
    setup = make_setup(parameters=Recipe(stages=()), seed=3)
    fitted = finetune(setup)
    torch.manual_seed(derive(3, "initialisation"))
    backbone = setup.backbone.architecture.build()
    torch.manual_seed(derive(3, "head"))
    head = nn.Linear(fitted.notes["num_features"], 2)
    network = nn.Sequential(backbone, head).eval()
    pixels = torch.from_numpy(np.asarray(unseen.images(setup.image_size))).float() / 255
    expected = network((pixels[:, None].expand(-1, 3, -1, -1) - 0.5) / 0.5)
    torch.testing.assert_close(torch.from_numpy(fitted.predict(unseen)), expected.detach())
    assert fitted.notes["changed_tensors"] == {}
    assert fitted.notes["selected_epoch"] == 0


@pytest.mark.slow
def test_permuted_labels_give_chance(make_setup, bands, workspace):
    """Only the images can tell the classes; labels without a bearing on them cannot be learnt."""
    labels = np.random.default_rng(5).permutation(np.arange(72) % 2)
    samples = bands(targets=labels)
    found = []
    for seed in range(3):
        setup = make_setup(stage(epochs=8), samples=samples, seed=seed)
        rest = Subset.of(samples, [*VAL, *TEST], workspace)
        found.append(accuracy(finetune(setup), rest))
    assert 0.25 < np.mean(found) < 0.75


def test_volumes_of_float_pixels_are_learnt_in_the_same_way(make_setup, workspace):
    """Nothing in the loop is made for images alone."""
    rng = np.random.default_rng(0)
    targets = np.arange(72) % 2
    volumes = rng.random((72, 8, 8, 8)).astype(np.float32) * 0.5
    volumes[targets == 1] += 0.4
    samples = Samples(
        ids=[f"v{i}" for i in range(72)],
        targets=targets,
        task=Classification(("dark", "bright")),
        read=lambda i: volumes[i],
        spatial_dims=3,
    )
    contract = InputContract(8, (0.5,), (0.5,))
    volumetric = Architecture("volumetric", build_volumetric, contract, spatial_dims=3)
    setup = make_setup(
        stage(epochs=12, learning_rate=3e-2),
        samples=samples,
        backbone=Backbone(volumetric),
        volume_size=8,
    )
    fitted = finetune(setup)
    assert accuracy(fitted, Subset.of(samples, TEST, workspace)) > 0.9


@pytest.mark.slow
def test_a_regression_predicts_in_the_unit_of_its_target(make_setup, workspace):
    rng = np.random.default_rng(0)
    ages = rng.uniform(20, 90, 72)
    images = np.clip(rng.normal(0, 5, (72, 16, 16)) + 2 * ages[:, None, None], 0, 255)
    samples = Samples(
        ids=[f"s{i}" for i in range(72)],
        targets=ages,
        task=Regression("years"),
        read=lambda i: images[i].astype(np.uint8),
    )
    fitted = finetune(make_setup(stage(epochs=15), samples=samples))
    test = Subset.of(samples, TEST, workspace)
    values = fitted.predict(test)
    assert values.shape == (12,)
    assert values.dtype == np.float32
    error = np.abs(values - test.targets).mean()
    assert error < 0.5 * np.abs(test.targets - ages[:40].mean()).mean()


# -- what the method sees ----------------------------------------------------------------------


def test_the_method_holds_the_images_of_its_own_parts_and_no_other(make_setup, bands):
    """Each image is filled with its row number, so that one can tell which images are there."""
    samples = bands(read=lambda i: np.full((16, 16), i, dtype=np.uint8))
    training = prepare(make_setup(samples=samples))
    held = [set(part.images.flatten().tolist()) for part in (training.train, training.val)]
    assert held == [set(TRAIN), set(VAL)]


@pytest.mark.slow
def test_the_augmentation_sees_training_images_alone(make_setup, bands):
    seen = set()

    def spy(images, generator):
        seen.update(images.mul(255).round().int().flatten().tolist())
        return images

    samples = bands(read=lambda i: np.full((16, 16), i, dtype=np.uint8))
    finetune(make_setup(stage(epochs=4), samples=samples, augmentation=Augmentation("spy", spy)))
    assert seen == set(TRAIN)


def test_test_images_and_test_labels_have_no_influence_on_the_model(make_setup, bands):
    plain = bands()
    labels = plain.targets.copy()
    labels[60:] = 1 - labels[60:]

    def read(i):
        return 255 - plain.read(i) if i >= 60 else plain.read(i)

    one = finetune(make_setup(samples=plain))
    other = finetune(make_setup(samples=bands(read=read, targets=labels)))
    assert_same(state_of(one), state_of(other))


def test_the_parts_given_to_a_method_lead_to_no_test_sample(make_setup):
    """``Subset`` promises "some samples of a dataset, and nothing of the others"."""
    setup = make_setup()
    for part in (setup.train, setup.val):
        tables = [value for value in vars(part).values() if isinstance(value, Samples)]
        assert all(set(table.ids) <= set(part.samples.ids) for table in tables)


def test_validation_labels_serve_selection_alone(make_setup, bands):
    labels = bands().targets.copy()
    labels[40:60] = 1 - labels[40:60]
    one = finetune(make_setup(selection=LAST))
    other = finetune(make_setup(samples=bands(targets=labels), selection=LAST))
    assert_same(state_of(one), state_of(other))


# -- history and notes -------------------------------------------------------------------------


def test_an_epoch_tells_its_losses_rate_and_stage(record):
    trained = record(stage(name="head", epochs=1, schedule="constant"), stage(name="all", epochs=2))
    assert [(e.epoch, e.epochs, e.stage) for e in trained.epochs] == [
        (1, 3, "head"),
        (2, 3, "all"),
        (3, 3, "all"),
    ]
    assert trained.epochs[0].learning_rate == 1e-2
    assert trained.epochs[2].learning_rate == pytest.approx(0, abs=1e-9), "cosine ends at zero"
    assert all(math.isfinite(e.train_loss) and math.isfinite(e.val_loss) for e in trained.epochs)
    assert all(e.selection == e.val_loss and e.seconds > 0 for e in trained.epochs)


def test_the_validation_loss_is_the_cross_entropy_of_the_validation_scores(record):
    recipe = {"label_smoothing": 0.2, "class_weights": "balanced"}
    trained = record(stage(epochs=1), selection=LAST, recipe=recipe)
    val = trained.training.setup.val
    scores = torch.from_numpy(trained.fitted.predict(val))
    expected = nn.functional.cross_entropy(scores, torch.from_numpy(val.targets))
    assert trained.epochs[0].val_loss == pytest.approx(float(expected), rel=1e-5)


def test_a_plateau_may_follow_the_loss_with_smoothing_and_penalties(record, monkeypatch):
    """``val_loss`` of Keras: smoothed cross-entropy, unweighted, and l2 · ‖W‖²."""
    head = Head(hidden=(HiddenLayer(4, l2=0.01),))
    recipe = {"label_smoothing": 0.2, "class_weights": "balanced", "head": head}
    followed = []
    monkeypatch.setattr(Schedule, "after_epoch", lambda self, loss: followed.append(loss))
    for kind in ("plain", "objective"):
        plateau = stage(epochs=1, optimizer="adam", schedule="plateau", plateau_loss=kind)
        trained = record(plateau, selection=LAST, recipe=recipe)
    val = trained.training.setup.val
    scores = torch.from_numpy(trained.fitted.predict(val))
    targets = torch.from_numpy(val.targets)
    plain = nn.functional.cross_entropy(scores, targets)
    smoothed = nn.functional.cross_entropy(scores, targets, label_smoothing=0.2)
    penalty = 0.01 * trained.end["head.0.weight"].square().sum()
    assert followed == pytest.approx([float(plain), float(smoothed + penalty)], rel=1e-5)
    assert trained.epochs[0].val_loss == pytest.approx(float(plain), rel=1e-5), "as ever"


def test_an_incomplete_last_batch_is_trained_on_if_the_recipe_keeps_it(record):
    """40 images in batches of 16."""
    for kind, seen in (("drop", 64), ("keep", 80), ("rollover", 80)):
        recipe = {"batch_size": 16, "last_batch": kind}
        assert record(stage(epochs=2), recipe=recipe).fitted.progress.images_seen == seen


@pytest.mark.slow
@pytest.mark.parametrize(
    "stages", [[stage(epochs=3)], [stage(epochs=2, train_last=0.0), stage(epochs=1)]]
)
def test_a_trial_on_a_gpu_shows_its_network_two_shapes(make_setup, unseen, monkeypatch, stages):
    """A batch of training, which is that of evaluation, and one image for the latency.

    40 training images in batches of 16, other parts smaller; or their features, computed at once.
    """
    monkeypatch.setattr(Inputs, "one_shape", True)
    monkeypatch.setattr(alike, "_found", OrderedDict())
    seen: set[int] = set()

    def count(module, given):
        if isinstance(module, Network) and not isinstance(given[0], FakeTensor):
            seen.add(len(given[0]))

    compute = Inputs.compute

    def counting(inputs, network, images):
        if not isinstance(images, FakeTensor):
            seen.add(len(images))
        return compute(inputs, network, images)

    monkeypatch.setattr(Inputs, "compute", counting)
    recipe = {"batch_size": 16, "last_batch": "rollover", "test_time": "flip"}
    recipe["head_start"] = "probe"
    with register_module_forward_pre_hook(count):
        fitted = finetune(make_setup(*stages, recipe=recipe))
        fitted.predict(unseen)
        fitted.embed(unseen)
        assert seen == {16}
        assert fitted.model_cost["latency_seconds"] > 0
        assert seen == {16, 1}
        seen.clear()
        assert fitted.model_cost["latency_seconds"] > 0
        assert not seen, "what the first trial has found out, others of its kind are spared"


def test_the_notes_of_a_training_are_plain_data(make_setup):
    notes = finetune(make_setup()).notes
    assert json.loads(json.dumps(notes)) == notes
    assert notes["num_features"] == 16
    assert notes["input_size"] == 16
    assert notes["precision"] == "float32"
    assert notes["weights"] is None
    assert notes["images_per_second"] > 0
