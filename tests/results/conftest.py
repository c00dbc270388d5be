"""Trial records made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from mritk import Classification
from mritk.results.trialfile import Failure, Predictions, TrialRecord
from mritk.train.setup import Epoch


@pytest.fixture
def make_record() -> Callable[..., TrialRecord]:
    """Make a finished trial that predicts these classes for test targets 0, 0, 1, 1."""

    def predictions(predicted: Sequence[int], targets: Sequence[int], patients: bool):
        count = len(targets)
        return Predictions(
            id=[f"s{i}" for i in range(count)],
            patient=[f"p{i // 2}" if patients else "" for i in range(count)],
            site=["left", "right"] * (count // 2),
            source=[""] * count,
            target=np.asarray(targets),
            score=np.eye(2, dtype=np.float32)[list(predicted)],
        )

    def make(
        predicted: Sequence[int] = (0, 0, 1, 1), *, patients: bool = True, **changes
    ) -> TrialRecord:
        key = json.dumps([str(value) for value in changes.values()])
        columns = {
            "id": "".join(c for c in key if c.isalnum())[-40:] or "trial",
            "dataset": "bands",
            "dataset_fingerprint": "d" * 64,
            "backbone": "tiny@scratch",
            "augmentation": "none",
            "method": "finetune",
            "protocol": "fast",
            "fingerprint": "f" * 64,
            "protocol_json": '{"image_size":32,"parameters":{"batch_size":16}}',
            "scheme": "holdout",
            "folds": 1,
            "fold": 0,
            "seed": 0,
            "task": Classification(("a", "b")),
            "grouped": patients,
            "status": "finished",
            "splits": {"train": ["s8", "s9"], "val": ["s4"], "test": ["s0", "s1", "s2", "s3"]},
            "skipped": [],
            "history": [Epoch(1, 2, "head", 1e-3, 0.7, 0.6, -0.6, 1.5)],
            "predictions": {
                "val": predictions((0, 1), (0, 1), patients),
                "test": predictions(predicted, (0, 0, 1, 1), patients),
            },
            "notes": {"selected_epoch": 1},
            "provenance": {"mritk": "1.0", "plugins": {"dataset": "toy"}},
            "cost": {"seconds_fit": 2.5},
        }
        if changes.get("status") == "failed":
            columns["predictions"] = {}
            columns["failure"] = Failure("RuntimeError", "planted", "Traceback …", 1)
        return TrialRecord(**{**columns, **changes})

    return make
