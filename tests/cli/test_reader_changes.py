"""Trials are known by the pixels that they saw: neither by file names nor by versions."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from mritk.files.code_state import digest_of_sources
from mritk.store.folder import ResultsFolder

PLUGIN = """
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from mritk import Architecture, Classification, Dataset, DatasetFamily, InputContract, Samples
from mritk import hookimpl, sha256_of
from our_reader import read_scan


@dataclass(frozen=True)
class Options:
    window: int = 1


def build():
    from torch import nn

    return nn.Sequential(nn.Conv2d(1, 4, 5, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def find(path, options):
    yield Dataset(f"win:{Path(path).name}", partial(open_scans, path, options.window))


def open_scans(path, window, workspace):
    files = sorted(Path(path).glob("*.npy"))
    return Samples(
        ids=[file.name for file in files],
        targets=np.arange(len(files)) // 2 % 2,
        task=Classification(("a", "b")),
        read=lambda i: read_scan(files[i]) // window,
        digest=lambda i: sha256_of(files[i]),
        patients=[f"p{i // 2}" for i in range(len(files))],
    )


@hookimpl
def mritk_backbones():
    yield Architecture("net", build, InputContract(32, (0.5,), (0.5,)))


@hookimpl
def mritk_datasets():
    yield DatasetFamily("win", find, options=Options)
"""
READER = "import numpy as np\n\n\ndef read_scan(path):\n    return np.load(path)\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An editable plugin package, ``our_reader``, whose version never changes."""
    root = tmp_path / "source" / "our_reader"
    root.mkdir(parents=True)
    plugin = PLUGIN.replace("from our_reader import", "from our_reader.scan import")
    (root / "__init__.py").write_text(plugin)
    (root / "scan.py").write_text(READER)
    (tmp_path / "scans").mkdir()
    images = np.random.default_rng(0).integers(0, 256, (24, 32, 32), dtype=np.uint8)
    for number, image in enumerate(images):
        np.save(tmp_path / "scans" / f"{number:02d}.npy", image)
    monkeypatch.syspath_prepend(root.parent)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield root
    forget()


def forget():
    """Forget loaded code, as another process would."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "our_reader"]:
        del sys.modules[name]
    digest_of_sources.cache_clear()


@pytest.fixture
def run(package, mritk, fast_protocol, tmp_path):
    """Run ``net`` on the dataset; return how many trials are then stored."""

    def call(*arguments, dataset="win:scans"):
        forget()
        name = dataset.replace("scans", str(tmp_path / "scans"), 1)
        base = ("run", "-p", "our_reader", "-b", "net", "-d", name, "--protocol", fast_protocol)
        ended = mritk(*base, "--seeds", 1, "--device", "cpu", "-o", tmp_path / "out", *arguments)
        assert ended.code == 0, ended.err
        return len(stored(tmp_path))

    return call


def stored(tmp_path):
    return list(ResultsFolder(tmp_path / "out").trials())


@pytest.mark.slow
def test_a_reader_that_gives_other_pixels_makes_another_trial(run, package, mritk, tmp_path):
    """Same files, same digests, same version of the plugin."""
    assert run() == 1
    assert run() == 1, "already finished"
    (package / "scan.py").write_text(READER.replace("def", "# A better name is wanted.\ndef"))
    assert run() == 1, "an edit that changes no pixel changes no trial"
    (package / "scan.py").write_text(READER.replace("np.load(path)", "255 - np.load(path)"))
    assert run() == 2
    one, other = stored(tmp_path)
    assert one.dataset == other.dataset
    assert one.dataset_fingerprint != other.dataset_fingerprint
    assert not np.array_equal(one.predictions["test"].score, other.predictions["test"].score)
    board = json.loads(mritk("leaderboard", tmp_path / "out", "--format", "json").out)
    assert [len(table["rows"]) for table in board["tables"]] == [1, 1]


@pytest.mark.slow
def test_an_option_that_changes_pixels_makes_another_trial(run, tmp_path):
    assert run(dataset="win:scans,window=2") == 1
    assert run(dataset="win:scans,window=4") == 2
    assert run(dataset="win:scans,window=2") == 2, "already finished"
    assert len({trial.dataset_fingerprint for trial in stored(tmp_path)}) == 2


@pytest.mark.slow
def test_a_trial_keeps_which_reader_it_was(run, tmp_path):
    assert run(dataset="win:scans,window=2") == 1
    (trial,) = stored(tmp_path)
    reader = trial.provenance["reader"]
    assert "window=2" in reader
    assert any(line.startswith("pillow ") for line in reader)
