"""Fine-tuning that predicts distributions: likelihoods, dropout that stays, their mixtures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from mritk.model.head_layout import describe_head
from mritk.protocol.recipe import Head, Stage
from mritk.testing import check_method
from mritk_volumes.probabilistic import PredictiveObjective, fit_probabilistic
from mritk_volumes.probabilistic_recipe import ProbabilisticRecipe
from mritk_volumes.thinned_head import TEMPERATURE, ConcreteDropout, ThinnedHead

KINDS = [
    {"likelihood": "gaussian"},
    {"likelihood": "absolute"},
    {"likelihood": "gaussian", "dropout": "mc"},
    {"likelihood": "squared", "dropout": "concrete"},
]


def recipe(epochs=3, **parameters) -> ProbabilisticRecipe:
    stages = (Stage(epochs=epochs, learning_rate=1e-2),)
    return ProbabilisticRecipe(stages=stages, batch_size=10, **parameters)


def objective_of(setup, outputs=2) -> PredictiveObjective:
    own = setup.parameters
    return PredictiveObjective(setup, ThinnedHead(4, outputs, own.dropout, own.dropout_rate))


# -- losses ----------------------------------------------------------------------------------------


def test_the_gaussian_loss_is_the_negative_log_likelihood_up_to_a_constant(balls):
    objective = objective_of(balls(recipe()))
    outputs = torch.tensor([[0.3, -1.0], [1.2, 0.5], [-2.0, 2.0]])
    targets = torch.tensor([0.0, 2.0, -1.5])
    density = stats.norm(outputs[:, 0].numpy(), (outputs[:, 1] / 2).exp().numpy()).logpdf(
        targets.numpy()
    )
    expected = -density.mean() - math.log(2 * math.pi) / 2
    assert float(objective.loss(outputs, targets)) == pytest.approx(expected, rel=1e-5)


def test_the_other_losses_are_absolute_and_squared_errors(balls):
    outputs, targets = torch.tensor([[1.0], [3.0]]), torch.tensor([0.0, 0.0])
    for name, expected in (("absolute", 2.0), ("squared", 5.0)):
        objective = objective_of(balls(recipe(likelihood=name)), outputs=1)
        assert float(objective.loss(outputs, targets)) == expected


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.8])
def test_concrete_dropout_adds_the_divergence_from_its_prior(rate):
    """KL = l² (1 − p) / 2 · ‖M‖² − K · H(p) of Gal, Hron & Kendall 2017; M is what a mask keeps."""
    features, samples, length = 5, 40, 0.7
    head = ThinnedHead(features, 2, "concrete", rate)
    head.outputs.bias.data.fill_(100.0)  # has no prior
    kept = head.outputs.weight.detach().numpy() / (1 - rate)
    entropy = stats.bernoulli(rate).entropy()
    expected = length**2 * (1 - rate) / 2 * np.square(kept).sum() - features * entropy
    assert head.penalty(samples, length).item() == pytest.approx(expected / samples, rel=1e-4)
    assert float(ThinnedHead(5, 2, "mc", rate).penalty(samples, length)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.0, 10.0])
def test_the_divergence_alone_leads_to_the_rate_where_it_is_least(weight):
    """There l² ‖W‖² / (2 (1 − p)²) + D · log(p / (1 − p)) = 0; without weights p = 1/2."""
    head = ThinnedHead(8, 1, "concrete", 0.2)
    head.outputs.weight.data.fill_(weight)
    optimizer = torch.optim.Adam([head.dropout.logit], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        head.penalty(1, 0.1).backward()
        optimizer.step()
    p = head.rate
    slope = 0.1**2 * 8 * weight**2 / (2 * (1 - p) ** 2) + 8 * math.log(p / (1 - p))
    assert slope == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("likelihood", "times"), [("gaussian", 1), ("absolute", 1), ("squared", 2)]
)
def test_the_divergence_is_on_the_scale_of_the_loss(balls, likelihood, times):
    """A squared error is twice the negative log-likelihood of variance 1."""
    setup = balls(recipe(likelihood=likelihood, dropout="concrete", prior_length=2.0))
    objective = objective_of(setup, outputs=2 if likelihood == "gaussian" else 1)
    outputs = torch.zeros(3, 2 if likelihood == "gaussian" else 1)
    added = objective.loss(outputs, torch.ones(3)) - objective.unweighted_loss(
        outputs, torch.ones(3)
    )
    divergence = objective._head.penalty(len(setup.train), 2.0)
    assert added.item() == pytest.approx(times * divergence.item(), rel=1e-4)


def test_relaxed_masks_keep_the_mean_and_are_differentiable_in_the_rate():
    dropout = ConcreteDropout(0.25).train()
    torch.manual_seed(0)
    masks = dropout(torch.ones(400, 500)).detach()
    assert float(masks.mean()) == pytest.approx(1.0, abs=0.02)
    assert float((masks * 0.75 < 0.5).float().mean()) == pytest.approx(0.25, abs=0.01)
    dropout(torch.ones(4, 50)).square().sum().backward()
    assert dropout.logit.grad is not None and float(dropout.logit.grad) != 0
    assert TEMPERATURE < 1
    assert torch.equal(dropout.eval()(masks), masks)


# -- draws -----------------------------------------------------------------------------------------


def test_a_draw_leaves_out_the_same_features_of_every_sample():
    head = ThinnedHead(6, 1, "mc", 0.5)
    head.outputs.weight.data.fill_(1.0)
    head.outputs.bias.data.zero_()
    drawn = head.drawn(torch.eye(6), torch.Generator().manual_seed(0), 50)
    assert drawn.shape == (50, 6, 1)
    assert set(drawn.unique().tolist()) == {0.0, 2.0}
    kept = drawn[..., 0] > 0
    assert 0.4 < float(kept.float().mean()) < 0.6
    alone = head.drawn(torch.eye(6)[2:3], torch.Generator().manual_seed(0), 50)
    assert torch.equal(alone[:, 0], drawn[:, 2])


@pytest.mark.slow
def test_draws_have_the_moments_of_dropout():
    """Mean w·x + b; variance of means Σ (wᵢ xᵢ)² p / (1 − p)."""
    head, rate = ThinnedHead(6, 1, "mc", 0.3), 0.3
    features = torch.linspace(-1, 2, 6)[None]
    drawn = head.drawn(features, torch.Generator().manual_seed(0), 20_000)[:, 0, 0].detach()
    products = (head.outputs.weight * features).detach()
    mean = float(products.sum() + head.outputs.bias.detach())
    variance = float(products.square().sum()) * rate / (1 - rate)
    assert float(drawn.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / 20_000))
    assert float(drawn.var()) == pytest.approx(variance, rel=0.05)


@pytest.mark.slow
def test_a_prediction_is_the_mixture_of_its_draws(balls, test_part):
    setup = balls(recipe(dropout="mc", dropout_rate=0.4, draws=7))
    model = fit_probabilistic(setup)
    drawn = model._drawn(test_part()).double().numpy()
    center, scale = model.training.objective.scaling
    means, variances = drawn[..., 0] * scale + center, np.exp(drawn[..., 1]) * scale**2
    np.testing.assert_allclose(model.predict(test_part()), means.mean(axis=0), rtol=1e-5)
    expected = variances.mean(axis=0) + (means**2).mean(axis=0) - means.mean(axis=0) ** 2
    np.testing.assert_allclose(model.spread(test_part()) ** 2, expected, rtol=1e-5)


@pytest.mark.slow
def test_probabilities_are_averaged_and_not_logits(balls, test_part):
    setup = balls(recipe(dropout="mc", dropout_rate=0.5, draws=9), classes=True)
    model = fit_probabilistic(setup)
    drawn = model._drawn(test_part(classes=True)).double()
    found = torch.from_numpy(model.predict(test_part(classes=True))).double().softmax(dim=1)
    torch.testing.assert_close(found, drawn.softmax(dim=2).mean(dim=0), atol=1e-6, rtol=1e-5)
    assert not hasattr(model, "spread")


# -- training --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_spread_tells_where_values_are_uncertain(workspace):
    """Upper band: the value is exact; lower band: noise is added to it."""
    from dataclasses import replace

    from mritk import Augmentation, Regression, Samples, Setup, Subset
    from mritk.backbone import Backbone
    from mritk.testing.tiny import tiny_architecture

    rng = np.random.default_rng(0)
    noisy = np.arange(300) % 2
    images = rng.integers(0, 40, (300, 16, 16), dtype=np.uint8)
    images[noisy == 1, 8:] += 180
    images[noisy == 0, :8] += 180
    targets = 5 * noisy + np.where(noisy == 1, rng.normal(0, 2.0, 300), rng.normal(0, 0.1, 300))
    samples = Samples([f"i{i}" for i in range(300)], targets, Regression("mm"), lambda i: images[i])
    parts = [Subset.of(samples, rows, workspace) for rows in np.split(np.arange(300), [200, 250])]
    architecture = tiny_architecture()
    contract = replace(architecture.input, size=16)
    setup = Setup(
        parameters=recipe(epochs=40),
        task=samples.task,
        train=parts[0],
        val=parts[1],
        augmentation=Augmentation("none", None),
        seed=0,
        workspace=workspace,
        backbone=Backbone(replace(architecture, input=contract)),
        image_size=16,
    )
    spread = fit_probabilistic(setup).spread(parts[2])
    loud, quiet = spread[noisy[250:] == 1], spread[noisy[250:] == 0]
    assert np.median(loud) > 3 * np.median(quiet)
    assert 1.0 < np.median(loud) < 4.0


@pytest.mark.slow
def test_the_rate_of_concrete_dropout_is_learned_and_told(balls):
    told = []
    setup = balls(recipe(epochs=4, dropout="concrete"), on_epoch=told.append)
    model = fit_probabilistic(setup)
    rates = [epoch.extra["dropout rate"] for epoch in told]
    assert len(set(rates)) == 4
    assert model.notes["dropout_rate"] == pytest.approx(model.head.rate)


@pytest.mark.slow
def test_without_dropout_the_network_ends_in_a_layer_that_a_file_can_hold(balls, test_part):
    model = fit_probabilistic(balls(recipe()))
    described = describe_head(model.network.head)
    assert described == [{"layer": "Linear", "in_features": 64, "out_features": 1}]
    inputs = model.training.inputs
    values = inputs.evaluate(model.network, inputs.resident(test_part()), 8)
    scores = model.training.objective.scores(values)
    np.testing.assert_allclose(scores, model.predict(test_part()), rtol=1e-5)
    # The row of log variances was trained too, and does not belong to the network.
    changed = [name for names in model.progress.changed.values() for name in names]
    assert "head.0.weight" in changed and "head.outputs.weight" not in changed
    dropping = fit_probabilistic(balls(recipe(epochs=1, dropout="mc")))
    assert describe_head(dropping.network.head) is None


# -- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"head": Head(dropout=0.1)}, "has a head of its own"),
        ({"test_time": "flip"}, "leave out test_time"),
        ({"dropout_rate": 0.0}, "dropout_rate must be in"),
        ({"draws": 0}, "draws must be at least 1"),
        ({"prior_length": 0.0}, "prior_length must be positive"),
    ],
)
def test_what_does_not_belong_together_is_refused(parameters, told):
    with pytest.raises(ValueError, match=told):
        recipe(**parameters)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(kind.values()))
def test_the_method_keeps_every_promise(kind, registry):
    check_method(registry.method("probabilistic_finetune"), recipe(**kind))
