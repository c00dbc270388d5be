"""The linear probe: a penalised linear model on features of a backbone that never trains."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch import nn

from mritk import (
    Architecture,
    Augmentation,
    Classification,
    DataError,
    InputContract,
    Regression,
    Samples,
    Setup,
    Subset,
    UsageError,
    Workspace,
)
from mritk.backbone import Backbone
from mritk.method import SelectionRule
from mritk.model.backbone import load_backbone
from mritk.probe import logistic_search
from mritk.probe.logistic import fit_logistic
from mritk.protocol.recipe import Probe
from mritk_finetune import probe
from mritk_finetune.probe import fit_probe

TRAIN, VAL, TEST = range(48), range(48, 72), range(72, 90)
PENALTIES = (0.1, 1.0, 10.0, 100.0)


def build():
    return nn.Sequential(
        *(nn.Conv2d(3, 5, 3, 2), nn.BatchNorm2d(5), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten()),
    )


@dataclass(frozen=True, eq=False)
class ProbeSetup(Setup):
    """A setup that remembers, for the tests, what its parts were taken from."""

    everything: Samples | None = None


@pytest.fixture
def make(workspace):
    """Make a setup of the probe on 90 noisy images of two or three classes, or of ages."""

    def make_setup(task=None, parameters=None, **changes) -> Setup:
        task = task or Classification(("a", "b", "c"))
        rng = np.random.default_rng(0)
        images = rng.integers(0, 200, (90, 12, 12)).astype(np.uint8)
        if isinstance(task, Regression):
            targets = rng.uniform(20, 90, 90)
            strength = targets / 3
        else:
            targets = rng.permutation(np.arange(90) % task.outputs)
            strength = 12.0 * targets
        images[:, :6] = np.minimum(images[:, :6] + strength[:, None, None], 255).astype(np.uint8)
        samples = Samples([f"s{i}" for i in range(90)], targets, task, lambda i: images[i])
        half = (0.5, 0.5, 0.5)
        fields = {
            "parameters": parameters or Probe(penalties=PENALTIES, eval_batch_size=7),
            "task": task,
            "train": Subset.of(samples, TRAIN, workspace),
            "val": Subset.of(samples, VAL, workspace),
            "augmentation": Augmentation("none", None),
            "seed": 0,
            "workspace": workspace,
            "backbone": Backbone(Architecture("net", build, InputContract(12, half, half))),
            "image_size": 12,
        }
        return ProbeSetup(**{**fields, **changes}, everything=samples)

    return make_setup


def unseen_of(setup):
    return Subset.of(setup.everything, TEST, setup.workspace)


def logistic(penalty, **options):
    """scikit-learn's model, converged further than by default."""
    return LogisticRegression(C=1 / penalty, tol=1e-8, max_iter=100_000, **options)


def features(setup, rows):
    """The backbone's features, computed without mritk's batches."""
    network = load_backbone(setup.backbone, setup.workspace, setup.seed, 12).network
    pixels = np.stack([setup.everything.read(i) for i in rows]).astype(np.float32)
    batch = torch.from_numpy(pixels)[:, None].repeat(1, 3, 1, 1) / 255
    with torch.inference_mode():
        return network((batch - 0.5) / 0.5).numpy().astype(np.float64)


def sklearn_models(setup, make_model):
    """Return, per penalty, the fitted model, and standardised features of val and test."""
    scaler = StandardScaler()
    train = scaler.fit_transform(features(setup, TRAIN))
    models = {penalty: make_model(penalty).fit(train, setup.train.targets) for penalty in PENALTIES}
    return models, scaler.transform(features(setup, VAL)), scaler.transform(features(setup, TEST))


def test_the_probe_is_scikit_learn_on_the_same_features(make):
    setup = make()
    fitted = fit_probe(setup)
    models, val, test = sklearn_models(setup, logistic)
    losses = {p: log_loss(setup.val.targets, m.predict_proba(val)) for p, m in models.items()}
    best = min(losses, key=losses.get)
    assert fitted.notes["selected_penalty"] == best
    scores = fitted.predict(unseen_of(setup))
    assert scores.shape == (18, 3)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, models[best].decision_function(test), atol=1e-4)


