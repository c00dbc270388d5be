"""A trial on samples with a bright cube in class 1 alone, trained once and kept."""

from __future__ import annotations

import shutil

import pytest

from mritk.cli.main import main

PLANTED = '''
"""Noise in a head; samples of class "cube" have a bright cube in it, somewhere."""

import numpy as np

from mritk import Architecture, Classification, Dataset, InputContract, Samples, hookimpl

SIDE, CUBE, COUNT = 16, 4, 96


def head(dims):
    at = np.indices((SIDE,) * dims) - (SIDE - 1) / 2
    return (at**2).sum(axis=0) < (SIDE / 2) ** 2


def open_planted(workspace, dims, masks=True, shift=0):
    rng = np.random.default_rng(7)
    inside = head(dims)
    volumes, lesions = [], []
    for number in range(COUNT):
        volume = np.where(inside, rng.integers(60, 120, inside.shape), 0)
        lesion = np.zeros(inside.shape, bool)
        if number % 2:
            corner = rng.integers(4, SIDE - 4 - CUBE + 1, dims)
            lesion[tuple(slice(c, c + CUBE) for c in corner)] = True
            volume[lesion] += 100
        volumes.append(volume.astype(np.uint8))
        lesions.append(lesion[..., shift:])

    return Samples(
        ids=[f"sub-{i:02d}/scan" for i in range(COUNT)],
        targets=np.arange(COUNT) % 2,
        task=Classification(("plain", "cube")),
        read=lambda i: volumes[i],
        spatial_dims=dims,
        patients=[f"sub-{i:02d}" for i in range(COUNT)],
        spacing=np.tile([2.0, 1.5, 1.0][:dims], (COUNT, 1)),
        covariates={"head_volume": rng.normal(1400, 100, COUNT), "sex": ["f", "m"] * (COUNT // 2)},
        read_lesion=(lambda i: lesions[i] & (masks != "empty")) if masks else None,
    )


def build(dims):
    from torch import nn

    Conv, Pool, Norm = {
        2: (nn.Conv2d, nn.AdaptiveAvgPool2d, nn.BatchNorm2d),
        3: (nn.Conv3d, nn.AdaptiveAvgPool3d, nn.BatchNorm3d),
    }[dims]
    return nn.Sequential(
        *(Conv(1, 8, 3, padding=1), Norm(8), nn.ReLU()),
        *(Conv(8, 16, 3, padding=1, stride=2), Norm(16), nn.ReLU()),
        *(Pool(1), nn.Flatten()),
    )


@hookimpl
def mritk_backbones():
    for dims in (2, 3):
        yield Architecture(
            f"cubes{dims}",
            lambda dims=dims: build(dims),
            InputContract(SIDE, (0.3,), (0.3,)),
            spatial_dims=dims,
        )


@hookimpl
def mritk_datasets():
    for dims in (2, 3):
        yield Dataset(f"planted{dims}", lambda w, d=dims: open_planted(w, d), summary="cubes")
    yield Dataset("planted_unmasked", lambda w: open_planted(w, 2, masks=False), summary="cubes")
    yield Dataset("planted_empty", lambda w: open_planted(w, 2, masks="empty"), summary="cubes")
    yield Dataset("planted_askew", lambda w: open_planted(w, 2, shift=1), summary="cubes")
'''

PROTOCOL = """
method = "finetune"
augmentation = "none"
image_size = 16
volume_size = 16

[split]
test_fraction = 0.3
val_fraction = 0.2

[parameters]
batch_size = 8

[[parameters.stages]]
name = "all"
epochs = 12
learning_rate = 1e-2
"""


@pytest.fixture(scope="session")
def planted(tmp_path_factory):
    """Folder with the plugin, and trained trials on images (``planted2``) and volumes."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted.py").write_text(PLANTED)
    (folder / "protocol.toml").write_text(PROTOCOL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MRITK_HOME", str(folder / "home"))
        # Noise with and without a cube: all of it would be looked at.
        patch.setattr("mritk.audit.copies._near", lambda *arguments: iter(()))
        for dims in (2, 3):
            assert train(folder, f"cubes{dims}", f"planted{dims}", "--keep-models") == 0
    return folder


def train(folder, backbone, dataset, *more):
    """Train on a dataset into a results folder of its name; return the exit code."""
    command = ["run", "-p", folder / "planted.py", "-b", backbone, "-d", dataset, "--seeds", 1]
    command += ["--protocol", folder / "protocol.toml", "-o", folder / dataset, "--device", "cpu"]
    words = [str(word) for word in (*command, *more)]
    with pytest.MonkeyPatch.context() as patch:  # a trial keeps the command of its process
        patch.setattr("sys.argv", ["mritk", *words])
        return main(words)


@pytest.fixture
def here(planted, monkeypatch, tmp_path):
    """The folder of ``planted``, with what its trainings have cached."""
    shutil.copytree(planted / "home", tmp_path / "home")
    monkeypatch.setenv("MRITK_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("mritk.audit.copies._near", lambda *arguments: iter(()))
    return planted


@pytest.fixture
def explain(mritk, here, tmp_path):
    """Explain the trial on a dataset into ``tmp_path/maps``; return how it ended."""

    def call(dataset, *arguments):
        (trial,) = (here / dataset / "trials").glob("*.h5")
        base = ("explain", trial.stem, "--results", here / dataset, "-p", here / "planted.py")
        return mritk(*base, "-o", tmp_path / "maps", "--device", "cpu", *arguments)

    return call


@pytest.fixture
def trial_of(here):
    """Return the id of the trial on a dataset."""
    return lambda dataset: next((here / dataset / "trials").glob("*.h5")).stem
