"""What a faithful and a corrected repetition of Abedini et al. 2025 must show.

| | what | where |
|---|---|---|
| 1 | a frozen backbone is frozen, statistics included | here |
| 2 | RadImageNet's file gives the saved network | radimagenet/test_radimagenet_loading.py |
| 3 | pixels as each set of weights expects them | here |
| 4 | class weights, label smoothing | train/test_objective.py, and here for the real counts |
| 5 | plateau, early stopping | train/test_optimiser.py, train/test_selection.py |
| 6 | planted copies are found, and nothing else | here |
| 7 | it learns what is there, and nothing from shuffled labels | here |
| 8 | one split for all backbones, selection apart from test | here |
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from sklearn.utils.class_weight import compute_class_weight

from mritk import packaged_text
from mritk.model.contract import Normalise
from mritk.model.objective import balanced_weights
from mritk.plugins.registry import Registry
from mritk.seeds import derive
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import model_path

SET = '''
"""Four classes at 64 px: disc, ring, bar, nothing. In 'shuffled', labels mean nothing."""
import numpy as np
from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl

COUNT, TEST = 320, 80


def build(width):
    from torch import nn

    def block(inside, outside):
        return [nn.Conv2d(inside, outside, 3, 2, 1), nn.BatchNorm2d(outside), nn.ReLU()]

    widths = (3, width, 2 * width, 4 * width, 4 * width)
    layers = [layer for pair in zip(widths, widths[1:]) for layer in block(*pair)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten())


def build_small():
    return build(8)


def build_narrow():
    return build(4)


def build_narrowest():
    return build(2)


def draw(rng, label):
    y, x = np.mgrid[:64, :64] - rng.uniform(22, 42, (2, 1, 1))
    far, width = np.hypot(x, y), rng.uniform(7, 10)
    shape = (far < width, abs(far - width) < 3, abs(x) < 3, far < 0)[label]
    return np.clip(70 + 110 * shape + rng.normal(0, 20, (64, 64)), 0, 255).astype(np.uint8)


def open_set(shuffled):
    rng = np.random.default_rng(0)
    targets = np.arange(COUNT) // 2 % 4
    images = [draw(rng, label) for label in targets]
    if shuffled:
        targets = np.concatenate([rng.permutation(targets[:-TEST]), targets[-TEST:]])
    return Samples(
        ids=[f"i{i:03d}" for i in range(COUNT)],
        targets=targets,
        task=Classification(("glioma", "meningioma", "notumor", "pituitary")),
        read=lambda i: images[i],
        splits=["train"] * (COUNT - TEST) + ["test"] * TEST,
    )


NETWORKS = (("small", build_small), ("narrow", build_narrow), ("narrowest", build_narrowest))


@hookimpl
def mritk_backbones():
    for name, make in NETWORKS:
        yield Architecture(name, make, InputContract(64, (0.5,) * 3, (0.5,) * 3))


@hookimpl
def mritk_datasets():
    yield Dataset("drawn", lambda workspace: open_set(False))
    yield Dataset("shuffled", lambda workspace: open_set(True))
'''


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """The corrected protocol at 64 px with short stages, three backbones, networks kept.

    The second stage trains the whole backbone but BatchNorm, as nothing in it is pretrained. Some
    60 steps are too few for running statistics that take 1 % of each batch.
    """
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("acceptance")
    (folder / "set.py").write_text(SET)
    text = packaged_text("mritk_abedini2025", "protocols", "abedini2025_corrected.toml")
    text = text.replace("image_size = 224", "image_size = 64")
    text = re.sub(r"learning_rate = 1e-[45]\n", "learning_rate = 3e-3\n", text)
    text = text.replace("batch_norm_momentum = 0.01", "batch_norm_momentum = 0.1")
    text = text.replace("epochs = 50", "epochs = 2").replace("epochs = 10", "epochs = 9")
    (folder / "short.toml").write_text(text.replace("train_last = 0.2", "train_last = 1.0"))
    call = ["run", "-p", str(folder / "set.py"), "--protocol", str(folder / "short.toml")]
    call += ["--no-patient-ids", "--seeds", "1", "--device", "cpu", "--keep-models"]
    results = folder / "results"
    for dataset, backbones in (
        ("drawn", ("small", "narrow", "narrowest")),
        ("shuffled", ("small",)),
    ):
        names = [f"--backbone={name}" for name in backbones]
        assert main([*call, "-d", dataset, *names, "-o", str(results)]) == 0
    found = ResultsFolder(results).trials()
    return results, {(t.dataset, t.backbone.partition("@")[0]): t for t in found}


def accuracy(trial):
    test = trial.predictions["test"]
    return float((test.score.argmax(axis=1) == test.target).mean())


# -- 1: frozen is frozen -------------------------------------------------------------------------


@pytest.mark.slow
def test_tensors_that_no_stage_lists_are_bit_identical_norms_and_their_statistics_included(trials):
    results, found = trials
    trial = found["drawn", "small"]
    namespace = {}
    exec(SET, namespace)
    torch.manual_seed(derive(0, "initialisation"))
    before = namespace["build_small"]().state_dict()
    after = load_file(model_path(ResultsFolder(results), trial.id))
    changed = {n for n, t in before.items() if not torch.equal(t, after[f"backbone.{n}"])}
    convolutions = {n for n, t in before.items() if n.endswith(("weight", "bias")) and "." in n}
    norms = {n.rpartition(".")[0] for n in before if n.endswith("running_mean")}
    assert changed == {n for n in convolutions if n.rpartition(".")[0] not in norms}
    assert len(norms) == 4
    listed = trial.notes["changed_tensors"]
    assert {n for n in listed["last fifth"] if n.startswith("backbone.")} == {
        f"backbone.{name}" for name in changed
    }
    assert all(name.startswith("head.") for name in listed["head"])


# -- 3: pixels ------------------------------------------------------------------------------------

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("name", "mean", "std"),
    [
        ("densenet121@radimagenet", (0.5,) * 3, (0.5,) * 3),
        ("convnext_tiny@imagenet", *IMAGENET),
        # timm's card; Keras has x / 128 - 1 in the network, the same within 1 / 255.
        ("efficientnetv2_s@imagenet", (0.5,) * 3, (0.5,) * 3),
    ],
)
def test_each_backbone_of_the_study_gets_the_pixels_that_its_weights_expect(name, mean, std):
    backbone = Registry.load(environ={}).backbone(name)
    for corrected in (True, False):
        chosen = backbone.normalised("own" if corrected else "imagenet")
        expected_mean, expected_std = (mean, std) if corrected else IMAGENET
        normalise = Normalise(chosen.input, 2, "cpu")
        for level in (0, 127.5, 255):
            pixels = normalise(torch.full((1, 3, 2, 2), level / 255))
            expected = [
                (level / 255 - m) / s for m, s in zip(expected_mean, expected_std, strict=True)
            ]
            np.testing.assert_allclose(pixels[0, :, 0, 0], expected, atol=1e-6)


# -- 4: class weights ---------------------------------------------------------------------------


def test_class_weights_of_the_two_training_folders_are_those_of_scikit_learn():
    counts = (1321 + 826, 1339 + 822, 1595 + 395, 1457 + 827)
    targets = np.repeat(np.arange(4), counts)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=targets)
    np.testing.assert_allclose(balanced_weights(targets, 4), expected)
    np.testing.assert_allclose(expected, [8582 / (4 * count) for count in counts])


# -- 6: copies ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_planted_copies_and_a_patient_on_both_sides_are_found_and_nothing_else(
    tmp_path, mritk, monkeypatch
):
    """One file again, one resized, one encoded anew, and one patient in both parts."""
    rng = np.random.default_rng(0)

    def picture():
        small = Image.fromarray(rng.integers(0, 256, (12, 12), dtype=np.uint8))
        return small.resize((128, 128), Image.Resampling.BICUBIC)

    train = {f"glioma/p{i}_a.png": picture() for i in range(6)}
    train |= {f"notumor/p{i}_a.png": picture() for i in range(10, 16)}
    test = {f"glioma/p{i}_b.png": picture() for i in range(20, 24)}
    test |= {f"notumor/p{i}_b.png": picture() for i in (30, 31, 32, 15)}  # p15 is in both
    test["glioma/p40_exact.png"] = train["glioma/p0_a.png"]
    test["glioma/p41_resized.png"] = train["glioma/p1_a.png"].resize((90, 90))
    test["glioma/p42_again.jpg"] = train["glioma/p2_a.png"]
    for part, pictures in (("Training", train), ("Testing", test)):
        for name, image in pictures.items():
            path = tmp_path / "set" / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    monkeypatch.chdir(tmp_path)
    ended = mritk("audit", "folder:set", "--patient-regex", r"(p\d+)_", "--json")
    assert ended.code == 1, ended.err
    told = json.loads(ended.out)
    found = {finding["kind"]: finding for finding in told["findings"]}
    assert found["copies"]["count"] == 3
    pairs = [pair for cluster in told["clusters"] for pair in cluster["pairs"]]
    assert {(Path(pair["one"]).name, Path(pair["other"]).name, pair["kind"]) for pair in pairs} == {
        ("p40_exact.png", "p0_a.png", "bytes"),
        ("p41_resized.png", "p1_a.png", "near"),
        ("p42_again.jpg", "p2_a.png", "near"),
    }
    assert "p15" in json.dumps(found["patients"])
    others = set(found) - {"copies", "patients", "clusters", "subjects"}
    assert not others


# -- 7: learning ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_shapes_are_learnt_from_random_weights_and_shuffled_labels_are_not(trials):
    """80 test images: four standard deviations of a guess are 0.19."""
    found = trials[1]
    assert accuracy(found["drawn", "small"]) > 0.7
    assert abs(accuracy(found["shuffled", "small"]) - 0.25) < 0.19


# -- 8: identity ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_all_backbones_share_one_split_and_none_selects_on_the_test_part(trials):
    shown = [trial for (dataset, _), trial in trials[1].items() if dataset == "drawn"]
    assert len({trial.backbone for trial in shown}) == 3
    assert len({trial.audit["split"] for trial in shown}) == 1
    assert len({trial.fingerprint for trial in shown}) == 1
    for trial in shown:
        parts = [set(trial.splits[part]) for part in ("train", "val", "test")]
        assert sum(map(len, parts)) == len(set().union(*parts))