def test_two_classes_give_two_logits_with_scikit_learns_probabilities(make):
    setup = make(Classification(("a", "b")))
    fitted = fit_probe(setup)
    models, _, test = sklearn_models(setup, logistic)
    scores = torch.from_numpy(fitted.predict(unseen_of(setup)))
    assert scores.shape == (18, 2)
    expected = models[fitted.notes["selected_penalty"]].predict_proba(test)
    np.testing.assert_allclose(scores.softmax(1).numpy(), expected, atol=1e-4)


def test_a_regression_is_a_ridge_in_the_unit_of_the_target(make):
    setup = make(Regression("years"))
    fitted = fit_probe(setup)
    models, val, test = sklearn_models(setup, lambda p: Ridge(alpha=p))
    errors = {p: np.square(m.predict(val) - setup.val.targets).mean() for p, m in models.items()}
    best = min(errors, key=errors.get)
    assert fitted.notes["selected_penalty"] == best
    values = fitted.predict(unseen_of(setup))
    assert values.shape == (18,)
    assert values.dtype == np.float32
    np.testing.assert_allclose(values, models[best].predict(test), rtol=1e-3)


def test_class_weights_are_those_of_scikit_learn(make):
    setup = make(parameters=Probe(penalties=(1.0,), class_weights="balanced"))
    models, _, test = sklearn_models(setup, lambda p: logistic(p, class_weight="balanced"))
    scores = fit_probe(setup).predict(unseen_of(setup))
    np.testing.assert_allclose(scores, models[1.0].decision_function(test), atol=1e-4)


@pytest.mark.parametrize("by", ["loss", "balanced_accuracy", "log_loss"])
def test_the_penalty_is_chosen_on_the_validation_part(make, by):
    epochs = []
    setup = make(selection=SelectionRule(by=by), on_epoch=epochs.append)
    chosen = fit_probe(setup).notes["selected_epoch"]
    values = [epoch.selection for epoch in epochs]
    best = max(values) if by == "balanced_accuracy" else min(values)
    assert values.index(best) + 1 == chosen, "ties keep the earlier penalty"


def test_with_the_rule_last_the_first_penalty_is_used_and_nothing_is_chosen(make):
    epochs = []
    setup = make(selection=SelectionRule(on="last"), on_epoch=epochs.append)
    assert fit_probe(setup).notes["selected_penalty"] == PENALTIES[0]
    assert len(epochs) == 1


def test_with_the_rule_last_a_metric_without_value_refuses_nothing(make):
    """R² has no value on validation targets that are all equal."""
    setup = make(Regression("years"), selection=SelectionRule(on="last", by="r2"))
    equal = replace(setup.val.samples, targets=np.full(len(setup.val), 50.0))
    fitted = fit_probe(replace(setup, val=replace(setup.val, samples=equal)))
    assert fitted.notes["selected_penalty"] == PENALTIES[0]


def test_each_penalty_is_announced_like_an_epoch(make):
    epochs = []
    fit_probe(make(on_epoch=epochs.append))
    assert [(e.epoch, e.epochs, e.stage) for e in epochs] == [
        (1, 4, "penalty 0.1"),
        (2, 4, "penalty 1"),
        (3, 4, "penalty 10"),
        (4, 4, "penalty 100"),
    ]
    losses = [epoch.train_loss for epoch in epochs]
    assert losses == sorted(losses), "a stronger penalty fits the training part less"


def test_two_runs_are_identical_bit_for_bit(make):
    def scores():
        setup = make()
        return fit_probe(setup).predict(unseen_of(setup))

    first = scores()
    torch.rand(100)
    np.testing.assert_array_equal(first, scores())


def test_the_global_generator_is_left_alone(make):
    before = torch.get_rng_state()
    fit_probe(make())
    assert torch.equal(torch.get_rng_state(), before)


def test_the_backbone_does_not_train(make):
    networks = []

    def build_and_keep():
        networks.append(build())
        return networks[-1]

    setup = make()
    start = load_backbone(setup.backbone, setup.workspace, 0, 12).network.state_dict()
    architecture = replace(setup.backbone.architecture, build=build_and_keep)
    fit_probe(replace(setup, backbone=Backbone(architecture)))
    (network,) = networks
    assert all(torch.equal(start[name], end) for name, end in network.state_dict().items())


