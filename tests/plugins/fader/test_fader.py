"""The site leaves the latent space, the class does not; and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import permutation_test, ttest_rel
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional

from mritk import Subset, UsageError, Workspace
from mritk.evaluate.covariate_probe import probe_scores
from mritk.method import SelectionRule
from mritk.plugins.registry import Registry
from mritk.study.benchmark import find_protocol
from mritk.testing import check_method
from mritk_fader.autoencoder import FaderAutoencoder
from mritk_fader.fader import fit_fader
from mritk_fader.recipe import FaderRecipe
from tests.plugins.fader.conftest import COUNT, SITES, TEST, VAL, draw_shapes, make_setup
from tests.stopped import Thrifty

SEEDS = range(3)
PLAIN, FADED = 0.0, 0.2


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """With and without an adversary, three seeds each; and the parts of the data."""
    workspace, samples = Workspace(tmp_path_factory.mktemp("fader")), draw_shapes()
    found = {}
    for weight in (PLAIN, FADED):
        for seed in SEEDS:
            options = {"adversary_weight": weight, "epochs": 16, "dropout": 0.2}
            setup = make_setup(workspace, samples, setup={"seed": seed}, **options)
            found[weight, seed] = fit_fader(setup)
    rows = {"test": TEST, "unseen": np.concatenate([VAL, TEST])}
    return found, {name: Subset.of(samples, r, workspace) for name, r in rows.items()}


def numbers_of(sites) -> np.ndarray:
    return np.array([SITES.index(site) for site in sites])


def told(fitted, part) -> np.ndarray:
    """Whether the core's probe tells the site of each scan from its embedding."""
    sites = numbers_of(part.samples.sites)
    embedding = fitted.embed(part).astype(np.float16)
    found: np.ndarray = probe_scores(embedding, sites, np.arange(len(sites))).argmax(1) == sites
    return found


@pytest.mark.slow
def test_a_new_probe_tells_the_site_less_well_by_a_paired_test_over_seeds(trained):
    found, parts = trained
    plain, faded = (
        np.mean([told(found[weight, seed], parts["unseen"]) for seed in SEEDS], axis=0)
        for weight in (PLAIN, FADED)
    )
    assert plain.mean() > 0.85
    assert faded.mean() < 0.5 + 0.5 * (plain.mean() - 0.5)
    lost = plain - faded
    test = permutation_test((lost,), np.mean, permutation_type="samples", alternative="greater")
    assert test.pvalue < 0.001


@pytest.mark.slow
def test_the_class_is_not_told_worse_on_a_site_left_out_by_a_paired_test(trained):
    """A regression on the scans of one site scores those of the other; the adversary saw both."""
    found, parts = trained
    targets, sites = parts["unseen"].targets, numbers_of(parts["unseen"].samples.sites)
    areas = {PLAIN: [], FADED: []}
    for (weight, _), fitted in found.items():
        embedding = fitted.embed(parts["unseen"])
        for site in (0, 1):
            model = make_pipeline(StandardScaler(), LogisticRegression())
            model.fit(embedding[sites != site], targets[sites != site])
            scores = model.decision_function(embedding[sites == site])
            areas[weight].append(roc_auc_score(targets[sites == site], scores))
    assert ttest_rel(areas[PLAIN], areas[FADED], alternative="greater").pvalue > 0.05
    assert np.mean(areas[FADED]) > 0.8
    for seed in SEEDS:
        scores = found[FADED, seed].predict(parts["test"])
        assert (scores.argmax(axis=1) == parts["test"].targets).mean() > 0.7


