"""LVM-Med's brain-tumour protocols: what they say, and what they leave alone."""

from __future__ import annotations

import re

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from mritk.model.network import build_head
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import model_path
from mritk.study.benchmark import find_protocol
from mritk_lvmmed import PROTOCOLS, protocol_text

SET = """
import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl


def build():
    from torch import nn

    def block(inside, outside):
        return [nn.Conv2d(inside, outside, 3, 2, 1), nn.BatchNorm2d(outside), nn.ReLU()]

    return nn.Sequential(*block(3, 8), *block(8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def open_set(workspace):
    rng = np.random.default_rng(0)
    targets = np.arange(200) % 4
    images = rng.integers(0, 60, (200, 32, 32)).astype(np.uint8)
    for image, target in zip(images, targets):
        image[8 * target : 8 * target + 8] += 150
    return Samples(
        ids=[f"i{i:03d}" for i in range(200)],
        targets=targets,
        task=Classification(("glioma", "meningioma", "none", "pituitary")),
        read=lambda i: images[i],
        splits=["train"] * 160 + ["test"] * 40,
    )


@hookimpl
def mritk_backbones():
    yield Architecture("two_blocks", build, InputContract(32))


@hookimpl
def mritk_datasets():
    yield Dataset("four", open_set)
"""


@pytest.fixture(scope="module")
def protocols():
    registry = Registry.load(environ={})
    return {name: find_protocol(name, registry) for name in PROTOCOLS}


def test_the_four_are_frozen_or_not_with_one_layer_or_three(protocols):
    for name, protocol in protocols.items():
        (stage,) = protocol.parameters.stages
        frozen, three = "frozen" in name, name.endswith("3fc")
        assert (stage.train_last, stage.epochs) == ((0.0, 20) if frozen else (1.0, 30))
        assert (stage.optimizer, stage.learning_rate, stage.weight_decay) == ("adam", 5e-4, 0.0)
        widths = [layer.width for layer in protocol.parameters.head.hidden]
        assert widths == ([512, 256] if three else [])
        assert protocol.parameters.batch_size == 64
        assert (protocol.split.val_fraction, protocol.augmentation) == (0.3, "none")
        assert (protocol.selection.by, protocol.selection.ties) == ("accuracy", "later")


def test_the_head_of_three_layers_is_the_published_one(protocols):
    head = build_head(2048, 4, protocols["lvmmed_frozen_3fc"].parameters.head)
    assert [type(layer) for layer in head] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [x.out_features for x in head if isinstance(x, nn.Linear)] == [512, 256, 4]


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """One trial of each protocol, shortened to two epochs at 32 px, with its network."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("lvmmed")
    (folder / "set.py").write_text(SET)
    call = ["run", "-p", str(folder / "set.py"), "-b", "two_blocks", "-d", "four", "--seeds", "1"]
    for name in PROTOCOLS:
        text = protocol_text(name).replace("image_size = 224", "image_size = 32")
        (folder / f"{name}.toml").write_text(re.sub(r"epochs = \d+", "epochs = 2", text))
        call += ["--protocol", str(folder / f"{name}.toml")]
    results = folder / "results"
    call += ["--no-patient-ids", "--keep-models", "--device", "cpu", "-o", str(results)]
    assert main(call) == 0
    return results, {trial.protocol: trial for trial in ResultsFolder(results).trials()}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_frozen_encoder_is_bit_identical_and_a_whole_one_is_not(trials, name):
    """Statistics of BatchNorm included, which the published code lets drift."""
    from mritk.seeds import derive

    results, found = trials
    namespace = {}
    exec(SET, namespace)
    torch.manual_seed(derive(0, "initialisation"))
    before = namespace["build"]().state_dict()
    after = load_file(model_path(ResultsFolder(results), found[name].id))
    changed = {
        tensor for tensor in before if not torch.equal(before[tensor], after[f"backbone.{tensor}"])
    }
    assert changed == (set() if "frozen" in name else set(before))
    (listed,) = found[name].notes["changed_tensors"].values()
    assert any(tensor.startswith("head.") for tensor in listed)
    assert {t for t in listed if t.startswith("backbone.")} == {f"backbone.{t}" for t in changed}


def test_three_tenths_of_the_training_images_are_the_validation_part(trials):
    for trial in trials[1].values():
        sizes = {part: len(trial.splits[part]) for part in ("train", "val", "test")}
        assert sizes == {"train": 112, "val": 48, "test": 40}
