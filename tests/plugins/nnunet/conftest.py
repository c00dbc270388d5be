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
