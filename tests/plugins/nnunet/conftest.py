"""An environment with programs of nnU-Net's names, which read its folders and write its files."""

from __future__ import annotations

import sys

import pytest

# Each refuses what nnU-Net itself would miss.
SHARED = """#!PYTHON
import json
import os
import sys
import time
from pathlib import Path

import nibabel
import numpy as np

raw, preprocessed, results = (
    Path(os.environ[f"nnUNet_{name}"]) for name in ("raw", "preprocessed", "results")
)
words = sys.argv[1:]


def after(word):
    return words[words.index(word) + 1]


def trained(configuration, fold):
    name = f"{after('-tr')}__{after('-p')}__{configuration}"
    return results / "Dataset001_trial" / name / f"fold_{fold}"


def load(path):
    return np.asarray(nibabel.load(path).dataobj)
"""

PLAN = """
dataset = raw / "Dataset001_trial"
told = json.loads((dataset / "dataset.json").read_text())
names = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())
images = sorted(path.name for path in (dataset / "imagesTr").iterdir())
channels = range(len(told["channel_names"]))
assert len(names) == told["numTraining"]
assert images == [f"{name}_{n:04d}.nii.gz" for name in names for n in channels]
first = nibabel.load(dataset / "labelsTr" / f"{names[0]}.nii.gz")
folder = preprocessed / "Dataset001_trial"
folder.mkdir(parents=True)
plan = {
    "batch_size": 2,
    "spacing": [float(step) for step in first.header.get_zooms()],
    "patch_size": list(first.shape),
    "architecture": {"arch_kwargs": {"features_per_stage": [32, 64, 128]}},
}
plans = {"configurations": {"3d_fullres": plan}}
(folder / f"{after('-overwrite_plans_name')}.json").write_text(json.dumps(plans))
"""

TRAIN = """
sys.path.insert(0, os.environ["nnUNet_extTrainer"])
text = (Path(os.environ["nnUNet_extTrainer"]) / f"{after('-tr')}.py").read_text()
epochs = int(text.split("self.num_epochs = ")[1].split()[0])
every = int(text.split("self.save_every = ")[1].split()[0])
(split,) = json.loads((preprocessed / "Dataset001_trial" / "splits_final.json").read_text())
folder = trained(words[1], words[2])
folder.mkdir(parents=True, exist_ok=True)
latest, final = folder / "checkpoint_latest.pth", folder / "checkpoint_final.pth"
start = json.loads(latest.read_text())["epoch"] if latest.exists() and "--c" in words else 0
dataset = raw / "Dataset001_trial"


def say(*what):
    print(f"2026-11-28 08:39:25.618685:", *what, flush=True)


def within(name):
    labels = load(dataset / "labelsTr" / f"{name}.nii.gz")
    return load(dataset / "imagesTr" / f"{name}_0000.nii.gz")[labels > 0]


bright = [within(name) for name in split["train"]]
for epoch in range(start, epochs):
    say()
    say(f"Epoch {epoch}")
    say("Current learning rate: 0.01")
    time.sleep(float(os.environ.get("OMP_SLEEP", "0")))
    say(f"train_loss {1 / (epoch + 1):.4f}")
    say("val_loss 0.5")
    say("Pseudo dice [np.float32(0.25), np.float32(nan)]")
    say("Epoch time: 1.25 s")
    if (epoch + 1) % every == 0:
        latest.write_text(json.dumps({"epoch": epoch + 1}))
final.write_text(json.dumps({"level": float(min(part.min() for part in bright if part.size))}))
"""

PREDICT = """
level = json.loads((trained(after("-c"), after("-f")) / after("-chk")).read_text())["level"]
for path in sorted(Path(after("-i")).glob("*_0000.nii.gz")):
    mask = (load(path) >= level).astype(np.uint8)
    image = nibabel.Nifti1Image(mask, nibabel.load(path).affine)
    nibabel.save(image, Path(after("-o")) / path.name.replace("_0000", ""))
"""

PROGRAMS = {
    "nnUNetv2_plan_and_preprocess": PLAN,
    "nnUNetv2_train": TRAIN,
    "nnUNetv2_predict": PREDICT,
}


@pytest.fixture
def environment(fresh_environment):
    """The folder of an environment that has those programs, as nnunetv2 2.8.1."""
    (site,) = (fresh_environment / "lib").glob("python*/site-packages")
    facts = site / "nnunetv2-2.8.1.dist-info" / "METADATA"
    facts.parent.mkdir(exist_ok=True)
    facts.write_text("Metadata-Version: 2.1\nName: nnunetv2\nVersion: 2.8.1\n")
    for name, text in PROGRAMS.items():
        path = fresh_environment / "bin" / name
        path.write_text((SHARED + text).replace("PYTHON", str(fresh_environment / "bin/python")))
        path.chmod(0o755)
    return fresh_environment


@pytest.fixture
def nnunet(environment, monkeypatch):
    """Name that environment to mritk."""
    if sys.platform == "win32":
        pytest.skip("uses programs for POSIX shells")
    monkeypatch.setenv("MRITK_NNUNET", str(environment))
    return environment


SHAPE = (10, 8, 12)


PLUGIN = '''
"""Bright balls with a brighter core, in two channels."""
import numpy as np
from mritk import Dataset, Samples, Segmentation, hookimpl

TASK = Segmentation(("background", "rim", "core"), {"whole": ("rim", "core"), "core": ("core",)})
SHAPE = (10, 8, 12)


def label_map(i):
    rng = np.random.default_rng(i)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1)
    distance = np.sqrt(np.square(grid - [5, 4, 6] - rng.uniform(-1, 1, 3)).sum(axis=-1))
    return ((distance < 3.2).astype(np.uint8) + (distance < 1.7)).astype(np.uint8)


def read(i):
    noise = np.random.default_rng(1000 + i).integers(0, 40, (2, *SHAPE))
    return (noise + [[[[60]]], [[[0]]]] * label_map(i) + 50).astype(np.uint8)


def open_balls(workspace=None):
    ids = [f"ball-{i:02d}" for i in range(30)]
    return Samples(
        ids, np.empty(0), TASK, read, spatial_dims=3, patients=ids, read_target=label_map,
        channels=("t1", "flair"), spacing=np.tile([2.0, 1.0, 1.5], (30, 1)),
    )


@hookimpl
def mritk_datasets():
    yield Dataset("balls", open_balls)
'''


PROTOCOL = """
method = "nnunet"
volume_size = "native"
[selection]
on = "last"
[parameters]
trainer = "nnUNetTrainerNoDA"
epochs = 4
base_features = 8
save_every = 1
"""


@pytest.fixture
def balls():
    namespace: dict = {}
    exec(PLUGIN, namespace)
    return namespace["open_balls"]()


@pytest.fixture
def words(tmp_path, audited_before):
    """The command of a run into ``tmp_path/results``; lines are added to the protocol."""
    (tmp_path / "balls.py").write_text(PLUGIN)
    audited_before(tmp_path / "balls.py", "balls")

    def make(more="", changed=("", "")):
        (tmp_path / "balls.py").write_text(PLUGIN)
        (tmp_path / "own.toml").write_text(PROTOCOL.replace(*changed) + more)
        parts = ("run", "-p", tmp_path / "balls.py", "-d", "balls", "--seeds", 1, "--device", "cpu")
        parts += ("--protocol", tmp_path / "own.toml", "-o", tmp_path / "results")
        return [str(part) for part in parts]

    return make
