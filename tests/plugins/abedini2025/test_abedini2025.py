"""The published protocol and its correction: what trains, what is seen, what is marked."""

from __future__ import annotations

import json
import re

import pytest
import torch
from torch import nn

from mritk import packaged_text
from mritk.model.network import build_head
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import Benchmark, find_protocol
from mritk_abedini2025 import PROTOCOLS, augmentation
from mritk_abedini2025.augmentation import moved, moved_with_contrast

REPLICA, CORRECTED = "abedini2025_replica", "abedini2025_corrected"


def generator(seed):
    return torch.Generator().manual_seed(seed)


# -- the recipe ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def protocols():
    registry = Registry.load(environ={})
    return {name: find_protocol(name, registry) for name in PROTOCOLS}


def test_the_head_is_the_published_one(protocols):
    head = build_head(1024, 4, protocols[REPLICA].parameters.head)
    assert [type(layer) for layer in head] == [
        nn.BatchNorm1d,
        *(nn.Linear, nn.ReLU, nn.Dropout),
        *(nn.Linear, nn.ReLU, nn.Dropout),
        nn.Linear,
    ]
    assert [layer.out_features for layer in head if isinstance(layer, nn.Linear)] == [512, 256, 4]
    assert [layer.p for layer in head if isinstance(layer, nn.Dropout)] == [0.5, 0.4]


def test_replica_and_correction_share_head_stages_and_loss(protocols):
    assert protocols[REPLICA].parameters == protocols[CORRECTED].parameters
    stages = protocols[REPLICA].parameters.stages
    assert [(s.epochs, s.learning_rate, s.plateau_patience, s.early_stopping) for s in stages] == [
        (50, 1e-4, 3, 8),
        (10, 1e-5, 2, 5),
    ]
    assert {s.optimizer for s in stages} == {"adam"}


def test_what_keras_takes_for_granted_is_in_both_protocols(protocols):
    """Defaults of Adam, BatchNormalization, Dense, ReduceLROnPlateau, class_weight and fit."""
    recipe = protocols[REPLICA].parameters
    head = recipe.head
    assert {(s.adam_epsilon, s.plateau_min_delta) for s in recipe.stages} == {(1e-7, 1e-4)}
    assert (1 - head.batch_norm_momentum, head.batch_norm_epsilon) == (0.99, 1e-3)
    assert head.initialisation == "glorot"
    assert {s.plateau_loss for s in recipe.stages} == {"objective"}
    assert [s.restart_selection for s in recipe.stages] == [False, True], "a second fit()"
    assert (recipe.class_weights_per, recipe.last_batch) == ("sample", "keep")


def test_every_flaw_is_repeated_by_name_and_absent_from_the_correction(protocols):
    replica, corrected = protocols[REPLICA], protocols[CORRECTED]
    assert (replica.split.validation, corrected.split.validation) == ("test", "drawn")
    assert (replica.split.copies, corrected.split.copies) == ("keep", "drop")
    assert (replica.normalisation, corrected.normalisation) == ("imagenet", "own")
    assert replica.normalise_again == ("convnext_tiny", "efficientnetv2_s")
    assert (corrected.normalise_again, replica.resize, corrected.resize) == ((), "nearest", "own")
    assert (replica.augmentation, corrected.augmentation) == ("abedini2025_replica", "abedini2025")


@pytest.mark.parametrize("study", ["abedini2025", "abedini2025_controlled"])
def test_the_studies_name_what_exists(study, request):
    root = request.config.rootpath
    benchmark = Benchmark.from_file(root / "benchmarks" / "studies" / f"{study}.toml")
    registry = Registry.load(environ={})
    assert [registry.backbone(name).name for name in benchmark.backbones] == list(
        benchmark.backbones
    )
    assert {find_protocol(name, registry).name for name in benchmark.protocols} <= set(PROTOCOLS)
    assert set(benchmark.data.rename.values()) == {"glioma", "meningioma", "notumor", "pituitary"}


# -- the images ------------------------------------------------------------------------------------


def test_without_a_draw_images_stay_as_they_are(monkeypatch):
    for name in ("ROTATION", "SHEAR", "SHIFT", "ZOOM", "BRIGHTNESS"):
        monkeypatch.setattr(augmentation, name, 0.0)
    images = torch.rand((3, 3, 20, 16), generator=generator(0))
    torch.testing.assert_close(moved(images, generator(1)), images)


def test_contrast_is_that_of_tensorflow_on_floats(monkeypatch):
    """``(x - mean) · factor + mean`` per channel, by hand; nothing is clipped."""
    for name in ("ROTATION", "SHEAR", "SHIFT", "ZOOM", "BRIGHTNESS"):
        monkeypatch.setattr(augmentation, name, 0.0)
    black_and_white = torch.tensor([0.0, 0.0, 0.0, 1.0]).reshape(1, 1, 2, 2)
    seen = moved_with_contrast(black_and_white, generator(1)).flatten()
    torch.testing.assert_close(seen, torch.tensor([-0.125, -0.125, -0.125, 1.375]))
    images = torch.rand((3, 3, 20, 16), generator=generator(0))
    mean = images.mean(dim=(2, 3), keepdim=True)
    seen = moved_with_contrast(images, generator(1))
    torch.testing.assert_close(seen, (images - mean) * 1.5 + mean)


def test_brightness_is_multiplied_within_its_range():
    images = torch.full((400, 1, 32, 32), 0.5)
    factors = moved(images, generator(0))[:, 0, 16, 16] / 0.5
    assert factors.min() >= 0.9
    assert factors.max() <= 1.1
    assert factors.std() == pytest.approx(0.2 / 12**0.5, rel=0.1)


