"""Label maps for an unseen site."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from scipy.stats import permutation_test
from torch.nn import functional

from mritk import Augmentation, Samples, Segmentation, Setup, Subset, UsageError
from mritk.evaluate.cases import case_scores
from mritk.method import SelectionRule
from mritk.plugins.registry import Registry
from mritk.study.benchmark import find_protocol
from mritk.testing import check_method
from mritk_domains.domain_unet import fit_unet, voxels_of
from mritk_domains.unet import LatentUNet
from mritk_domains.unet_recipe import UNetRecipe
from mritk_segmentation.training import segmentation_loss
from tests.stopped import stopped_and_resumed

SIDE, EACH = 8, 8
GAINS = {"a": 0.6, "b": 1.0, "c": 1.4, "unseen": 0.8}
TASK = Segmentation(("background", "rim", "core"), {"whole": ("rim", "core"), "core": ("core",)})


def label_map(row: int) -> np.ndarray:
    grid = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"), axis=-1)
    centre = 3.5 + np.random.default_rng(row).uniform(-1, 1, 3)
    distance = np.sqrt(np.square(grid - centre).sum(axis=-1))
    return (distance < 2.8).astype(np.uint8) + (distance < 1.6).astype(np.uint8)


def draw_balls(**changes) -> Samples:
    sites = [site for site in GAINS for _ in range(EACH)]

    def read(row):
        noise = np.random.default_rng(100 + row).normal(0, 8, (SIDE, SIDE, SIDE))
        return (
            ((50 + 35 * label_map(row) + noise) * GAINS[sites[row]]).clip(1, 255).astype(np.uint8)
        )

    columns = {"read_target": label_map, "spatial_dims": 3, "sites": sites, **changes}
    ids = [f"ball-{row:02d}" for row in range(len(sites))]
    return Samples(ids, np.empty(0), TASK, read, patients=ids, **columns)


ROWS = np.arange(3 * EACH)
VAL, TEST = ROWS[ROWS % 4 == 3], np.arange(3 * EACH, 4 * EACH)
TRAIN = ROWS[ROWS % 4 != 3]


@pytest.fixture
def scans(workspace):
    """Make a setup of three sites; parameters are added, and fields of the setup."""

    def make(samples=None, *, setup=None, **parameters) -> Setup:
        samples = samples or draw_balls()
        chosen = {"epochs": 2, "width": 4, "batch_size": 6, "latent_hidden": 8, **parameters}
        fields = {
            "parameters": UNetRecipe(**chosen),
            "task": samples.task,
            "train": Subset.of(samples, TRAIN, workspace),
            "val": Subset.of(samples, VAL, workspace),
            "augmentation": Augmentation("none", None),
            "seed": 0,
            "workspace": workspace,
            "volume_size": SIDE,
            **(setup or {}),
        }
        return Setup(**fields)

    return make


def dice_of(fitted, subset) -> np.ndarray:
    """Dice of the whole ball in each case, as the core scores it."""
    maps = fitted.predict(subset)
    wanted = [subset.samples.read_target(row) for row in range(len(subset))]
    scores = [case_scores(TASK, m, w, (1.0, 1.0, 1.0)) for m, w in zip(maps, wanted, strict=True)]
    return np.array(scores)[:, TASK.columns.index("dice[whole]")]


@pytest.mark.slow
def test_lddg_segments_the_unseen_site_as_well_with_a_smaller_kth_singular_value(scans, workspace):
    """Three seeds; not worse by a paired test over the cases of the site."""
    unseen, dice = Subset.of(draw_balls(), TEST, workspace), {"erm": [], "lddg": []}
    sigma = {name: [] for name in dice}
    for name, seed in product(dice, range(3)):
        epochs = []
        fields = {"on_epoch": epochs.append, "selection": SelectionRule("last"), "seed": seed}
        options = {"regulariser": name, "rank_weight": 0.03, "background_weight": 1.0}
        fitted = fit_unet(scans(setup=fields, epochs=20, learning_rate=2e-2, **options))
        dice[name].append(dice_of(fitted, unseen))
        assert dice[name][-1].mean() > 0.8
        sigma[name].append(epochs[-1].extra["sigma_K"])
        assert ("KL" in epochs[-1].extra) == (name == "lddg")
    assert all(a < 0.25 * b for a, b in zip(sigma["lddg"], sigma["erm"], strict=True))
    gained = np.mean(dice["lddg"], axis=0) - np.mean(dice["erm"], axis=0)
    test = permutation_test((gained,), np.mean, permutation_type="samples", alternative="less")
    assert test.pvalue > 0.05


@pytest.mark.slow
def test_the_published_drawing_is_another_training(scans):
    drawn = [
        fit_unet(scans(epochs=1, regulariser="lddg", reparameterisation=how)).network.state_dict()
        for how in ("standard", "published")
    ]
    assert any(not torch.equal(tensor, drawn[1][name]) for name, tensor in drawn[0].items())


@pytest.mark.slow
def test_what_is_on_the_unseen_site_changes_no_bit_of_the_weights(scans):
    weights = []
    for other in (False, True):
        samples = draw_balls(
            read_target=lambda row, other=other: (
                np.zeros((SIDE,) * 3, np.uint8) if other and row in TEST else label_map(row)
            )
        )
        setup = scans(samples, epochs=1, regulariser="lddg")
        weights.append(fit_unet(setup).network.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_stopped_it_ends_as_if_it_had_not_been(scans, tmp_path):
    whole = []
    expected = fit_unet(scans(epochs=3, regulariser="lddg", setup={"on_epoch": whole.append}))
    resumed, epochs = stopped_and_resumed(
        lambda **fields: fit_unet(scans(epochs=3, regulariser="lddg", setup=fields)),
        tmp_path / "checkpoint",
        behind=2,
    )
    for name, tensor in expected.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor)
    assert [epoch.extra for epoch in epochs] == [epoch.extra for epoch in whole]
    assert resumed.notes == expected.notes


@pytest.mark.slow
def test_it_keeps_what_every_method_promises():
    method = Registry.load(environ={}).method("domain_unet")
    check_method(method, UNetRecipe(epochs=3, width=4, regulariser="lddg"))


@pytest.mark.slow
def test_the_epoch_of_the_lowest_validation_loss_is_kept(scans):
    epochs = []
    fitted = fit_unet(scans(epochs=4, setup={"on_epoch": epochs.append}))
    best = int(np.argmin([epoch.val_loss for epoch in epochs])) + 1
    assert fitted.notes["selected_epoch"] == best
    assert fitted.notes["source_sites"] == {"a": 6, "b": 6, "c": 6}


def test_the_loss_is_cross_entropy_and_soft_dice():
    logits = torch.randn(2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    masks = torch.randint(3, (2, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    given = logits.softmax(1)
    scores = []
    for label in (1, 2):
        wanted = (masks == label).float()
        both, either = (given[:, label] * wanted).sum(), (given[:, label] + wanted).sum()
        scores.append((2 * both + 1) / (either + 1))
    expected = functional.cross_entropy(logits, masks) + 1 - torch.stack(scores).mean()
    torch.testing.assert_close(segmentation_loss(logits, masks), expected)
    # The mean over voxels of which each counts as its label does.
    each = functional.cross_entropy(logits, masks, reduction="none")
    counted = torch.where(masks == 0, 0.1, 1.0)
    weighed = (each * counted).sum() / counted.sum() + 1 - torch.stack(scores).mean()
    torch.testing.assert_close(segmentation_loss(logits, masks, 0.1), weighed)


def test_the_rank_term_is_of_so_many_random_voxels():
    values = torch.arange(2 * 3 * 4 * 4.0).reshape(2, 3, 4, 4)
    chosen = voxels_of(values, 10, seed=0)
    assert chosen.shape == (10, 3)
    assert torch.equal(chosen, voxels_of(values, 10, seed=0))
    # The channels of a voxel stay together.
    assert torch.equal(chosen[:, 1] - chosen[:, 0], torch.full((10,), 16.0))
    assert voxels_of(values, 1000, seed=0).shape == (32, 3)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_network_is_for_images_and_volumes(dims):
    sizes = {"width": 4, "latent": 8, "hidden": 6, "drawn": "standard"}
    network = LatentUNet(2, 3, spatial_dims=dims, **sizes)
    batch = torch.randn(2, 2, *[8, 12, 4][:dims])
    given = network.train()(batch)
    assert given.outputs.shape == (2, 3, *batch.shape[2:])
    assert given.drawn.shape == given.log_variance.shape == (2, 8, *batch.shape[2:])
    assert network.eval()(batch).shape == (2, 3, *batch.shape[2:])


def test_what_cannot_be_trained_is_refused(scans):
    with pytest.raises(UsageError, match="volume_size to a multiple of 4"):
        fit_unet(scans(setup={"volume_size": 6}))
    with pytest.raises(UsageError, match="needs a side of more than 4 voxels"):
        fit_unet(scans(setup={"volume_size": 4}))
    with pytest.raises(UsageError, match="selects by the validation loss"):
        fit_unet(scans(setup={"selection": SelectionRule(by="dice")}))
    with pytest.raises(UsageError, match="set latent = 3 or more"):
        fit_unet(scans(latent=2))
    with pytest.raises(UsageError, match="set rank_voxels = 3 or more"):
        fit_unet(scans(rank_voxels=2))
    with pytest.raises(UsageError, match="there is no site"):
        fit_unet(scans(replace(draw_balls(), sites=None)))
    with pytest.raises(ValueError, match="rank_voxels must be at least 1"):
        UNetRecipe(rank_voxels=0)


def test_the_protocols_of_label_maps_leave_one_site_out():
    registry = Registry.load(environ={})
    protocols = [
        find_protocol(f"domains_unet_{n}", registry) for n in ("erm", "lddg", "lddg_published")
    ]
    assert {protocol.split.scheme for protocol in protocols} == {"site"}
    assert [protocol.parameters.regulariser for protocol in protocols] == ["erm", "lddg", "lddg"]
    assert len({protocol.fingerprint for protocol in protocols}) == 3
