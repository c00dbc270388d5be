"""Fine-tuning for unseen sites: what it learns, never sees, remembers and refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import permutation_test

from mritk import Subset, UsageError, Workspace
from mritk.method import SelectionRule
from mritk.model.head_layout import describe_head
from mritk.plugins.registry import Registry
from mritk.protocol.recipe import Stage
from mritk.splits.split_rule import SplitRule
from mritk.splits.splits import make_folds
from mritk.study.benchmark import find_protocol
from mritk.testing import check_method
from mritk.train.checkpoint import Checkpoint
from mritk_domains.domain_finetune import fit_domains
from mritk_domains.latent import LatentHead
from mritk_domains.objective import DomainObjective
from mritk_domains.recipe import DomainRecipe
from tests.host_waits import host_waits
from tests.plugins.domains.conftest import EACH, TEST, TRAIN, VAL, draw_sites, make_setup

REGULARISERS = ("erm", "lddg", "coral", "mixup", "irm", "groupdro")
SEEDS = range(3)


def hits(fitted, part) -> np.ndarray:
    return fitted.predict(part).argmax(axis=1) == part.targets


def latent_means(fitted, part) -> torch.Tensor:
    values = torch.from_numpy(fitted.embed(part))
    with torch.no_grad():
        for layer in list(fitted.network.head)[:-1]:
            values = layer(values)
    return values


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Plain training and LDDG on three sites, three seeds each; and the parts of the data."""
    workspace, samples = Workspace(tmp_path_factory.mktemp("domains")), draw_sites()
    found = {}
    for name in ("erm", "lddg"):
        for seed in SEEDS:
            options = {"regulariser": name, "rank_weight": 0.5, "epochs": 25}
            fields = {"seed": seed, "selection": SelectionRule("last")}
            setup = make_setup(workspace, samples, setup=fields, **options)
            found[name, seed] = fit_domains(setup)
    parts = {"train": TRAIN, "val": VAL, "unseen": TEST}
    return found, {name: Subset.of(samples, rows, workspace) for name, rows in parts.items()}


@pytest.mark.slow
def test_the_kth_singular_value_shrinks_to_a_tenth_and_the_sources_stay_learnt(trained):
    """K is 3: of the training images of the three sources, at their latent means."""
    found, parts = trained
    value = {
        key: float(torch.linalg.svdvals(latent_means(f, parts["train"]))[2])
        for key, f in found.items()
    }
    for seed in SEEDS:
        assert value["lddg", seed] <= 0.1 * value["erm", seed]
        assert hits(found["lddg", seed], parts["val"]).mean() >= 0.9
        assert hits(found["erm", seed], parts["val"]).mean() >= 0.9


@pytest.mark.slow
def test_the_unseen_site_is_not_read_worse_by_a_paired_test_over_seeds(trained):
    found, parts = trained
    rate = {
        name: np.mean([hits(found[name, seed], parts["unseen"]) for seed in SEEDS], axis=0)
        for name in ("erm", "lddg")
    }
    assert rate["lddg"].mean() > 0.7
    gained = rate["lddg"] - rate["erm"]
    test = permutation_test((gained,), np.mean, permutation_type="samples", alternative="less")
    assert test.pvalue > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("regulariser", REGULARISERS)
def test_labels_of_the_unseen_site_change_no_bit_of_the_weights(regulariser, domains, workspace):
    """Neither in training nor in the division of the sources into training and validation."""
    weights = []
    for noise in (False, True):
        samples = draw_sites()
        if noise:
            drawn = np.random.default_rng(1).integers(0, 2, EACH)
            samples = replace(samples, targets=np.concatenate([samples.targets[:-EACH], drawn]))
        fold = make_folds(samples, SplitRule("site"))[-1]
        assert {samples.sites[row] for row in fold.test} == {"yellow"}
        fields = {
            "train": Subset.of(samples, fold.train, workspace),
            "val": Subset.of(samples, fold.val, workspace),
        }
        fitted = fit_domains(domains(samples, regulariser=regulariser, epochs=1, setup=fields))
        weights.append(fitted.network.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


class Stopped(BaseException):
    """Ends a training as a killed process would."""


@pytest.mark.slow
@pytest.mark.parametrize("regulariser", ["lddg", "irm", "groupdro"])
def test_stopped_within_an_epoch_it_ends_as_if_it_had_not_been(
    regulariser, domains, tmp_path, monkeypatch
):
    """What a loss remembers is in the checkpoint: weights of sites, steps, sums of terms."""
    options = {"regulariser": regulariser, "irm_anneal": 5, "groupdro_rate": 1.0}
    whole_epochs, epochs = [], []
    whole = fit_domains(domains(setup={"on_epoch": whole_epochs.append}, **options))

    def resumable():
        checkpoint = Checkpoint(tmp_path / "checkpoint", {}, epochs, every=0.0)
        fields = {"checkpoint": checkpoint, "on_epoch": epochs.append}
        return domains(setup=fields, **options)

    loss, calls = DomainObjective.loss, []

    def stop(self, outputs, targets):
        calls.append(1)
        if len(calls) == 7:
            raise Stopped
        return loss(self, outputs, targets)

    with monkeypatch.context() as patch:
        patch.setattr(DomainObjective, "loss", stop)
        setup = resumable()
        with pytest.raises(Stopped):
            fit_domains(setup)
        setup.checkpoint.close()
    setup = resumable()
    resumed = fit_domains(setup)
    setup.checkpoint.close()
    assert setup.checkpoint.resumed
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor)
    assert [epoch.extra for epoch in epochs] == [epoch.extra for epoch in whole_epochs]
    assert resumed.notes["site_weights"] == whole.notes["site_weights"]