@pytest.mark.slow
def test_scans_are_still_drawn_and_as_of_the_other_site_where_it_is_asked_for(trained):
    found, parts = trained
    part = parts["test"]
    sites = numbers_of(part.samples.sites)
    for seed in SEEDS:
        fitted = found[FADED, seed]
        plain = found[PLAIN, seed].autoencoder.reconstruction_error(part)
        assert fitted.autoencoder.reconstruction_error(part) < 2 * plain
        corner = {}
        for name in SITES:
            drawn = fitted.reconstruct(part, name)
            assert drawn.shape == (len(part), 1, 16, 16)
            corner[name] = drawn[:, 0, :3, :3].mean(axis=(1, 2))
        # Only scans of the south have a bright corner.
        north = sites == SITES.index("north")
        assert (corner["south"][north] > corner["north"][north]).mean() > 0.9
        assert (corner["south"][~north] > corner["north"][~north]).mean() > 0.9
        own = fitted.reconstruct(part)[:, 0, :3, :3].mean(axis=(1, 2))
        np.testing.assert_allclose(own[north], corner["north"][north], rtol=1e-5)


@pytest.mark.slow
def test_a_site_that_the_decoder_does_not_know_is_refused_with_those_that_it_knows(shapes):
    setup = shapes(epochs=1)
    with pytest.raises(UsageError, match=r"no site 'nrth' .* give one of north, south"):
        fit_fader(setup).reconstruct(setup.val, "nrth")


# -- how it is trained -----------------------------------------------------------------------------


@pytest.mark.slow
def test_checkpoints_that_take_too_much_of_the_time_are_left_out(shapes):
    store = Thrifty()
    fit_fader(shapes(epochs=2, setup={"checkpoint": store}))
    assert store.saved == []


@pytest.mark.slow
def test_history_counts_five_steps_of_the_adversary_to_one_and_a_rising_weight(shapes):
    epochs = []
    setup = shapes(epochs=3, adversary_weight=0.6, setup={"on_epoch": epochs.append})
    fitted = fit_fader(setup)
    own = [epoch for epoch in epochs if epoch.stage == "autoencoder"]
    assert [epoch.epoch for epoch in epochs] == list(
        range(1, 3 + len(setup.parameters.penalties) + 1)
    )
    for epoch in own:
        assert epoch.extra["autoencoder steps"] == 120 // 24
        assert epoch.extra["adversary steps"] == 5 * epoch.extra["autoencoder steps"]
        assert 0 <= epoch.extra["adversary right"] <= 1
    weights = [fitted.autoencoder.weight(step) for step in range(15)]
    np.testing.assert_allclose(weights, np.linspace(0, 0.6, 15))
    assert own[-1].extra["weight"] == pytest.approx(0.6)
    epochs.clear()
    fit_fader(shapes(adversary_weight=0.0, setup={"on_epoch": epochs.append}))
    assert "adversary steps" not in epochs[0].extra


def test_a_step_trains_one_side_by_its_formula(shapes, monkeypatch):
    """The adversary looks for the site, the encoder for all others."""
    setup = shapes(dropout=0.0)
    model = FaderAutoencoder(setup, setup.train)
    wanted = []
    whole = functional.binary_cross_entropy_with_logits

    def noted(logits, codes):
        wanted.append(codes)
        return whole(logits, codes)

    monkeypatch.setattr(functional, "binary_cross_entropy_with_logits", noted)
    rows = torch.arange(12)
    sites = codes = torch.tensor([[s == "north", s == "south"] for s in draw_shapes().sites[:12]])
    for step, changed in ((0, {"adversary"}), (1, {"encoder", "decoder"})):
        before = {
            name: [p.clone() for p in getattr(model, name).parameters()]
            for name in ("encoder", "decoder", "adversary")
        }
        if step == 0:
            model._adversary_step(rows)
        else:
            model._autoencoder_step(rows, 0.5)
        for name, values in before.items():
            same = all(
                torch.equal(a, b)
                for a, b in zip(values, getattr(model, name).parameters(), strict=True)
            )
            assert same == (name not in changed)
    assert torch.equal(wanted[0], codes.float())
    assert torch.equal(wanted[1], 1 - sites.float())


@pytest.mark.slow
def test_the_autoencoder_sees_the_unlabelled_samples_and_the_regression_the_training_set(
    shapes, workspace
):
    samples = draw_shapes()
    every = Subset.of(samples, np.arange(COUNT), workspace).without_targets()
    fitted = fit_fader(shapes(samples, epochs=1, setup={"unlabelled": every}))
    assert fitted.notes["autoencoder_samples"] == COUNT
    assert sum(fitted.notes["autoencoder_sites"].values()) == COUNT
    assert fit_fader(shapes(samples, epochs=1)).notes["autoencoder_samples"] == 120


