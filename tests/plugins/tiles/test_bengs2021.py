"""Multi-scale EfficientNets: each at its own size, cases whole, scored by case."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from sklearn.metrics import f1_score

from mritk.benchmark import find_protocol
from mritk.registry import Registry
from mritk.results.folder import ResultsFolder
from mritk.train.setup import Setup
from mritk_timm.curated import CURATED

LADDER = [f"efficientnet_b{n}" for n in range(6)]
SMALL = 'method = "finetune"\nimage_size = 96\n[split]\n{split}\n[parameters]\nbatch_size = 8\n'
STAGE = '[[parameters.stages]]\nname = "all"\nepochs = {epochs}\nlearning_rate = 3e-3\n'


class Seen(Exception):
    """The first layer was reached: with an input of this shape."""


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


# -- each network at its own size ------------------------------------------------------------------


def test_the_tensor_that_enters_each_network_has_the_size_that_timm_declares(
    registry, workspace, monkeypatch
):
    """A hook on the stem sees what a trial under 'bengs2021' sends; there the pass ends."""
    from mritk.data.subset import Subset
    from mritk.train.inputs import Inputs

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
    protocol = SMALL.format(split='scheme = "kfold"\nfolds = 5') + STAGE.format(epochs=1)
    (folder / "short.toml").write_text(protocol.replace("96", "48"))
    call = ["run", "-b", "small_cnn", "-d", "tiles:sharp,cases=18,tiles=3,side=48", "--seeds", "1"]
    call += ["--protocol", str(folder / "short.toml"), "--device", "cpu"]
    assert main([*call, "-o", str(folder / "results")]) == 0
    return folder / "results"


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


def test_the_score_of_a_case_is_the_mean_probability_of_its_tiles(folds, capsys):
    from mritk.cli.main import main

    scores = []
    for trial in ResultsFolder(folds).trials():
        test = trial.predictions["test"]
        odds = np.exp(test.score - test.score.max(axis=1, keepdims=True))
        probability = odds / odds.sum(axis=1, keepdims=True)
        cases = np.asarray(test.patient)
        names = np.unique(cases)
        mean = np.stack([probability[cases == name].mean(axis=0) for name in names])
        target = [int(test.target[cases == name][0]) for name in names]
        scores.append(f1_score(target, mean.argmax(axis=1), average="macro"))
    capsys.readouterr()
    call = ["leaderboard", str(folds), "--level", "patient", "--metric", "macro_f1", "--json"]
    assert main(call) == 0
    (table,) = json.loads(capsys.readouterr().out)["tables"]
    found = table["rows"][0]["metrics"]["macro_f1"]
    assert found["mean"] == pytest.approx(np.mean(scores), abs=1e-6)


# -- resolution ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def accuracies(tmp_path_factory):
    """Accuracy on held-out cases by (dataset, side) and seed: small_cnn on tiles of 96 px."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("resolution")
    protocol = SMALL.format(split="test_fraction = 0.25") + STAGE.format(epochs=6)
    (folder / "short.toml").write_text(protocol)
    call = ["run", "-b", "small_cnn", "--seeds", "2", "--vary", "image_size=40,96"]
    call += ["--protocol", str(folder / "short.toml"), "--device", "cpu"]
    for member in ("sharp", "blurred"):
        call += ["-d", f"tiles:{member},cases=32,tiles=4,side=96"]
    assert main([*call, "-o", str(folder / "results")]) == 0
    found = {}
    for trial in ResultsFolder(folder / "results").trials():
        test = trial.predictions["test"]
        key = trial.dataset.split(",")[0], json.loads(trial.protocol_json)["image_size"]
        hits = test.score.argmax(axis=1) == test.target
        found.setdefault(key, []).append(float(hits.mean()))
    return found


def test_the_higher_resolution_wins_where_the_cue_needs_it(accuracies):
    assert min(accuracies["tiles:sharp", 96]) > 0.9
    assert max(accuracies["tiles:sharp", 40]) < 0.8


def test_the_advantage_vanishes_when_the_images_were_blurred_before(accuracies):
    for side in (40, 96):
        assert max(accuracies["tiles:blurred", side]) < 0.8
