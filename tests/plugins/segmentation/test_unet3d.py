"""The U-Net and the threshold that mritk ships for label maps."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mritk import Augmentation, Samples, Segmentation, Setup, Subset, UsageError
from mritk.method import SelectionRule
from mritk.store.folder import ResultsFolder
from mritk.train import zscore
from mritk_segmentation.scans import Scans
from mritk_segmentation.threshold import NoParameters, fit_threshold
from mritk_segmentation.training import segmentation_loss
from mritk_segmentation.unet import UNet
from mritk_segmentation.unet3d import UNet3d, fit_unet3d
from mritk_segmentation.unet_recipe import UNetRecipe
from tests.stopped import Thrifty, stopped_and_resumed
from tests.test_segmentation import PLUGIN

SIDE = 8
TASK = Segmentation(("background", "rim", "core"), {"whole": ("rim", "core"), "core": ("core",)})


def label_map(row):
    grid = np.stack(np.meshgrid(*[np.arange(SIDE)] * 3, indexing="ij"), axis=-1)
    centre = 3.5 + np.random.default_rng(row).uniform(-1, 1, 3)
    distance = np.sqrt(np.square(grid - centre).sum(axis=-1))
    return (distance < 2.8).astype(np.uint8) + (distance < 1.6).astype(np.uint8)


def read(row):
    noise = np.random.default_rng(100 + row).normal(0, 8, (2, SIDE, SIDE, SIDE))
    shown = np.stack([np.zeros((SIDE,) * 3), 50 + 60.0 * label_map(row)])
    return (shown + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def setup(workspace):
    """Make a setup of 12 balls in two channels; parameters are added, and fields of the setup."""
    ids = [f"ball-{row:02d}" for row in range(12)]
    balls = Samples(
        ids, np.empty(0), TASK, read, spatial_dims=3, patients=ids, read_target=label_map,
        channels=("noise", "ball"),
    )  # fmt: skip

    def make(*, parameters=None, rows=range(8), **fields):
        chosen = {"epochs": 2, "width": 4, "patch": 1, **(parameters or {})}
        return Setup(
            **{
                "parameters": UNetRecipe(**chosen),
                "task": TASK,
                "train": Subset.of(balls, np.asarray(rows), workspace),
                "val": Subset.of(balls, np.arange(8, 12), workspace),
                "augmentation": Augmentation("none", None),
                "seed": 0,
                "workspace": workspace,
                "volume_size": SIDE,
                **fields,
            }
        )

    return make


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("patch", [1, 2])
def test_the_network_gives_every_voxel_a_score_of_every_label(dims, patch):
    network = UNet(2, 3, spatial_dims=dims, width=4, patch=patch)
    batch = torch.randn(2, 2, *[8, 16, 24][:dims])
    assert network(batch).shape == (2, 3, *batch.shape[2:])


@pytest.mark.slow
def test_the_epoch_of_the_lowest_validation_loss_is_kept(setup):
    epochs = []
    fitted = fit_unet3d(setup(parameters={"epochs": 4}, on_epoch=epochs.append))
    best = int(np.argmin([epoch.val_loss for epoch in epochs])) + 1
    assert fitted.notes["selected_epoch"] == best
    last = fit_unet3d(setup(selection=SelectionRule("last")))
    assert last.notes["selected_epoch"] == 2


@pytest.mark.slow
def test_stopped_it_ends_as_if_it_had_not_been(setup, tmp_path):
    own = {"epochs": 3, "steps": 3}
    expected = fit_unet3d(setup(parameters=own))
    resumed, epochs = stopped_and_resumed(
        lambda **fields: fit_unet3d(setup(parameters=own, **fields)),
        tmp_path / "checkpoint",
        behind=2,
    )
    for name, tensor in expected.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]


@pytest.mark.slow
def test_checkpoints_that_take_too_much_of_the_time_are_left_out(setup):
    store = Thrifty()
    fit_unet3d(setup(parameters={"epochs": 2}, checkpoint=store))
    assert store.saved == []


def test_an_epoch_of_fixed_length_goes_on_where_the_last_one_ended(setup):
    own = {"steps": 3, "batch_size": 2}
    training = UNet3d(setup(parameters=own))
    rows = [torch.cat(list(training.batches(epoch))).tolist() for epoch in range(1, 5)]
    assert [len(epoch) for epoch in rows] == [6] * 4
    drawn = [row for epoch in rows for row in epoch]
    for turn in range(3):
        assert sorted(drawn[8 * turn : 8 * turn + 8]) == list(range(8))
    assert drawn[:8] != drawn[8:16]
    plain = UNet3d(setup(parameters={"batch_size": 3}))
    assert sorted(torch.cat(list(plain.batches(1))).tolist()) == list(range(8))


@pytest.mark.parametrize("colours", [1, 3], ids=["grey", "colour"])
def test_images_are_segmented_grey_or_in_colour(workspace, colours):
    def read(row):
        disc = 50 * label_map(row)[SIDE // 2]
        return np.stack([100 + disc, disc, 200 - disc], axis=-1) if colours == 3 else disc

    discs = Samples(
        [f"disc-{row}" for row in range(6)], np.empty(0), TASK, read,
        read_target=lambda row: label_map(row)[SIDE // 2],
    )  # fmt: skip
    part = Subset.of(discs, np.arange(6), workspace)
    setup = Setup(
        parameters=UNetRecipe(), task=TASK, train=part, val=None, seed=0, workspace=workspace,
        augmentation=Augmentation("none", None), image_size=SIDE,
    )  # fmt: skip
    scans = Scans(setup, part, "unet3d", divisor=4)
    batch = scans.batch(torch.tensor([3, 0]))
    assert batch.shape == (2, scans.channels, SIDE, SIDE) == (2, colours, SIDE, SIDE)
    image = torch.from_numpy(read(3).astype(np.float32)).reshape(SIDE, SIDE, colours)
    torch.testing.assert_close(batch[0], zscore(image.permute(2, 0, 1)[None])[0])


def test_images_are_mirrored_together_with_their_label_maps(setup, monkeypatch):
    training = UNet3d(setup(parameters={"mirror": True}))
    seen = []
    monkeypatch.setattr(training, "loss_of", lambda images, masks: seen.append((images, masks)))
    training.network = torch.nn.Identity()
    rows = torch.tensor([0, 1])
    for seed in range(6):
        torch.manual_seed(seed)
        training.batch_loss(rows, 1, 0)
    forms = {tuple(masks.flatten().tolist()) for _, masks in seen}
    assert len(forms) > 2
    for images, masks in seen:
        assert images[:, 1][masks == 2].mean() > images[:, 1][masks == 0].mean() + 1


def test_the_dice_that_is_learnt_is_that_of_the_regions():
    masks = torch.randint(3, (2, 4, 4, 4), generator=torch.Generator().manual_seed(1))
    confused = torch.where(masks == 0, 0, 3 - masks)  # the whole is right, its parts exchanged
    logits = 30 * torch.nn.functional.one_hot(confused, 3).movedim(-1, 1).float()
    entropy = torch.nn.functional.cross_entropy(logits, masks)
    whole = segmentation_loss(logits, masks, 1.0, [(1, 2)]) - entropy
    parts = segmentation_loss(logits, masks, 1.0, [(1,), (2,)]) - entropy
    assert abs(float(whole)) < 1e-4
    assert float(parts) > 0.9
    torch.testing.assert_close(segmentation_loss(logits, masks) - entropy, parts)


def test_the_threshold_finds_the_channel_and_the_level(setup):
    fitted = fit_threshold(setup(parameters=None, rows=range(8)))
    assert fitted.notes["channel"] == "ball"
    assert fitted.notes["side"] == "above"
    assert fitted.notes["training Dice"] > 0.9
    assert fitted.label == 1
    subset = setup().val
    for row, found in enumerate(fitted.predict(subset)):
        assert set(np.unique(found)) == {0, 1}
        wanted = subset.samples.read_target(row) > 0
        assert 2 * (wanted & (found > 0)).sum() / (wanted.sum() + (found > 0).sum()) > 0.9
    assert NoParameters() == NoParameters()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"volume_size": 6}, "multiples of 4, but the input has 6×6×6 voxels"),
        ({"parameters": {"patch": 4}}, "set image_size or volume_size to a multiple of 16"),
        ({"parameters": {"patch": 2}}, "a side of more than 8 voxels, but the input has 8×8×8"),
        ({"selection": SelectionRule(by="dice")}, "unet3d selects by the validation loss"),
    ],
)
def test_what_cannot_be_trained_is_refused(setup, fields, message):
    with pytest.raises(UsageError, match=message):
        fit_unet3d(setup(**fields))


@pytest.mark.slow
def test_one_side_of_two_places_is_enough(setup):
    fitted = fit_unet3d(setup(parameters={"epochs": 1, "patch": 2}, volume_size=(8, 8, 16)))
    assert len(fitted.predict(setup().val)) == 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"patch": 0}, "patch must be from 1 to 8"),
        ({"steps": -1}, "steps must not be negative"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_parameters_out_of_their_range_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        UNetRecipe(**parameters)


@pytest.mark.slow
def test_the_network_learns_balls_and_beats_the_threshold(mritk, tmp_path):
    (tmp_path / "balls.py").write_text(PLUGIN)
    results = tmp_path / "results"
    asked = ["run", "-p", tmp_path / "balls.py", "-d", "balls", "--seeds", 1, "-o", results]
    for protocol in (["threshold"], ["unet3d", "--vary", "parameters.epochs=15"]):
        ended = mritk(*asked, "--protocol", *protocol, "--vary", "volume_size=16")
        assert ended.code == 0, ended.err
    trained = {record.method: record for record in ResultsFolder(results).trials()}
    losses = [epoch.train_loss for epoch in trained["unet3d"].history]
    assert losses[-1] < losses[0] / 2
    (table,) = json.loads(mritk("leaderboard", results, "--json").out)["tables"]
    best, worst = table["rows"]
    assert (best["method"], worst["method"]) == ("unet3d", "threshold")
    for region in ("whole", "core"):
        dice = best["metrics"][f"dice[{region}]"]
        assert dice["mean"] > 0.7
        assert dice["interval"]["low"] < dice["mean"]