@pytest.mark.slow
def test_labels_do_not_shape_the_autoencoder(shapes):
    samples = draw_shapes()
    other = replace(samples, targets=np.random.default_rng(1).permutation(samples.targets))
    one, two = (fit_fader(shapes(s, epochs=1)).autoencoder.state() for s in (samples, other))
    for name, tensor in one["encoder"].items():
        assert torch.equal(tensor, two["encoder"][name])


@pytest.mark.slow
@pytest.mark.parametrize("features", ["mean", "grid"])
def test_embeddings_are_what_the_adversary_sees(shapes, workspace, features):
    fitted = fit_fader(shapes(epochs=1, features=features))
    part = Subset.of(draw_shapes(), TEST, workspace)
    width = 16 if features == "mean" else 16 * 4 * 4
    assert fitted.embed(part).shape == (len(TEST), width)
    assert fitted.autoencoder.adversary[0].num_features == width
    assert fitted.predict(part).dtype == np.float32
    assert fitted.model_cost["parameters"] < fitted.model_cost["trained_parameters"]


@pytest.mark.slow
def test_the_penalty_is_chosen_on_the_validation_set(shapes):
    epochs = []
    fitted = fit_fader(shapes(setup={"on_epoch": epochs.append}))
    tried = [epoch for epoch in epochs if epoch.stage.startswith("penalty")]
    best = tried[int(np.argmin([epoch.val_loss for epoch in tried]))]
    assert best.stage == f"penalty {fitted.notes['selected_penalty']:g}"
    assert fitted.notes["selected_epoch"] == best.epoch
    last = fit_fader(shapes(setup={"selection": SelectionRule("last")}, penalties=(3.0, 1.0)))
    assert last.notes["selected_penalty"] == 3.0


# -- promises and refusals -------------------------------------------------------------------------


@pytest.mark.slow
def test_it_keeps_what_every_method_promises():
    method = Registry.load(environ={}).method("fader")
    check_method(method, FaderRecipe(epochs=3, width=4, levels=2, batch_size=6))


def test_what_cannot_be_trained_is_refused(shapes):
    with pytest.raises(UsageError, match="several sites, but there is no site"):
        fit_fader(shapes(replace(draw_shapes(), sites=None)))
    with pytest.raises(UsageError, match="there is one site, north"):
        fit_fader(shapes(replace(draw_shapes(), sites=["north"] * COUNT)))
    with pytest.raises(UsageError, match="there is one site, north"):
        fit_fader(shapes(replace(draw_shapes(), sites=["north", ""] * (COUNT // 2))))
    with pytest.raises(UsageError, match="40 of 120 samples have no site"):
        fit_fader(shapes(replace(draw_shapes(), sites=["north", "south", ""] * (COUNT // 3))))
    with pytest.raises(UsageError, match=r"16×16 voxels; set image_size .* a multiple of 32"):
        fit_fader(shapes(levels=5))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"levels": 0}, "levels must be at least 1"),
        ({"batch_size": 1}, "batch_size must be at least 2"),
        ({"adversary_weight": -1.0}, "must not be negative"),
        ({"adversary_steps": 0}, "set adversary_weight = 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
        ({"penalties": ()}, "penalties must be positive"),
    ],
)
def test_parameters_that_cannot_be_trained_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        FaderRecipe(**wrong)


def test_the_protocols_differ_in_one_value_each():
    registry = Registry.load(environ={})
    names = ("fader", "fader_plain", "fader_all")
    own, plain, every = (find_protocol(name, registry) for name in names)
    assert [p.split.unlabelled for p in (own, plain, every)] == ["train", "train", "all"]
    assert [p.parameters.adversary_weight for p in (own, plain, every)] == [0.01, 0.0, 0.01]
    assert {p.split.scheme for p in (own, plain, every)} == {"site"}
    assert len({p.fingerprint for p in (own, plain, every)}) == 3
