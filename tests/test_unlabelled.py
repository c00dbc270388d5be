"""Images without labels: a method learns from them, its trial has no scores, and is done."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder

PLUGIN = '''
"""Noise, and a method that learns its mean."""
from dataclasses import dataclass

import numpy as np
from mritk import Dataset, Epoch, Method, ProtocolFile, Samples, Unlabelled, hookimpl


def read(i):
    return np.random.default_rng(i).integers(0, 256, (16, 16)).astype(np.uint8)


def open_noise(workspace):
    ids = [f"image-{i}" for i in range(30)]
    return Samples(ids, np.empty(0), Unlabelled(), read, patients=ids)


@dataclass(frozen=True)
class Parameters:
    pass


@dataclass
class Mean:
    notes: dict

    def predict(self, subset):
        raise AssertionError("nothing is predicted of samples without targets")


def fit(setup):
    found = np.mean([setup.train.read(i).mean() for i in range(len(setup.train))])
    setup.on_epoch(Epoch(1, 1, "", 0.0, 0.5, 0.5, 0.5, 0.1))
    return Mean({"mean": float(found)})


@hookimpl
def mritk_datasets():
    yield Dataset("noise", open_noise)


@hookimpl
def mritk_methods():
    yield Method("mean", fit, Parameters, uses_backbone=False, uses_augmentation=False)


@hookimpl
def mritk_protocols():
    text = 'method = "mean"\\nimage_size = "native"\\n[selection]\\non = "last"\\n'
    yield ProtocolFile("pretrain", lambda: text)
'''


@pytest.fixture
def call(mritk, tmp_path):
    plugin = tmp_path / "noise.py"
    plugin.write_text(PLUGIN)
    asked = ("-p", plugin, "-d", "noise", "--protocol", "pretrain", "--seeds", 1)
    return lambda: mritk("run", *asked, "-o", tmp_path / "results")


@pytest.mark.slow
def test_a_trial_without_scores_is_finished_shown_and_no_row_of_a_table(mritk, call, tmp_path):
    results = tmp_path / "results"
    assert call().code == 0
    (record,) = ResultsFolder(results).trials()
    assert record.finished
    assert record.predictions == {}
    assert record.notes["mean"] == pytest.approx(127.5, abs=5)
    assert "1 of 1 trials were already finished" in "".join([(again := call()).out, again.err])
    for command, code in (("doctor", 0), ("rescore", 0), ("leaderboard", 5), ("differences", 5)):
        ended = mritk(command, results)
        assert ended.code == code, ended.err
        said = f"1 trial in {results} learned from unlabelled data and has no scores to rank"
        assert (said in ended.err) == (code == 5)
        shown = f"to see it: mritk show {record.id[:8]} --results {results}\n"
        assert (shown in ended.err) == (code == 5)
    for command in ("show", "verify"):
        assert mritk(command, record.id, "--results", results).code == 0
    refused = mritk("card", record.id, "--results", results)
    assert refused.code == 2
    assert "learned from unlabelled data and has no scores" in refused.err


@pytest.mark.parametrize("protocol", ["quick", "linear_probe"])
def test_a_method_for_labels_is_refused_before_anything_is_read(mritk, tmp_path, protocol):
    plugin = tmp_path / "noise.py"
    plugin.write_text(PLUGIN)
    asked = ("-p", plugin, "-d", "noise", "--protocol", protocol, "-b", "small_cnn")
    ended = mritk("run", *asked, "-o", tmp_path / "results")
    assert ended.code == 2
    assert f"noise has no targets, but protocol {protocol} trains with" in ended.err
    assert "which is for classification and regression" in ended.err
    assert "'mritk plugins new NAME --kind method' begins one" in ended.err
    plugin.write_text(PLUGIN.replace("Parameters, uses", 'Parameters, tasks=("unlabelled",), uses'))
    assert "; use --protocol pretrain\n" in mritk("run", *asked, "-o", tmp_path / "results").err
