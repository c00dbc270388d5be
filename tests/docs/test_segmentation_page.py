"""The file of docs/segmentation.md, as it stands there: checked, trained and ranked."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mritk.store.folder import ResultsFolder
from tests.test_segmentation import PLUGIN

PAGE = Path(__file__).parents[2] / "docs" / "segmentation.md"


@pytest.fixture
def unet(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / code.splitlines()[0].removeprefix("# ")
    path.write_text(code)
    return path


def test_the_plugin_keeps_its_promises(mritk, unet):
    ended = mritk("plugins", "check", "-p", unet, "unet")
    assert ended.code == 0, ended.out
    assert " 0 failed" in ended.out


@pytest.mark.slow
def test_the_network_learns_balls_and_beats_a_threshold(mritk, unet, tmp_path):
    (tmp_path / "balls.py").write_text(PLUGIN)
    results = tmp_path / "results"
    asked = ["run", "-p", unet, "-p", tmp_path / "balls.py", "-d", "balls", "--seeds", 1]
    small = ["--vary", "volume_size=16", "-o", results]
    for protocol in (["brightest"], ["unet3d", "--vary", "parameters.epochs=25"]):
        ended = mritk(*asked, "--protocol", *protocol, *small)
        assert ended.code == 0, ended.err
    trained = {record.method: record for record in ResultsFolder(results).trials()}
    losses = [epoch.train_loss for epoch in trained["unet3d"].history]
    assert losses[-1] < losses[0] / 2
    (table,) = json.loads(mritk("leaderboard", results, "--json").out)["tables"]
    best, worst = table["rows"]
    assert (best["method"], worst["method"]) == ("unet3d", "brightest")
    for region in ("whole", "core"):
        dice = best["metrics"][f"dice[{region}]"]
        assert dice["mean"] > 0.7
        assert dice["interval"]["low"] < dice["mean"]
    assert trained["brightest"].notes["channel"] == 0


def test_the_network_gives_every_voxel_a_score_of_every_label(unet):
    import torch

    page: dict = {}
    exec(unet.read_text(), page)
    network = page["build"](2, 3, 4)
    volume = torch.randn(1, 2, 8, 12, 16)
    logits = network(volume)
    assert logits.shape == (1, 3, 8, 12, 16)
    perfect = torch.zeros(1, 3, 8, 12, 16)
    masks = torch.randint(0, 3, (1, 8, 12, 16))
    perfect.scatter_(1, masks[:, None], 30.0)
    assert page["loss_of"](perfect, masks) < 1e-4 < page["loss_of"](logits, masks)
