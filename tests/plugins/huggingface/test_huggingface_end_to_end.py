"""``mritk fetch`` with a network, then ``mritk run --offline`` without one."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image

from .conftest import Hub, Repo  # isort: skip

timm = pytest.importorskip("timm")
pytest.importorskip("datasets")

CARD = {
    "input_size": [3, 32, 32],
    "mean": [0.5] * 3,
    "std": [0.5] * 3,
    "interpolation": "bicubic",
    "classifier": "fc",
}
NAMES = ("-b", "hf:acme/net", "-d", "hf:acme/bands,patient=patient")


@pytest.fixture
def published(hub: Hub, model) -> Hub:
    """A tiny ResNet, and 60 images of bands of 20 patients."""
    torch.manual_seed(0)
    state = timm.create_model("test_resnet").state_dict()
    model("acme/net", {"architecture": "test_resnet", "pretrained_cfg": CARD}, state)
    rng = np.random.default_rng(0)
    files, rows = {}, ["file_name,patient"]
    for i in range(60):
        label = ("top", "bottom")[i % 2]
        image = rng.integers(0, 80, (32, 32)).astype(np.uint8)
        image[16 * (i % 2) :][:16] += 120
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "png")
        files[f"train/{label}/{i:02d}.png"] = stream.getvalue()
        rows.append(f"{label}/{i:02d}.png,p{i // 3}")
    files["train/metadata.csv"] = "\n".join(rows).encode()
    hub.datasets["acme/bands"] = Repo(files, {"license": "cc0-1.0"})
    return hub


@pytest.mark.slow
def test_fetched_once_a_run_needs_no_network_and_tells_the_commit(
    published: Hub, mritk, fast_protocol, tmp_path, monkeypatch
) -> None:
    fetched = mritk("fetch", *NAMES)
    assert fetched.code == 0, fetched.err
    assert "60 samples of 20 patients" in fetched.out
    published.stop()

    command = ["run", *NAMES, "--protocol", str(fast_protocol), "--seeds", "1", "--offline"]
    command += ["-o", str(tmp_path / "results"), "--device", "cpu", "--json"]
    monkeypatch.setattr("sys.argv", ["mritk", *command])
    ended = mritk(*command)

    assert ended.code == 0, ended.err
    repo = published.models["acme/net"]
    (trial,) = (tmp_path / "results" / "trials").glob("*.h5")
    shown = json.loads(mritk("show", trial, "--json").out)
    assert shown["backbone"] == f"hf:acme/net@{repo.commit[:12]}"
    assert repo.commit in json.dumps(shown), "the whole commit is in the record"
    again = mritk("rerun", trial, "--offline")
    assert again.code == 0, again.err


def test_offline_without_fetching_nothing_is_asked_for(
    published: Hub, mritk, fast_protocol, tmp_path
) -> None:
    for names in (NAMES, ("-b", "small_cnn", *NAMES[2:])):
        ended = mritk("run", *names, "--protocol", fast_protocol, "--offline", "-o", tmp_path / "r")
        assert ended.code == 4
        assert "mritk fetch --" in ended.err
    assert mritk("fetch", *NAMES, "--offline").code == 4
    assert published.requests == []


@pytest.mark.slow
def test_a_name_of_one_kind_is_shown_though_the_hub_has_none_of_the_other(
    published: Hub, mritk, monkeypatch
) -> None:
    commit = published.models["acme/net"].commit
    for offline in ("no", "yes"):
        monkeypatch.setenv("MRITK_OFFLINE", offline)
        shown = json.loads(mritk("show", "hf:acme/net", "--json").out)
        assert list(shown) == ["backbone"]
        assert shown["backbone"]["name"] == f"hf:acme/net@{commit[:12]}"
        for name in ("hf:acme/bands", "hf:acme/bands,patient=patient"):
            shown = json.loads(mritk("show", name, "--json").out)
            assert list(shown) == ["dataset"]
            assert shown["dataset"]["license"] == "cc0-1.0"


def test_a_name_of_no_kind_is_told_of_both(published: Hub, mritk, monkeypatch) -> None:
    ended = mritk("show", "hf:acme/none")
    assert ended.code == 4
    assert "as a backbone: the hub has no public model acme/none" in ended.err
    assert "as a dataset: the hub has no public dataset acme/none" in ended.err
    monkeypatch.setenv("MRITK_OFFLINE", "yes")
    ended = mritk("show", "hf:acme/none,patient=p")
    assert ended.code == 4
    assert "as a backbone: hf: has no option 'patient'" in ended.err
    assert "fetch --dataset hf:acme/none" in ended.err
