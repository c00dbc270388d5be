"""The k-shot protocols: which images are drawn, what zero shots are, what more of them bring."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from mritk.plugins.registry import Registry
from mritk.seeds import derive
from mritk.store.folder import ResultsFolder
from mritk.study.benchmark import find_protocol
from mritk_table_cnn.kshot import SHOTS, kshot_text

SET = '''
"""Four classes of stripes: two directions, two widths. In 'shuffled', labels mean nothing."""
import numpy as np
from mritk import Classification, Dataset, Samples, hookimpl

COUNT, TEST = 480, 120


def image(rng, label):
    x, y = np.meshgrid(np.arange(32), np.arange(32))
    along = (x, y)[label % 2] + rng.uniform(0, 32)
    wave = np.sin(2 * np.pi * along / (16, 7)[label // 2])
    return np.clip(128 + 14 * wave + rng.normal(0, 60, (32, 32)), 0, 255).astype(np.uint8)


def open_set(shuffled):
    rng = np.random.default_rng(0)
    targets = np.arange(COUNT) // 4 % 4
    images = [image(rng, label) for label in targets]
    if shuffled:
        targets = rng.permutation(targets[:COUNT - TEST]).tolist() + targets[COUNT - TEST:].tolist()
    return Samples(
        ids=[f"i{i:03d}" for i in range(COUNT)],
        targets=np.asarray(targets),
        task=Classification(("glioma", "meningioma", "none", "pituitary")),
        read=lambda i: images[i],
        patients=[f"p{i // 2:03d}" for i in range(COUNT)],
        splits=["train"] * (COUNT - TEST) + ["test"] * TEST,
    )


@hookimpl
def mritk_datasets():
    yield Dataset("stripes", lambda workspace: open_set(False))
    yield Dataset("shuffled", lambda workspace: open_set(True))
'''
DRAWN = (0, 5, 15, 60)
SMALL = """
layers = [
    { layer = "conv", channels = 16, kernel = 7, stride = 2, batch_norm = true },
    { layer = "conv", channels = 24, kernel = 5, stride = 2, batch_norm = true },
    { layer = "conv", channels = 32, kernel = 3, batch_norm = true },
]
"""


def shortened(shots, epochs):
    text = kshot_text(shots).replace("image_size = 224", "image_size = 32")
    text = re.sub(r"epochs = \d+", f"epochs = {epochs}", text)
    return text.replace("blur = 1.0", "blur = 0.5").replace("3e-4", "3e-3")


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """One trial of a small table for some k on both sets: 32 px, 200 images of each class."""
    from mritk.cli.main import main

    folder = tmp_path_factory.mktemp("kshot")
    (folder / "set.py").write_text(SET)
    (folder / "small.toml").write_text(SMALL)
    call = ["run", "-p", str(folder / "set.py"), "-b", f"table_cnn:{folder}/small.toml"]
    call += [
        "-d",
        "stripes",
        "-d",
        "shuffled",
        "--seeds",
        "1",
        "--device",
        "cpu",
        "-o",
        str(folder / "results"),
    ]
    for shots in DRAWN:
        text = shortened(shots, 200 // max(shots, 1))
        (folder / f"kshot_{shots}.toml").write_text(text)
        call += ["--protocol", str(folder / f"kshot_{shots}.toml")]
    with pytest.MonkeyPatch.context() as patch:
        # Near copies among the stripes are not what these tests are about.
        patch.setattr("mritk.audit.copies._near", lambda *arguments: iter(()))
        assert main(call) == 0
    found = ResultsFolder(folder / "results").trials()
    return {(t.dataset, int(t.protocol.removeprefix("kshot_"))): t for t in found}


def accuracy(trial):
    test = trial.predictions["test"]
    return float((test.score.argmax(axis=1) == test.target).mean())


# -- the protocols -------------------------------------------------------------------------------


def test_the_protocols_differ_in_shots_and_in_how_often_each_image_is_seen():
    registry = Registry.load(environ={})
    protocols = {k: find_protocol(f"kshot_{k}", registry) for k in SHOTS}
    assert list(protocols) == [0, 5, 10, 15, 20, 40, 80]
    for k, protocol in protocols.items():
        assert (protocol.split.shots, protocol.image_size) == (k, 224)
        assert (protocol.preprocessing.grey, protocol.preprocessing.blur) == (True, 1.0)
        epochs = sum(stage.epochs for stage in protocol.parameters.stages)
        assert epochs * k == pytest.approx(800 if k else 0, rel=0.02)
    assert len({protocol.fingerprint for protocol in protocols.values()}) == len(SHOTS)


@pytest.mark.parametrize("classes", [2, 4])
def test_no_epoch_leaves_out_an_image_so_that_k_alone_differs(classes):
    """An incomplete last batch is not trained on; as many steps for every k, to 2 %."""
    registry = Registry.load(environ={})
    for k in SHOTS[1:]:
        parameters = find_protocol(f"kshot_{k}", registry).parameters
        assert classes * k % parameters.batch_size == 0
        steps = parameters.stages[0].epochs * classes * k // parameters.batch_size
        assert steps == pytest.approx(800 * classes / parameters.batch_size, rel=0.02)


def test_of_three_classes_few_shots_see_fewer_images_as_the_protocol_says():
    """Training 5 × 3 images in batches of 10 leaves out 5 in each epoch."""
    text, seen = kshot_text(5), {}
    for k in SHOTS[1:]:
        parameters = find_protocol(f"kshot_{k}", Registry.load(environ={})).parameters
        whole = 3 * k // parameters.batch_size * parameters.batch_size
        seen[k] = round(parameters.stages[0].epochs * whole / 3)
    assert {k: n for k, n in seen.items() if n != 800} == {5: 533, 15: 707}
    assert "533 and 707 images of each" in text


def test_the_study_on_all_images_sees_them_in_the_same_way():
    registry = Registry.load(environ={})
    whole, few = (find_protocol(n, registry) for n in ("resource_efficient", "kshot_80"))
    assert whole.preprocessing == few.preprocessing
    assert (whole.split.shots, whole.split.test_fraction) == (0, 0.2)


# -- what is drawn -------------------------------------------------------------------------------


@pytest.mark.slow
def test_draws_are_balanced_nested_and_of_the_training_part_alone(trials):
    drawn = {k: set(trials["stripes", k].splits["train"]) for k in DRAWN if k}
    label = {f"i{i:03d}": i // 4 % 4 for i in range(480)}
    for k, ids in drawn.items():
        assert np.bincount([label[name] for name in ids]).tolist() == [k] * 4
        assert all(int(name[1:]) < 360 for name in ids)
        assert not ids & set(trials["stripes", k].splits["val"])
    assert drawn[5] < drawn[15] < drawn[60]
    tests = {tuple(trials["stripes", k].splits["test"]) for k in DRAWN}
    assert len(tests) == 1, "all are scored on the same images"


@pytest.mark.slow
@pytest.mark.usefixtures("no_near_copies")
def test_seeds_of_trials_share_the_images_and_another_draw_has_others(trials, mritk, tmp_path):
    (tmp_path / "set.py").write_text(SET)
    (tmp_path / "kshot_5.toml").write_text(shortened(5, 1))
    call = ("run", "-p", tmp_path / "set.py", "-b", "table_cnn", "-d", "stripes", "--device", "cpu")
    call += ("--protocol", tmp_path / "kshot_5.toml", "-o", tmp_path / "results")
    assert mritk(*call, "--seeds", 2).code == 0
    assert mritk(*call, "--seeds", 1, "--vary", "split.seed=1").code == 0
    found = list(ResultsFolder(tmp_path / "results").trials())
    drawn = {(t.protocol, t.seed): set(t.splits["train"]) for t in found}
    first = set(trials["stripes", 5].splits["train"])
    assert drawn["kshot_5", 0] == drawn["kshot_5", 1] == first
    assert drawn["kshot_5[seed=1]", 0] != first


# -- zero shots ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_zero_shots_are_the_untouched_network(trials):
    """Built here by hand from the seed, on images blurred as the protocol says."""
    from scipy.ndimage import gaussian_filter

    trial = trials["stripes", 0]
    namespace = {}
    exec(SET, namespace)
    samples = namespace["open_set"](False)
    torch.manual_seed(derive(0, "initialisation"))
    backbone = nn.Sequential(
        *(nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 24, 5, 2, 2, bias=False), nn.BatchNorm2d(24), nn.ReLU()),
        *(nn.Conv2d(24, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    torch.manual_seed(derive(0, "head"))
    network = nn.Sequential(backbone, nn.Linear(32, 4)).eval()
    pixels = np.stack([samples.read(int(name[1:])) for name in trial.predictions["test"].id])
    blurred = np.rint(gaussian_filter(pixels.astype(np.float32), (0, 0.5, 0.5), mode="nearest"))
    batch = torch.from_numpy(blurred / 255)[:, None].expand(-1, 3, -1, -1)
    with torch.no_grad():
        expected = network((batch - 0.5) / 0.5).numpy()
    np.testing.assert_allclose(trial.predictions["test"].score, expected, atol=1e-5)
    assert trial.history == []
    assert "images_per_second" not in trial.cost, "what cannot be told is absent"


# -- more shots ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_accuracy_grows_with_the_shots(trials):
    scores = [accuracy(trials["stripes", k]) for k in DRAWN]
    assert scores[0] < 0.4
    assert scores == sorted(scores)
    assert scores[-1] > max(0.8, scores[1] + 0.15)


@pytest.mark.slow
def test_shuffled_labels_stay_at_chance_whatever_the_shots(trials):
    """120 test images: five standard deviations of a guess are 0.2."""
    for k in DRAWN:
        assert abs(accuracy(trials["shuffled", k]) - 0.25) < 0.2


# -- what it costs -------------------------------------------------------------------------------


@pytest.mark.slow
def test_parameters_and_latency_stand_in_the_trial_file(trials):
    cost = trials["stripes", 60].cost
    convolutions = 3 * 16 * 49 + 16 * 24 * 25 + 24 * 32 * 9
    assert cost["parameters"] == convolutions + 2 * (16 + 24 + 32) + 32 * 4 + 4
    assert 0 < cost["latency_seconds"] < cost["predict_seconds"]
    assert cost["flops"] > 0
