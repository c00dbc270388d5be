"""New samples become the pixels of a trained model as those of its trial did."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from mritk import DataError, Samples, Unlabelled, UsageError, Workspace
from mritk.batches.model_pixels import pixels_for
from mritk.cli.main import main
from mritk.model.model_file import load_model
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder

# A class is a brighter part of a picture, a volume or three sequences, none of the size or the form
# in which a network takes them.
PLUGIN = '''
"""Networks and pictures for a test."""
import numpy as np
from torch import nn
from mritk import Architecture, Classification, Dataset, InputContract, Regression, Samples
from mritk import hookimpl

SHAPES = {"colours": (50, 34, 3), "volumes": (14, 20, 18), "sequences": (3, 50, 34)}


def flat():
    return nn.Sequential(nn.Conv2d(3, 8, 5, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())


def deep():
    return nn.Sequential(nn.Conv3d(1, 8, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool3d(2), nn.Flatten())


def opening(name):
    def open_samples(workspace):
        rng = np.random.default_rng(0)
        shape, n = SHAPES[name], 40
        images = rng.integers(0, 150, (n, *shape)).astype(np.uint8)
        targets = np.arange(n) % 2
        images[targets == 1] += 60
        known = {
            "volumes": {"spatial_dims": 3, "spacing": np.tile([3.0, 1.5, 2.0], (n, 1))},
            "sequences": {"channels": ("t1", "t2", "flair")},
        }
        return Samples(
            ids=[f"{name}-{i:02d}" for i in range(n)],
            targets=targets * 12.5 + 40 if name == "volumes" else targets,
            task=Regression("years") if name == "volumes" else Classification(("dark", "bright")),
            read=lambda i: images[i],
            patients=[f"p{i // 2}" for i in range(n)],
            **known.get(name, {}),
        )
    return open_samples


@hookimpl
def mritk_backbones():
    colours = InputContract(24, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), channel_order="BGR")
    yield Architecture("flat", flat, colours, summary="a layer")
    cropped = InputContract(16, (0.5,), (0.5,), fit="crop_or_pad", spacing=(2.0, 2.0, 2.0))
    yield Architecture("deep", deep, cropped, spatial_dims=3, summary="a layer")


@hookimpl
def mritk_datasets():
    for name in SHAPES:
        yield Dataset(name, opening(name), summary="noise")
'''

SIZES = {
    "native": 'image_size = "native"',
    "bicubic": 'image_size = 40\nresize = "bicubic"',
    "volume": "volume_size = 12",
}
CHANGED = "\n[preprocessing]\ngrey = true\nblur = 1.5\n"


def file_of(folder, record):
    return folder / "results" / "models" / f"{record.id}.safetensors"


@pytest.fixture
def model(tmp_path, fast_protocol, monkeypatch):
    """Train once on a dataset; return the model, its record, and the samples."""
    (tmp_path / "theirs.py").write_text(PLUGIN)
    monkeypatch.setenv("MRITK_PLUGINS", str(tmp_path / "theirs.py"))
    plain = fast_protocol.read_text()

    def train(backbone, dataset, size, rest=""):
        fast_protocol.write_text(plain.replace("image_size = 32", SIZES[size]) + rest)
        words = ["run", "-b", backbone, "-d", dataset, "--protocol", fast_protocol, "--seeds", 1]
        words += ["-o", tmp_path / "results", "--device", "cpu", "--keep-models"]
        assert main([str(word) for word in words]) == 0
        (record,) = ResultsFolder(tmp_path / "results").trials()
        registry = Registry.load()
        samples = registry.dataset(dataset).open(Workspace.from_environment())
        return load_model(file_of(tmp_path, record), registry.backbone), record, samples

    return train


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        ("flat", "colours", "native"),
        ("flat", "colours", "bicubic", CHANGED),
        ("deep", "volumes", "volume", CHANGED),
        ("flat", "sequences", "bicubic"),
    ],
    ids=lambda case: " ".join(case[:3]),
)
def test_the_model_predicts_from_them_what_the_trial_has_stored(model, case):
    trained, record, samples = model(*case)
    stored = record.predictions["test"]
    rows = [samples.ids.index(name) for name in stored.id]
    new = Samples(
        ids=[f"new-{row}" for row in rows],
        targets=np.zeros(len(rows)),
        task=Unlabelled(),
        read=lambda i: samples.read(rows[i]),
        spatial_dims=samples.spatial_dims,
        channels=samples.channels,
        spacing=None if samples.spacing is None else samples.spacing[rows],
    )
    pixels = pixels_for(trained, new)
    assert pixels.dtype == torch.float32
    assert 0 <= pixels.min() <= pixels.max() <= 1
    found = trained(pixels).numpy()
    np.testing.assert_allclose(found, stored.score, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_samples_of_another_kind_are_refused(model):
    trained, _, samples = model("flat", "colours", "native")
    volume = Samples(["a"], np.zeros(1), Unlabelled(), lambda i: np.zeros((4, 8, 8)), 3)
    with pytest.raises(UsageError, match="2 spatial dimensions, and these have 3"):
        pixels_for(trained, volume)
    for channels in (("t1",), ("t1", "t2")):
        shape = (len(channels), 8, 8)
        other = Samples(
            ["a"], np.zeros(1), Unlabelled(), lambda i, s=shape: np.zeros(s), channels=channels
        )
        told = "takes the channels grey or RGB, and these samples have t1"
        with pytest.raises(UsageError, match=told):
            pixels_for(trained, other)
    for empty in ((0, 8), (8, 0, 3)):
        none = Samples(["a"], np.zeros(1), Unlabelled(), lambda i, s=empty: np.zeros(s))
        with pytest.raises(DataError, match=re.escape(f"a (is empty: shape {empty})")):
            pixels_for(trained, none)
    assert len(pixels_for(trained, samples.only([3, 1]))) == 2


@pytest.mark.slow
def test_defaults_of_torch_change_neither_pixels_nor_model(model, tmp_path):
    trained, record, samples = model("flat", "colours", "bicubic", CHANGED)
    samples = samples.only([3, 1])
    pixels = pixels_for(trained, samples)
    logits = trained(pixels)
    try:
        torch.set_default_dtype(torch.bfloat16)
        torch.set_default_device("meta")
        with torch.inference_mode():
            again = load_model(file_of(tmp_path, record), Registry.load().backbone)
        assert torch.equal(pixels_for(again, samples), pixels)
        assert not any(p.is_inference() for p in again.network.parameters())
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    assert torch.equal(again(pixels), logits)
