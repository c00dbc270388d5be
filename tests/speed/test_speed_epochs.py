"""The commands that time epochs and steps, at a tiny size: their rows, and who takes turns."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.speed import (
    epoch,
    limit,
    peers_epoch,
)
from benchmarks.speed.pictures import write_pictures

SMALL = ("--size", "32", "--batch", "4", "--repeats", "1")


def run(command, file: Path, *arguments: str) -> dict:
    assert command.main([*arguments, "--json", str(file)]) == 0
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["command"] == command.__name__
    return content


@pytest.mark.slow
def test_epoch_compares_with_the_floor_round_by_round(tmp_path, capsys):
    content = run(
        epoch,
        tmp_path / "x.json",
        *("--backbone", "small_cnn", "--size", "32", "--batch", "4"),
        *("--images", "10", "--validation", "6", "--repeats", "3"),
    )
    (row,) = content["rows"]
    assert row["steps"] == 2  # the incomplete third batch is nobody's
    assert {name: len(of) for name, of in row["samples"].items()} == {
        "floor_training": 3,
        "floor_validation": 3,
        "training": 3,
        "epoch": 3,
    }
    for part, whole in zip(row["samples"]["training"], row["samples"]["epoch"], strict=True):
        assert 0 < part["seconds"] < whole["seconds"]
    out = capsys.readouterr().out
    for column in ("floor, s", "training, s", "ratio", "ratio with validation", "goal"):
        assert re.search(rf"\| +{column} +\|", out)


@pytest.mark.slow
def test_epoch_can_keep_checkpoints_as_a_run_does(tmp_path):
    content = run(
        epoch,
        tmp_path / "x.json",
        *("--backbone", "small_cnn", "--images", "4", "--validation", "4", "--checkpoint", *SMALL),
    )
    assert content["options"]["checkpoint"] is True
    assert len(content["rows"]) == 1


@pytest.mark.slow
@pytest.mark.parametrize("workers", ["0", "1"])
def test_peers_epoch_feeds_one_network_from_all_loaders(tmp_path, workers):
    content = run(
        peers_epoch,
        tmp_path / "x.json",
        *("--backbone", "small_cnn", "--images", "10", "--validation", "4", *SMALL),
        *("--workers", workers),
    )
    (row,) = content["rows"]
    assert row["steps"] == 2
    assert set(row["samples"]) == {"floor", "mritk", "torchvision", "timm"}
    assert {len(of) for of in row["samples"].values()} == {1}
    slow, fast = (row["samples"][side][0]["seconds"] for side in ("timm", "mritk"))
    assert row["timm / mritk"] == pytest.approx(slow / fast, abs=0.01)


def test_all_loaders_give_as_many_full_batches(tmp_path):
    write_pictures(tmp_path, {"train": 10}, side=64)
    options = Namespace(batch=4, workers=0)

    class Floor:
        def train_on(self, batches):
            return [tuple(images.shape) for images, _ in batches]

    fed = peers_epoch.fed_by_loaders(Floor(), tmp_path, 32, options, "cpu")
    assert {name: run_epoch() for name, run_epoch in fed.items()} == dict.fromkeys(
        ("torchvision", "timm"), [(4, 3, 32, 32)] * 2
    )


def test_epoch_wants_a_full_batch(capsys):
    with pytest.raises(SystemExit):
        epoch.main(["--images", "8", "--batch", "32"])
    assert "full batch" in capsys.readouterr().err


@pytest.mark.parametrize(("size", "device", "goal"), [(96, "cpu", 1.1), (128, "cpu", 1.05)])
def test_the_goal_of_an_epoch(size, device, goal):
    assert epoch.goal(size, device) == goal


def test_limit_gives_the_share_of_the_matrix_product(tmp_path, capsys):
    content = run(
        limit,
        tmp_path / "x.json",
        *("--backbone", "small_cnn", "--images", "8", "--matrix", "64", *SMALL),
    )
    (row,) = content["rows"]
    (step,), (product,) = row["samples"]["step"], row["samples"]["product"]
    rate = row["step, GFLOP per image"] * 8 / step["seconds"]
    assert row["share"] == pytest.approx(rate / (2 * 64**3 / 1e9 / product["seconds"]), rel=0.02)
    assert "product, GFLOP/s |" in capsys.readouterr().out