@pytest.mark.parametrize(("name", "half"), [("SHIFT", 0.05), ("ROTATION", 5.0), ("ZOOM", 0.05)])
def test_geometry_stays_within_its_range(monkeypatch, name, half):
    """A bright pixel at a known place moves as far as the range allows, and no further."""
    for other in {"ROTATION", "SHEAR", "SHIFT", "ZOOM", "BRIGHTNESS"} - {name}:
        monkeypatch.setattr(augmentation, other, 0.0)
    images = torch.zeros(300, 1, 101, 101)
    images[:, :, 48:53, 88:93] = 1.0  # its centre is 40 pixels to the right of the middle
    seen = moved(images, generator(0))[:, 0]
    place = torch.arange(101.0) - 50
    mass = seen.sum(dim=(1, 2))
    x = (seen.sum(dim=1) * place).sum(dim=1) / mass
    y = (seen.sum(dim=2) * place).sum(dim=1) / mass
    if name == "SHIFT":
        reach = torch.stack([x - 40, y]).abs().max(dim=1).values / 101
    elif name == "ROTATION":
        reach = torch.rad2deg(torch.atan2(y, x)).abs().max()[None]
    else:
        reach = (40 / x - 1).abs().max()[None]
    for value in reach:
        assert 0.9 * half < value <= 1.02 * half


# -- trials ----------------------------------------------------------------------------------------

SET = """
import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl


def build():
    from torch import nn

    def block(inside, outside):
        return [nn.Conv2d(inside, outside, 3, 2, 1), nn.BatchNorm2d(outside), nn.ReLU()]

    layers = [*block(3, 4), *block(4, 4), *block(4, 8), *block(8, 8), *block(8, 8)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def open_set(workspace):
    rng = np.random.default_rng(0)
    targets = np.arange(96) // 2 % 4
    images = rng.integers(0, 60, (96, 32, 32)).astype(np.uint8)
    for image, target in zip(images, targets):
        image[8 * target : 8 * target + 8] += 150
    images[90] = images[2]  # a test image that is a copy of a training image
    return Samples(
        ids=[f"i{i:02d}" for i in range(96)],
        targets=targets,
        task=Classification(("glioma", "meningioma", "notumor", "pituitary")),
        read=lambda i: images[i],
        splits=["train"] * 64 + ["test"] * 32,
        sources=["one", "two"] * 48,
    )


@hookimpl
def mritk_backbones():
    yield Architecture("five_blocks", build, InputContract(32, (0.5,) * 3, (0.5,) * 3))


@hookimpl
def mritk_datasets():
    yield Dataset("merged", open_set)
"""


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """One trial under each protocol, shortened: few epochs, 32 px, a higher rate."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("abedini")
    (folder / "set.py").write_text(SET)
    call = ["run", "-p", str(folder / "set.py"), "-b", "five_blocks", "-d", "merged"]
    for name in PROTOCOLS:
        text = packaged_text("mritk_abedini2025", "protocols", f"{name}.toml")
        text = text.replace("image_size = 224", "image_size = 32")
        text = re.sub(r"epochs = \d+", "epochs = 2", text)
        text = re.sub(r"learning_rate = 1e-[45]\n", "learning_rate = 1e-2\n", text)
        (folder / f"{name}.toml").write_text(text)
        call += ["--protocol", str(folder / f"{name}.toml")]
    call += ["--seeds", "1", "--no-patient-ids", "--device", "cpu", "-o", str(folder / "results")]
    assert main(call) == 0
    found = {trial.protocol: trial for trial in ResultsFolder(folder / "results").trials()}
    assert set(found) == set(PROTOCOLS)
    return found, folder / "results"


@pytest.mark.slow
@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_first_stage_leaves_the_backbone_and_the_second_changes_its_last_fifth(trials, name):
    changed = trials[0][name].notes["changed_tensors"]
    first, second = changed["head"], changed["last fifth"]
    assert first
    assert all(tensor.startswith("head.") for tensor in first)
    backbone = {tensor for tensor in second if tensor.startswith("backbone.")}
    # 10 modules with tensors; the last two are a convolution and its BatchNorm, which stays.
    assert backbone == {"backbone.12.weight", "backbone.12.bias"}


def test_only_the_replica_selects_on_the_test_part(trials):
    found, _ = trials
    replica, corrected = found[REPLICA], found[CORRECTED]
    assert replica.splits["val"] == replica.splits["test"]
    assert not set(corrected.splits["val"]) & set(corrected.splits["test"])
    assert replica.splits["test"] == corrected.splits["test"], "scored on the same images"


def test_only_the_replica_trains_on_a_copy_of_a_test_image(trials):
    found, _ = trials
    assert "i02" in found[REPLICA].splits["train"]
    assert "i02" in found[CORRECTED].splits["dropped"]


def test_only_the_replica_forces_one_normalisation(trials):
    means = {n: t.provenance["input_contract"]["mean"] for n, t in trials[0].items()}
    assert means == {REPLICA: [0.485, 0.456, 0.406], CORRECTED: [0.5, 0.5, 0.5]}


def test_the_replica_is_marked_in_every_row_and_sources_have_tables(trials, capsys):
    from mritk.cli.main import main

    capsys.readouterr()
    assert main(["leaderboard", str(trials[1]), "--by", "source", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert len(tables) == 2, "two sources"
    both = {"abedini2025_corrected", "abedini2025_replica"}
    assert all({row["protocol"] for row in table["rows"]} == both for table in tables)
    assert main(["leaderboard", str(trials[1])]) == 0
    rows = [r for r in capsys.readouterr().out.splitlines() if r.startswith("| five_blocks")]
    assert sorted("§" in row for row in rows) == [False, True]
