"""The walls are in the right place: new kinds of data and method need no change of the core."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from mritk import Subset
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.train import load_model

VOLUMES = '''
"""Small volumes whose target is a number, and a tiny 3-D network."""
import numpy as np
from mritk import Architecture, Dataset, InputContract, Regression, Samples, hookimpl


def open_balls(workspace):
    rng = np.random.default_rng(0)
    radius = rng.uniform(2.0, 7.0, 120)
    grid = np.stack(np.meshgrid(*[np.arange(16) - 7.5] * 3, indexing="ij"))
    distance = np.sqrt((grid**2).sum(0))

    def read(i):
        own = np.random.default_rng(i)
        texture = np.kron(own.uniform(0.6, 1, (4, 4, 4)), np.ones((4, 4, 4)))
        noise = own.normal(0, 0.05, distance.shape)
        return np.clip((distance < radius[i]) * texture + noise, 0, 1).astype(np.float32)

    ids = [f"ball-{i}" for i in range(len(radius))]
    return Samples(ids, radius, Regression("voxels"), read, spatial_dims=3, patients=ids)


def build_tiny3d():
    from torch import nn

    return nn.Sequential(
        nn.Conv3d(1, 8, 3, padding=1), nn.BatchNorm3d(8), nn.ReLU(),
        nn.MaxPool3d(2), nn.Conv3d(8, 16, 3, padding=1), nn.BatchNorm3d(16), nn.ReLU(),
        nn.AdaptiveAvgPool3d(1), nn.Flatten(),
    )


@hookimpl
def mritk_datasets():
    yield Dataset("balls", open_balls)


@hookimpl
def mritk_backbones():
    yield Architecture(
        "tiny3d", build_tiny3d, InputContract(16, (0.5,), (0.25,)), spatial_dims=3
    )
'''

SEQUENCES = '''
"""Cases of four sequences, and a tiny network that takes them."""
import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl

NAMES = ("t1", "t1ce", "t2", "flair")


def open_cases(workspace):
    targets = np.arange(48) % 2

    def read(i):
        volume = np.random.default_rng(i).integers(1, 60, (4, 8, 12, 12)).astype(np.uint8)
        # Only the second sequence tells the class: which half is bright.
        volume[1, :, 6 * targets[i] : 6 * targets[i] + 6] += 120
        return volume

    return Samples(
        [f"case-{i:02d}" for i in range(48)], targets, Classification(("upper", "lower")), read,
        spatial_dims=3, patients=[f"patient-{i // 2:02d}" for i in range(48)], channels=NAMES,
        spacing=np.tile([2.0, 1.0, 1.0], (48, 1)), covariates={"age": np.arange(48.0)},
    )


def build_tiny(channels):
    from torch import nn

    return nn.Sequential(nn.Conv3d(channels, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool3d(2),
                         nn.Flatten())


def build_four():
    return build_tiny(4)


def build_one():
    return build_tiny(1)


@hookimpl
def mritk_datasets():
    yield Dataset("cases", open_cases)


@hookimpl
def mritk_backbones():
    four = InputContract(
        16, (0.0,) * 4, (1.0,) * 4, fit="crop_or_pad", spacing=1.0, intensity="zscore"
    )
    yield Architecture("four", build_four, four, spatial_dims=3)
    yield Architecture("one", build_one, InputContract(16, (0.5,), (0.5,)), spatial_dims=3)
'''

GRAPHS = '''
"""Graphs of varying size, and a method that owns its loop and uses no gradient."""
from dataclasses import dataclass

import numpy as np
from mritk import Classification, Dataset, Epoch, Method, ProtocolFile, Samples, hookimpl


def open_graphs(workspace):
    def read(i):
        rng = np.random.default_rng(i)
        size = int(rng.integers(5, 15))
        density = 0.3 if i % 2 == 0 else 0.6
        return np.triu(rng.random((size, size)) < density, 1)

    return Samples(
        ids=[f"graph-{i}" for i in range(80)],
        targets=np.arange(80) % 2,
        task=Classification(("sparse", "dense")),
        read=read,
        spatial_dims=None,
        patients=[f"subject-{i // 4}" for i in range(80)],
    )


@dataclass(frozen=True)
class Search:
    """Parameters of the method."""

    generations: int = 20


class Threshold:
    """Scores a graph by its density against a threshold."""

    notes = {}

    def __init__(self, value):
        self.value = value

    def predict(self, subset):
        density = []
        for i in range(len(subset)):
            graph = subset.read(i)
            density.append(graph.sum() / (len(graph) * (len(graph) - 1) / 2))
        margin = 10 * (np.array(density) - self.value)
        return np.stack([-margin, margin], axis=1).astype(np.float32)


def search(setup):
    rng = np.random.default_rng(setup.seed)
    best, best_score = None, -1.0
    for generation in range(1, setup.parameters.generations + 1):
        candidate = Threshold(rng.uniform())
        right = candidate.predict(setup.train).argmax(1) == setup.train.targets
        if right.mean() > best_score:
            best, best_score = candidate, right.mean()
        loss = float(1 - best_score)
        epochs = setup.parameters.generations
        setup.on_epoch(Epoch(generation, epochs, "search", 0.0, loss, loss, loss, 0.0))
    return best


@hookimpl
def mritk_datasets():
    yield Dataset("graphs", open_graphs)


@hookimpl
def mritk_methods():
    yield Method("search", fit=search, parameters=Search, uses_backbone=False)


@hookimpl
def mritk_protocols():
    yield ProtocolFile("search", text=lambda: 'method = "search"')
'''


@pytest.mark.slow
@pytest.mark.usefixtures("no_near_copies")
def test_volumes_with_a_number_as_target_run_through_the_stock_method(mritk, tmp_path):
    plugin = tmp_path / "volumes.py"
    plugin.write_text(VOLUMES)
    arguments = ("run", "-p", plugin, "-d", "balls", "-b", "tiny3d", "-a", "none", "--seeds", 1)
    ended = mritk(*arguments, "--json", "-o", tmp_path / "results")
    assert ended.code == 0, ended.err
    table = json.loads(ended.out)["leaderboard"]["tables"][0]
    assert (table["task"], table["sorted_by"]) == ("regression", "mae")
    mae = table["rows"][0]["metrics"]["mae"]["mean"]
    assert mae < 1.0, "guessing the mean radius gives about 1.25 voxels"
    assert "MAE ↓" in mritk("leaderboard", tmp_path / "results").out


SHORT = """
method = "finetune"
augmentation = "none"

