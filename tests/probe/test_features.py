"""Features of the frozen backbone: computed once, and anew when anything about them changes."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from mritk import InputContract, MritkError, Samples, Subset, Unavailable, Weights
from mritk.backbone import Backbone
from mritk.errors import WeightsMismatch
from mritk.model import weights as weights_module
from mritk.model.backbone import load_backbone
from mritk.probe import features as features_module
from mritk.probe.features import FrozenBackbone
from mritk.records import Origin
from tests.train.recorded_work import whole_trainings

HALF = (0.5, 0.5, 0.5)
built = Counter()


def build():
    """Convolution, BatchNorm, dropout: modes and statistics matter."""
    built["networks"] += 1
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.AdaptiveAvgPool2d((2, 1)), nn.Flatten()),
    )


@pytest.fixture(autouse=True)
def count_from_zero():
    built.clear()


@pytest.fixture
def setup_of(make_setup):
    """Make a setup of the network above."""
    return partial(make_setup, build=build)


@pytest.fixture
def pretrained(make_setup, tmp_path):
    """Make a setup whose weights stand in a file."""

    def make(*, seed=0, file_seed=1, name="net.pt", **changes):
        path = tmp_path / name
        if not path.exists():
            torch.manual_seed(file_seed)
            torch.save(build().state_dict(), path)
            built.clear()
        setup = make_setup(build=build, seed=seed)
        weights = Weights("small", "kept", lambda workspace: path, **changes)
        return replace(setup, backbone=replace(setup.backbone, weights=weights))

    return make


def features_of(setup, subset, **options):
    return FrozenBackbone(setup, **options).features(subset)


def by_hand(setup, subset):
    """The features as the definition says: one image after the other, evaluation mode."""
    network = load_backbone(setup.backbone, setup.workspace, setup.seed).network.eval()
    rows = []
    for i in range(len(subset)):
        image = torch.from_numpy(subset.read(i)).float()[None, None].repeat(1, 3, 1, 1) / 255
        with torch.no_grad():
            rows.append(network((image - 0.5) / 0.5)[0].numpy())
    return np.stack(rows)


@pytest.mark.parametrize("batch_size", [1, 7, 256])
def test_features_are_the_networks_outputs_in_evaluation_mode(setup_of, batch_size):
    setup = setup_of()
    found = features_of(setup, setup.val, batch_size=batch_size).values
    assert found.shape == (20, 12)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(setup, setup.val), atol=1e-5)


def test_blocks_change_nothing(setup_of, monkeypatch, tmp_path):
    whole = features_of(setup_of(), setup_of().val, batch_size=5).values
    monkeypatch.setattr(features_module, "BLOCK_BYTES", 1)
    shutil.rmtree(setup_of().workspace.home / "features")
    cut = features_of(setup_of(), setup_of().val, batch_size=5).values
    np.testing.assert_array_equal(whole, cut)


def test_batches_are_replayed_as_one_graph_also_from_block_to_block(setup_of, monkeypatch):
    """With the stand-ins for CUDA graphs; a GPU alone fills up the last batch."""
    monkeypatch.setattr(features_module, "BLOCK_BYTES", 1)
    setup = setup_of()
    eager = features_of(setup, setup.val, batch_size=10).values
    shutil.rmtree(setup.workspace.home / "features")
    with whole_trainings() as cuda:
        replayed = features_of(replace(setup, graphs=True), setup.val, batch_size=10).values
    np.testing.assert_array_equal(replayed, eager)
    assert [graph.replays for graph in cuda.graphs] == [6], "of seven batches of 70 images"


def test_all_parts_and_trials_share_one_pass(setup_of, unseen):
    first, second = setup_of(), setup_of()
    frozen = FrozenBackbone(first)
    parts = [frozen.features(part).values for part in (first.train, first.val, unseen)]
    assert built["networks"] == 1
    again = [features_of(second, p).values for p in (second.train, second.val, unseen)]
    assert built["networks"] == 1
    for one, other in zip(parts, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_later_trial_neither_builds_the_network_nor_reads_the_weights(pretrained, monkeypatch):
    setup = pretrained()
    reads = Counter()

    def count(path):
        reads[path.name] += 1
        return original(path)

    original = features_module.sha256_of
    monkeypatch.setattr(features_module, "sha256_of", count)
    monkeypatch.setattr(weights_module, "sha256_of", count)
    features_of(setup, setup.val)
    assert reads.pop("net.pt") == 2, "once for the key, once for the proof"
    for seed in range(5):
        other = pretrained(seed=seed)
        features_of(other, other.train)
    assert built["networks"] == 1
    assert reads["net.pt"] == 0


def test_seeds_share_pretrained_features_and_have_their_own_without(pretrained, setup_of):
    for seed in (0, 1):
        setup = pretrained(seed=seed)
        features_of(setup, setup.val)
    assert built["networks"] == 1
    one, other = (setup_of(seed=seed) for seed in (0, 1))
    different = features_of(one, one.val).values != features_of(other, other.val).values
    assert different.any()
    assert built["networks"] == 3


def test_weights_that_leave_tensors_random_depend_on_the_seed(pretrained, tmp_path):
    state = build().state_dict()
    del state["0.bias"]
    torch.save(state, tmp_path / "part.pt")
    built.clear()
    found = []
    for seed in (0, 1):
        setup = pretrained(seed=seed, name="part.pt", may_miss=("0.bias",))
        found.append(features_of(setup, setup.val).values)
    assert built["networks"] == 2
    assert (found[0] != found[1]).any()


def changed(setup, **contract):
    """The same setup with another input contract."""
    architecture = setup.backbone.architecture
    backbone = Backbone(replace(architecture, input=InputContract(16, HALF, HALF, **contract)))
    return replace(setup, backbone=backbone)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: replace(s, image_size=12),
        lambda s: replace(s, deterministic=True),
        lambda s: changed(s, interpolation="bicubic"),
        lambda s: changed(s, channel_order="BGR"),
        lambda s: replace(
            s, backbone=Backbone(replace(s.backbone.architecture, origin=Origin("p", "d", "2")))
        ),
        lambda s: replace(s, backbone=Backbone(replace(s.backbone.architecture, name="other"))),
    ],
    ids=["size", "deterministic", "interpolation", "channels", "plugin version", "architecture"],
)
def test_what_shapes_features_makes_others(setup_of, change):
    setup = setup_of()
    features_of(setup, setup.val)
    features_of(change(setup), setup.val)
    assert built["networks"] == 2


def test_a_weight_file_that_changes_is_loaded_again(pretrained, tmp_path):
    setup = pretrained()
    before = features_of(setup, setup.val).values
    torch.manual_seed(5)
    torch.save(build().state_dict(), tmp_path / "net.pt")
    os.utime(tmp_path / "net.pt", ns=(1, 1))
    after = features_of(setup, setup.val).values
    assert (before != after).any()
    np.testing.assert_allclose(after, by_hand(setup, setup.val), atol=1e-5)


def test_a_plugin_whose_source_changes_gives_new_features(setup_of, monkeypatch):
    """Versions stay the same while somebody works on a plugin."""
    setup = setup_of()
    features_of(setup, setup.val)
    monkeypatch.setattr(features_module, "source_digest", lambda function: "edited")
    features_of(setup, setup.val)
    assert built["networks"] == 2


def test_the_proof_of_loading_comes_with_the_features(pretrained):
    setup = pretrained()
    features_of(setup, setup.train)
    facts = features_of(setup, setup.val).facts
    assert facts["weights"]["matched"] == facts["weights"]["total"] == 7
    assert facts["num_features"] == 12
    assert facts["parameters"] == 6 * 27 + 6 + 12
    assert facts["input_size"] == 16
    assert facts["precision"] == "float32"
    assert facts["images_per_second"] > 0
    assert json.loads(json.dumps(facts)) == facts


def test_missing_and_wrong_weights_are_refused_before_and_after(pretrained, tmp_path):
    setup = pretrained(sha256="0" * 8)
    with pytest.raises(WeightsMismatch, match="has SHA-256"):
        features_of(setup, setup.val)
    setup = pretrained()
    features_of(setup, setup.val)
    (tmp_path / "net.pt").unlink()
    with pytest.raises(Unavailable, match="no weight file at"):
        features_of(setup, setup.val)


@pytest.mark.parametrize(
    ("precision", "advice"),
    [("float32", "'mritk plugins check' tests"), ("bfloat16", "try precision = 'float32'")],
)
def test_features_that_are_not_finite_are_refused_and_not_kept(
    make_setup, monkeypatch, precision, advice
):
    class Broken(nn.Module):
        def forward(self, batch):
            return batch.flatten(2).mean(2) / 0

    monkeypatch.setattr("mritk.batches.inputs.resolve_precision", lambda *_: precision)
    setup = make_setup(build=Broken)
    told = f"returns NaN or infinite features for 72 of 72 images in {precision}; {advice}"
    with pytest.raises(MritkError, match=told):
        features_of(setup, setup.val)
    assert list((setup.workspace.home / "features").iterdir()) == []


def test_volumes_have_features_too(make_setup, workspace):
    volumes = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 8), dtype=np.uint8)
    setup = make_setup(build=lambda: nn.Sequential(nn.AdaptiveAvgPool3d(2), nn.Flatten()))
    samples = Samples(
        [f"v{i}" for i in range(6)],
        np.arange(6) % 2,
        setup.task,
        lambda i: volumes[i],
        spatial_dims=3,
    )
    architecture = replace(
        setup.backbone.architecture, spatial_dims=3, input=InputContract(8, (0.0,), (1.0,))
    )
    part = Subset.of(samples, [4, 2], workspace)
    setup = replace(setup, backbone=Backbone(architecture), train=part, image_size=None)
    found = features_of(setup, part).values
    expected = volumes.reshape(6, 2, 4, 2, 4, 2, 4).mean((2, 4, 6)).reshape(6, 8) / 255
    np.testing.assert_allclose(found, expected[[4, 2]], atol=1e-6)
