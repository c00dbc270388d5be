"""Trials of several rows on the same samples, and what ``mritk differences`` says of them."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from mritk import Classification
from mritk.method import Epoch
from mritk.store.trial_file import Predictions, TrialRecord

PATIENTS = 80


def made_trial(backbone, right, *, draw=0, images=1, classes=2, patients=True, **columns):
    """Make a trial that scores this share of its images right."""
    rng = np.random.default_rng([draw, round(1000 * right)])
    target = np.repeat(np.arange(PATIENTS) % classes, images)
    hit = rng.random(len(target)) < right
    predicted = np.where(hit, target, (target + 1) % classes)
    score = 2 * np.eye(classes)[predicted] + 0.5 * rng.normal(size=(len(target), classes))
    owner = [f"p{number}" for number in np.repeat(np.arange(PATIENTS), images)]
    none = [""] * len(target)
    fold = columns.get("fold", 0)
    test = Predictions(
        [f"s{fold}-{number}" for number in range(len(target))],
        [f"{fold}-{name}" for name in owner] if patients else none,
        none,
        none,
        target,
        score.astype(np.float32),
    )
    return record_of(test, backbone, Classification(tuple("abcdef"[:classes])), **columns)


def record_of(test, backbone, task, **columns):
    known = {
        "dataset": "bands",
        "dataset_fingerprint": "d" * 64,
        "protocol": "fast",
        "fingerprint": "f" * 64,
        "protocol_json": "{}",
        "scheme": "holdout",
        "folds": 1,
        "fold": 0,
        "seed": 0,
        **columns,
    }
    name = "-".join(str(known[key]) for key in ("dataset", "fold", "seed"))
    parts = {"train": ["t"] * 3 * len(test.id), "val": ["v"] * len(test.id), "test": test.id}
    return TrialRecord(
        id=hashlib.sha256(f"{backbone}-{name}".encode()).hexdigest()[:20],
        backbone=backbone,
        augmentation="none",
        method="finetune",
        task=task,
        grouped=any(test.patient),
        status="finished",
        splits=parts,
        history=[Epoch(1, 2, "head", 1e-3, 0.7, 0.6, -0.6, 1.5)],
        predictions={"val": test, "test": test},
        **known,
    )


# The rows have one run each.
GIVEN = "--given-these-models"


def as_json(mritk, *arguments):
    ended = mritk("differences", *arguments, GIVEN, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)["tables"]


def folds(backbone, shares, *, seed=0, **columns):
    return [
        made_trial(backbone, right, fold=fold, seed=seed, folds=len(shares), draw=seed, **columns)
        for fold, right in enumerate(shares)
    ]
