"""Trainings that another process may kill: made from a number, so that they can be made again."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from mritk import (
    Architecture,
    Augmentation,
    Classification,
    InputContract,
    Samples,
    Setup,
    Subset,
    Workspace,
)
from mritk.backbone import Backbone
from mritk.method import SelectionRule
from mritk.protocol.recipe import Head, HiddenLayer, Recipe, Stage
from mritk.train.checkpoint import Checkpoint
from mritk.train.loop import finetune

SIDE, COUNT = 12, 72


def build() -> nn.Module:
    """Convolutions with BatchNorm and a linear layer, which low-rank updates need."""
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.2)),
    )


def noise(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return (images + 0.1 * torch.rand(images.shape, generator=generator)).clamp(0, 1)


def random_stage(rng: np.random.Generator) -> Stage:
    tune = str(rng.choice(["all", "all", "biases", "lora"]))
    return Stage(
        epochs=int(rng.integers(1, 5)),
        train_last=float(rng.choice([0.6, 1.0])) if tune == "lora" else float(rng.random()),
        tune=tune,
        unfreeze_every=0 if tune == "lora" else int(rng.integers(0, 3)),
        batch_norm=str(rng.choice(["train", "frozen"])),
        optimizer=str(rng.choice(["adamw", "adam", "sgd"])),
        learning_rate=float(rng.choice([1e-2, 1e-3])),
        layer_decay=float(rng.choice([1.0, 0.7])),
        schedule=str(rng.choice(["constant", "cosine", "plateau"])),
        warmup=float(rng.choice([0.0, 0.3])),
        plateau_patience=1,
        early_stopping=int(rng.integers(0, 3)),
    )


def random_recipe(rng: np.random.Generator) -> Recipe:
    return Recipe(
        stages=tuple(random_stage(rng) for _ in range(rng.integers(1, 4))),
        batch_size=8,
        head=Head(hidden=(HiddenLayer(8, 0.3),)) if rng.random() < 0.5 else Head(dropout=0.2),
        label_smoothing=float(rng.choice([0.0, 0.1])),
        class_weights=str(rng.choice(["none", "balanced"])),
        gradient_clip=float(rng.choice([0.0, 1.0])),
        mixup=float(rng.choice([0.0, 0.4])),
        cutmix=float(rng.choice([0.0, 1.0])),
        average=float(rng.choice([0.0, 0.9])),
    )


def make_setup(number: int, folder: Path, images: int = 44) -> Setup:
    """Return training ``number`` on so many images; the number decides on all the rest."""
    rng = np.random.default_rng(number)
    targets = np.arange(COUNT) % 2
    pixels = rng.integers(0, 120, (COUNT, SIDE, SIDE)).astype(np.uint8)
    for image, target in zip(pixels, targets, strict=True):
        image[6 * target : 6 * target + 6] += 60
    task, workspace = Classification(("top", "bottom")), Workspace(folder / "home")
    samples = Samples([f"s{i:02d}" for i in range(COUNT)], targets, task, lambda i: pixels[i])
    half = (0.5, 0.5, 0.5)
    history: list = []
    # One at every step, or at the ends of epochs alone.
    every = float(rng.choice([0.0, 1e9]))
    identity = {"trial": str(number)}
    return Setup(
        parameters=random_recipe(rng),
        task=task,
        train=Subset.of(samples, np.arange(images), workspace),
        val=Subset.of(samples, np.arange(44, 60), workspace),
        augmentation=Augmentation("noise", noise),
        seed=number,
        workspace=workspace,
        backbone=Backbone(Architecture("small", build, InputContract(SIDE, half, half))),
        image_size=SIDE,
        selection=SelectionRule(str(rng.choice(["val", "last"]))),
        checkpoint=Checkpoint(folder / "trial.ckpt", identity, history, every),
        on_epoch=history.append,
    )


def outcome(setup: Setup) -> dict:
    """Train, or go on, and return all that a trial file would keep, times left out."""
    fitted = finetune(setup)
    timeless = [{**asdict(epoch), "seconds": 0.0} for epoch in setup.checkpoint.history]
    notes = {**fitted.notes, "images_per_second": 0.0}
    scores = [fitted.predict(part).tobytes().hex() for part in (setup.train, setup.val)]
    return {"scores": scores, "history": timeless, "notes": notes}


def train(number: int, folder: Path) -> None:
    """Write the outcome of training ``number`` into ``folder``."""
    torch.set_num_threads(1)
    content = json.dumps(outcome(make_setup(number, folder)), sort_keys=True)
    temporary = folder / "outcome.tmp"
    temporary.write_text(content)
    temporary.replace(folder / "outcome.json")
