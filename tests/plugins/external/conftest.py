"""Small programs that keep the contract, and protocols that name them."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder

# Named in tests, too: a program takes its class from the nearest of the mean images.
NEAREST_MEAN = '''
"""The class whose mean image is nearest, by the contract of mritk's method external."""
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

step, job = sys.argv[1], json.loads(Path(sys.argv[2]).read_text())
model, output = Path(job["model"]), Path(job["output"])


def pixels(case):
    return np.asarray(Image.open(case["files"]["image"]), float).ravel() / 255


def tell(epoch, **more):
    print("mritk: " + json.dumps({"epoch": epoch, "epochs": 3, **more}), flush=True)


if step == "train":
    cases = [case for case in job["cases"] if case["part"] == "train"]
    done = model / "epoch.txt"
    start = int(done.read_text()) if done.exists() else 0
    for epoch in range(start + 1, 4):
        means = [
            np.mean([pixels(c) for c in cases if c["target"] == name], axis=0)
            for name in job["task"]["classes"]
        ]
        np.save(model / "means.npy", means)
        tell(epoch, train_loss=1 / epoch, val_loss=0.5 + 1 / epoch, extra={"cases": len(cases)})
        new = done.with_suffix(".new")  # ended while it writes, it has the old number or the new
        new.write_text(str(epoch))
        new.replace(done)
else:
    means, found = np.load(model / "means.npy"), {}
    for case in job["cases"]:
        apart = ((means - pixels(case)) ** 2).mean(axis=1)
        weights = np.exp(-job["settings"]["sharpness"] * apart)
        found[case["id"]] = (weights / weights.sum()).tolist()
    (output / "predictions.json").write_text(json.dumps({"probabilities": found}))
'''

PROTOCOL = """
method = "external"
image_size = "native"

[selection]
on = "last"

[parameters]
name = "nearest_mean"
program = ["python", "PROGRAM"]
settings = { sharpness = 50.0 }
"""


@pytest.fixture
def program(tmp_path):
    """The program, as a file in a folder of its own."""
    path = tmp_path / "entrant" / "nearest_mean.py"
    path.parent.mkdir()
    path.write_text(NEAREST_MEAN)
    return path


@pytest.fixture
def protocol(tmp_path, program):
    """A protocol file that trains with the program; further lines are added to its parameters."""

    def write(more="", name="external"):
        path = tmp_path / f"{name}.toml"
        path.write_text(PROTOCOL.replace("PROGRAM", program.as_posix()) + more)
        return path

    return write


@pytest.fixture
def run(mritk, toy, protocol, tmp_path):
    """Train on ``bands`` by the program, into ``tmp_path/results``."""

    def call(*arguments, more=""):
        words = ("run", "-p", toy, "-d", "bands", "--protocol", protocol(more), "--device", "cpu")
        return mritk(*words, "-o", tmp_path / "results", "--seeds", 1, *arguments)

    return call


def stored(folder):
    (record,) = ResultsFolder(folder).trials()
    return record