@pytest.mark.slow
def test_trials_of_one_fold_fit_and_compute_features_once(make, monkeypatch):
    """Folds and seeds cost one feature pass; what a trial says does not depend on its turn."""
    builds, fits = [], []

    def build_and_count():
        builds.append(1)
        return build()

    def count(*arguments, **options):
        fits.append(1)
        return fit_logistic(*arguments, **options)

    monkeypatch.setattr(probe, "fit_logistic", count)
    setup = make()
    architecture = replace(setup.backbone.architecture, build=build_and_count)
    setup = replace(setup, backbone=Backbone(architecture))
    samples, workspace = setup.everything, setup.workspace
    folds = [(range(48), range(48, 72)), (range(24, 72), range(24)), (range(42, 90), range(42))]
    seen = []
    for _ in range(2):
        for train, val in folds:
            parts = {"train": Subset.of(samples, train, workspace)}
            parts["val"] = Subset.of(samples, val, workspace)
            fitted = fit_probe(replace(setup, **parts))
            seen.append((fitted.notes, fitted.predict(unseen_of(setup)).tolist()))
    assert len(builds) == 1
    assert len(fits) == 3
    assert seen[:3] == seen[3:]
    alone = Workspace(workspace.home / "alone")
    (train, val), expected = folds[-1], seen[2][1]
    parts = {"train": Subset.of(samples, train, alone), "val": Subset.of(samples, val, alone)}
    fitted = fit_probe(replace(setup, **parts, workspace=alone))
    assert fitted.predict(unseen_of(setup)).tolist() == expected


@pytest.mark.slow
def test_other_labels_or_weights_are_another_fit(make):
    """What is kept of a fit must never be taken for that of other labels."""
    setup = make()
    fit_probe(setup)
    turned = replace(
        setup.train, samples=replace(setup.train.samples, targets=(setup.train.targets + 1) % 3)
    )
    scores = fit_probe(replace(setup, train=turned)).predict(unseen_of(setup))
    shifted = replace(setup, train=turned, workspace=Workspace(setup.workspace.home / "fresh"))
    np.testing.assert_array_equal(scores, fit_probe(shifted).predict(unseen_of(setup)))


def test_a_class_without_training_samples_is_refused(make):
    setup = make()
    rows = [row for row in TRAIN if setup.everything.targets[row] != 2]
    setup = replace(setup, train=Subset.of(setup.everything, rows, setup.workspace))
    with pytest.raises(DataError, match="class 'c' has no sample in the training set"):
        fit_probe(setup)


def test_a_fit_that_does_not_converge_is_told(make, monkeypatch, caplog):
    monkeypatch.setattr(logistic_search, "MAX_ITERATIONS", 2)
    notes = fit_probe(make(selection=SelectionRule(on="last"))).notes
    assert notes["converged"] is False
    assert "did not converge for penalty 0.1 after 2 steps" in caplog.text


def test_an_augmentation_is_refused_because_features_are_computed_once(make):
    setup = make(augmentation=Augmentation("affine", lambda images, generator: images))
    with pytest.raises(
        UsageError, match="cannot use augmentation 'affine'; use --augmentation none"
    ):
        fit_probe(setup)


def test_validation_labels_do_not_reach_the_fit(make):
    """Only the choice among penalties may depend on them."""
    setup = make(parameters=Probe(penalties=(1.0,)))
    swapped = replace(
        setup.val, samples=replace(setup.val.samples, targets=(setup.val.targets + 1) % 3)
    )
    one, other = (
        fit_probe(s).predict(unseen_of(setup)) for s in (setup, replace(setup, val=swapped))
    )
    np.testing.assert_array_equal(one, other)


def test_the_notes_are_plain_data(make):
    notes = fit_probe(make()).notes
    assert json.loads(json.dumps(notes)) == notes
    assert notes["num_features"] == 10
    assert notes["converged"] is True


def test_a_rule_that_is_undefined_for_every_penalty_still_leaves_a_model(make, workspace):
    """R² has no value on validation targets that are all equal; a prediction has."""
    setup = make(Regression("years"), selection=SelectionRule(by="r2"))
    equal = replace(setup.val.samples, targets=np.full(len(setup.val), 50.0))
    setup = replace(setup, val=replace(setup.val, samples=equal))
    try:
        fitted = fit_probe(setup)
    except UsageError:
        return
    assert np.isfinite(fitted.predict(unseen_of(setup))).all()
