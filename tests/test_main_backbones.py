"""The three backbones of the study behind mritk train at the size of their weights, on a CPU."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder

PROTOCOL = """
method = "finetune"
image_size = 224
augmentation = "affine"

[split]
shots = 1

[parameters]
batch_size = 3
eval_batch_size = 3

[[parameters.stages]]
name = "all"
epochs = 1
learning_rate = 1e-3
"""


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["convnext_tiny", "efficientnetv2_s", "densenet121"])
def test_a_short_trial_at_224_px(mritk, toy, tmp_path, monkeypatch, backbone):
    protocol, results = tmp_path / "short.toml", tmp_path / "results"
    protocol.write_text(PROTOCOL)
    # At 224 px even a prediction takes long: five patients for five parts, an image of each class.
    toy.write_text(toy.read_text().replace("90", "15"))
    monkeypatch.setattr("mritk.model.latency.PASSES", 3)
    ended = mritk(
        *("run", "-p", toy, "-d", "bands", "--backbone", f"{backbone}@scratch"),
        *("--protocol", protocol, "--seeds", 1, "--results", results),
    )
    assert ended.code == 0, ended.err
    (trial,) = ResultsFolder(results).trials()
    assert trial.status == "finished"
    assert trial.notes["input_size"] == 224
    assert len(trial.splits["train"]) == 3
    assert math.isfinite(trial.history[0].train_loss)
    assert np.isfinite(trial.predictions["test"].score).all()
    # Every stage moved: at least nine of ten tensors, running statistics among them.
    assert len(trial.notes["changed_tensors"]["all"]) > 0.9 * len(state_names(backbone))


def state_names(backbone):
    architecture = Registry.load(environ={}).backbone(f"{backbone}@scratch").architecture
    with torch.device("meta"):  # names alone: to draw the values takes seconds
        return architecture.build().state_dict()