[parameters]
batch_size = 8

[[parameters.stages]]
name = "all"
epochs = 12
learning_rate = 1e-2
"""


@pytest.fixture
def sequences(tmp_path):
    (tmp_path / "sequences.py").write_text(SEQUENCES)
    return ("run", "-p", tmp_path / "sequences.py", "-d", "cases", "--device", "cpu")


@pytest.mark.slow
def test_cases_of_four_sequences_train_end_to_end(mritk, sequences, tmp_path, workspace):
    (tmp_path / "short.toml").write_text(SHORT)
    ended = mritk(
        *(*sequences, "-b", "four", "--protocol", tmp_path / "short.toml", "--seeds", 1),
        *("--json", "--keep-models", "-o", tmp_path / "results"),
    )
    assert ended.code == 0, ended.err
    (row,) = json.loads(ended.out)["leaderboard"]["tables"][0]["rows"]
    assert row["metrics"]["accuracy"]["mean"] > 0.9
    trial = next(ResultsFolder(tmp_path / "results").trials())
    contract = trial.provenance["input_contract"]
    assert (contract["channels"], contract["fit"], contract["spacing"]) == (4, "crop_or_pad", 1.0)
    (file,) = (tmp_path / "results" / "trials").iterdir()
    card = mritk("card", file).out
    assert "in the order t1, t1ce, t2, flair, cropped or padded, resampled to 1.0 mm" in card
    assert "z-score of pixels other than 0" in card
    (kept,) = (tmp_path / "results" / "models").iterdir()
    registry = Registry.load([str(tmp_path / "sequences.py")], {})
    model = load_model(kept, registry.backbone)
    samples = registry.dataset("cases").open(workspace)
    rows = [samples.ids.index(name) for name in trial.predictions["test"].id]
    pixels = Subset.of(samples, rows, workspace).images(model.contract.grid(16))
    scores = model(torch.from_numpy(pixels).float() / 255).numpy()
    np.testing.assert_allclose(scores, trial.predictions["test"].score, atol=1e-5)


def test_other_channels_than_a_network_takes_are_one_clear_line(mritk, sequences):
    ended = mritk(*sequences, "-b", "one", "-a", "none", "-n")
    assert ended.code == 2
    assert "cases has 4 channels (t1, t1ce, t2, flair), but one@scratch takes 1" in ended.err


def test_a_2d_augmentation_on_volumes_is_refused(mritk, tmp_path):
    plugin = tmp_path / "volumes.py"
    plugin.write_text(VOLUMES)
    ended = mritk("run", "-p", plugin, "-d", "balls", "-b", "tiny3d", "-a", "rand_augment", "-n")
    assert ended.code == 2
    assert "augmentation rand_augment does not transform volumes" in ended.err


def test_a_2d_backbone_on_volumes_is_refused(mritk, tmp_path):
    plugin = tmp_path / "volumes.py"
    plugin.write_text(VOLUMES)
    ended = mritk("run", "-p", plugin, "-d", "balls", "-b", "small_cnn", "-a", "none", "-n")
    assert ended.code == 2
    assert "small_cnn@scratch takes images, but balls contains volumes" in ended.err
    assert "use a backbone for volumes, such as -b tiny3d" in ended.err, "the smallest input"


@pytest.mark.slow
@pytest.mark.usefixtures("no_near_copies")
def test_volumes_smaller_than_a_network_takes_are_refused_before_training(mritk, tmp_path):
    plugin = tmp_path / "volumes.py"
    plugin.write_text(VOLUMES.replace("7.0, 120", "7.0, 24"))
    ended = mritk("run", "-p", plugin, "-d", "balls", "-b", "sfcn", "-a", "none", "-n")
    assert ended.code == 2
    assert "sfcn@scratch takes volumes of 32 voxels or more along each axis, but ball-0 has" in (
        ended.err
    )
    assert "use --vary volume_size=32 or more" in ended.err


@pytest.mark.slow
def test_graphs_and_a_method_without_gradients(mritk, tmp_path):
    plugin = tmp_path / "graphs.py"
    plugin.write_text(GRAPHS)
    ended = mritk(
        *("run", "-p", plugin, "-d", "graphs", "--protocol", "search", "--seeds", 2),
        *("--json", "-o", tmp_path / "results"),
    )
    assert ended.code == 0, ended.err
    table = json.loads(ended.out)["leaderboard"]["tables"][0]
    (row,) = table["rows"]
    assert row["backbone"] == "none", "the method brings its own model"
    assert row["trials"] == 2
    assert row["metrics"]["accuracy"]["mean"] > 0.7
    assert table["patients"] == 4
    trial = next(ResultsFolder(tmp_path / "results").trials())
    assert len(trial.history) == 20