def test_history_and_notes_tell_the_terms(domains):
    epochs = []
    fitted = fit_domains(domains(regulariser="lddg", setup={"on_epoch": epochs.append}))
    for epoch in epochs:
        assert set(epoch.extra) == {"sigma_1", "sigma_K", "rank term", "KL"}
        assert 0 < epoch.extra["sigma_K"] < epoch.extra["sigma_1"]
    assert set(fitted.notes["source_sites"]) == {"blue", "green", "red"}
    assert describe_head(fitted.network.head) is not None, "so the model can be kept"
    assert set(fitted.notes["changed_tensors"]["stage 1"]) == set(fitted.network.state_dict())
    assert fitted.model_cost["trained_parameters"] == fitted.model_cost["parameters"]


@pytest.mark.parametrize(
    ("regulariser", "term"), [("coral", "CORAL"), ("irm", "IRM"), ("groupdro", "worst site")]
)
def test_each_regulariser_tells_what_it_adds(regulariser, term, domains):
    epochs = []
    fit_domains(domains(regulariser=regulariser, epochs=1, setup={"on_epoch": epochs.append}))
    assert epochs[0].extra[term] != 0


def test_images_are_mixed_with_those_of_another_site(domains, monkeypatch):
    from mritk.batches import mixing

    seen = []
    whole = mixing.blend

    def blend(values, share):
        seen.append((values, values.roll(1, 0)))
        return whole(values, share)

    monkeypatch.setattr(mixing, "blend", blend)
    fit_domains(domains(regulariser="mixup", epochs=1))
    images, partners = seen[0]
    # The colour of a site is that of its brightest channel.
    colours = [part.mean(dim=(2, 3)).argmax(dim=1) for part in (images, partners)]
    assert (colours[0] != colours[1]).all()


def test_singular_values_that_micro_batches_cannot_tell_are_absent(domains):
    """Those of an epoch, also where earlier ones had whole batches."""
    setup = domains(regulariser="erm")
    head = LatentHead(6, 2, latent=8, hidden=4, drawn=None)
    objective = DomainObjective(setup, head, 3, 24)
    images, targets = torch.randn(24, 6), torch.zeros(24, dtype=torch.long)
    objective.loss(head(images), targets)
    assert objective.epoch_terms()["sigma_1"] > 0
    for half in (slice(0, 12), slice(12, 24)):
        objective.loss(head(images[half]), targets[half])
    assert objective.epoch_terms() == {}


@pytest.mark.parametrize("regulariser", ["erm", "coral", "mixup", "groupdro"])
def test_the_loss_of_a_step_waits_for_no_gpu(regulariser, domains):
    """That of lddg waits once, in the singular value decomposition; irm's gradients need a GPU."""
    setup = domains(regulariser=regulariser)
    head = LatentHead(6, 2, latent=8, hidden=4, drawn=None)

    def step(batch):
        objective = DomainObjective(setup, head.to_empty(device=batch.device), 3, 24)
        for name, tensor in objective._memory.items():
            objective._memory[name] = torch.empty_like(tensor, device=batch.device)
        targets = torch.zeros(24, dtype=torch.int64, device=batch.device)
        if regulariser == "mixup":
            targets = objective.soft(targets)
        objective.loss(head(batch), targets)

    assert host_waits(step, (24, 6)) == []


# -- promises and refusals -------------------------------------------------------------------------


@pytest.mark.slow
def test_it_keeps_what_every_method_promises():
    method = Registry.load(environ={}).method("domain_finetune")
    recipe = DomainRecipe(stages=(Stage(epochs=3),), batch_size=8, regulariser="lddg", latent=4)
    check_method(method, recipe)


def test_more_sites_than_latent_dimensions_are_refused(domains):
    with pytest.raises(UsageError, match="set latent = 3 or more"):
        fit_domains(domains(latent=2))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"mixup": 0.2}, "regulariser = 'mixup' and mixup_alpha"),
        ({"head_start": "probe"}, "a head of its own"),
        ({"last_batch": "keep"}, "equally many samples of each site"),
        ({"latent": 0}, "latent must be at least 1"),
        ({"groupdro_rate": 0.0}, "groupdro_rate must be positive"),
        ({"rank_weight": -1.0}, "rank_weight must not be negative"),
    ],
)
def test_parameters_that_do_not_belong_together_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        DomainRecipe(**wrong)


def test_each_protocol_leaves_one_site_out_and_selects_on_the_sources():
    registry = Registry.load(environ={})
    fingerprints = set()
    for name in (*REGULARISERS, "lddg_published"):
        protocol = find_protocol(f"domains_{name}", registry)
        assert protocol.split.scheme == "site"
        assert protocol.selection.on == "val"
        assert protocol.split.validation == "drawn"
        assert protocol.parameters.regulariser == name.partition("_")[0]
        fingerprints.add(protocol.fingerprint)
    assert len(fingerprints) == 7
    assert protocol.parameters.reparameterisation == "published"
