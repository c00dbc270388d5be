"""Multi-scale EfficientNets: each at its own size, cases whole, scored by case."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from sklearn.metrics import f1_score

from mritk.method import Setup
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import find_protocol
from mritk_timm.curated import CURATED

LADDER = [f"efficientnet_b{n}" for n in range(6)]
SMALL = 'method = "finetune"\nimage_size = 48\n[split]\n{split}\n[parameters]\nbatch_size = 8\n'
STAGE = '[[parameters.stages]]\nname = "all"\nepochs = {epochs}\nlearning_rate = {rate}\n'


class Seen(Exception):
    """The first layer was reached: with an input of this shape."""


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


# -- each network at its own size ------------------------------------------------------------------


@pytest.mark.slow
def test_the_tensor_that_enters_each_network_has_the_size_that_timm_declares(
    registry, workspace, monkeypatch
):
    """A hook on the stem sees what a trial under 'bengs2021' sends; there the pass ends."""
    from mritk.batches.inputs import Inputs
    from mritk.images.subset import Subset

    protocol = find_protocol("bengs2021", registry)
    samples = registry.dataset("tiles:sharp,cases=2,tiles=1").open(workspace)
    part = Subset.of(samples, [0, 1], workspace)
    sides = {}
    for name in LADDER:
        backbone = registry.backbone(f"{name}@scratch")
        setup = Setup(
            parameters=protocol.parameters,
            task=samples.task,
            train=part,
            val=part,
            augmentation=registry.augmentation("none"),
            seed=0,
            workspace=workspace,
            backbone=backbone,
            image_size=protocol.image_size,
        )
        network = backbone.architecture.build()

        def stop(module, inputs, name=name):
            sides[name] = tuple(inputs[0].shape)
            raise Seen

        next(network.children()).register_forward_pre_hook(stop)
        inputs = Inputs(setup)
        batch = inputs.resident(part).batch(torch.arange(2))
        with pytest.raises(Seen):
            inputs.compute(network, batch)
    models = {row.name: row.model for row in CURATED}
    for name, shape in sides.items():
        declared = timm.get_pretrained_cfg(f"{models[name]}.in1k").input_size
        assert shape == (2, *declared)
    assert len({shape[-1] for shape in sides.values()}) == len(LADDER)


# -- cases -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    """Five folds of small_cnn on eighteen small cases."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("folds")
    protocol = SMALL.format(split='scheme = "kfold"\nfolds = 5') + STAGE.format(epochs=1, rate=3e-3)
    (folder / "short.toml").write_text(protocol)
    call = ["run", "-b", "small_cnn", "-d", "tiles:sharp,cases=18,tiles=3,side=48", "--seeds", "1"]
    call += ["--protocol", str(folder / "short.toml"), "--device", "cpu"]
    assert main([*call, "-o", str(folder / "results")]) == 0
    return folder / "results"


def by_case(test):
    """The mean probability of the tiles of each case, and its class: (P, 2), (P,)."""
    odds = np.exp(test.score - test.score.max(axis=1, keepdims=True))
    probability = odds / odds.sum(axis=1, keepdims=True)
    cases = np.asarray(test.patient)
    names = np.unique(cases)
    mean = np.stack([probability[cases == name].mean(axis=0) for name in names])
    return mean, np.array([test.target[cases == name][0] for name in names])


@pytest.mark.slow
def test_no_case_spans_two_parts_and_each_is_tested_once(folds):
    tested = []
    for trial in ResultsFolder(folds).trials():
        parts = {
            part: {name.partition("/")[0] for name in trial.splits[part]}
            for part in ("train", "val", "test")
        }
        assert not parts["train"] & parts["val"]
        assert not (parts["train"] | parts["val"]) & parts["test"]
        tested += sorted(parts["test"])
    assert sorted(tested) == [f"case{number:03d}" for number in range(18)]


@pytest.mark.slow
def test_the_score_of_a_case_is_the_mean_probability_of_its_tiles(folds, capsys):
    from mritk.cli.main import main

    scores = []
    for trial in ResultsFolder(folds).trials():
        probability, target = by_case(trial.predictions["test"])
        scores.append(f1_score(target, probability.argmax(axis=1), average="macro"))
    capsys.readouterr()
    call = ["leaderboard", str(folds), "--level", "patient", "--metric", "macro_f1", "--json"]
    assert main(call) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    found = table["rows"][0]["metrics"]["macro_f1"]
    assert found["mean"] == pytest.approx(np.mean(scores), abs=1e-6)


# -- resolution ------------------------------------------------------------------------------------

TWO_LAYERS = """
from mritk import Architecture, InputContract, hookimpl


def build():
    from torch import nn

    def block(inside, outside, stride):
        return [nn.Conv2d(inside, outside, 3, stride), nn.BatchNorm2d(outside), nn.ReLU()]

    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*block(3, 16, 1), *block(16, 16, 2), *pool)


@hookimpl
def mritk_backbones():
    yield Architecture("two_layers", build, InputContract(None), summary="two convolutions")
"""


@pytest.fixture(scope="module")
def accuracies(tmp_path_factory):
    """Accuracy on 32 held-out cases by member and side, one value per seed."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("resolution")
    (folder / "net.py").write_text(TWO_LAYERS)
    split = 'test_fraction = 0.5\n[selection]\non = "last"'
    protocol = SMALL.format(split=split) + STAGE.format(epochs=8, rate=1e-2)
    (folder / "short.toml").write_text(protocol)
    call = ["run", "-p", str(folder / "net.py"), "-b", "two_layers", "--seeds", "3"]
    call += ["--vary", "image_size=30,64", "--protocol", str(folder / "short.toml")]
    for member in ("sharp", "blurred"):
        call += ["-d", f"tiles:{member},cases=64,tiles=2,side=64,seed=1"]
    assert main([*call, "--device", "cpu", "-o", str(folder / "results")]) == 0
    found = {}
    for trial in ResultsFolder(folder / "results").trials():
        member = trial.dataset.removeprefix("tiles:").split(",")[0]
        side = json.loads(trial.protocol_json)["image_size"]
        probability, target = by_case(trial.predictions["test"])
        hits = probability.argmax(axis=1) == target
        assert len(hits) == 32
        found.setdefault((member, side), []).append(float(hits.mean()))
    assert all(len(seeds) == 3 for seeds in found.values())
    return found


# Guesses on 32 cases hit 0.5 ± 0.09 of them.
def is_chance(accuracies):
    return 0.25 < np.mean(accuracies) < 0.75


@pytest.mark.slow
def test_the_higher_resolution_wins_where_the_cue_needs_it(accuracies):
    assert min(accuracies["sharp", 64]) > 0.9
    assert is_chance(accuracies["sharp", 30])


@pytest.mark.slow
def test_the_advantage_vanishes_when_the_images_were_blurred_before(accuracies):
    for side in (30, 64):
        assert is_chance(accuracies["blurred", side])
    gained = np.mean(accuracies["blurred", 64]) - np.mean(accuracies["blurred", 30])
    assert gained < 0.15
