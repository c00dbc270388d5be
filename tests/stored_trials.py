"""Fixtures of stored trials: made, turned into earlier schemas, damaged."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from mritk import Classification
from mritk.method import Epoch
from mritk.store.content import Content
from mritk.store.trial_file import Failure, Predictions, TrialRecord, read_trial
from tests.earlier_schema import write_earlier


@pytest.fixture
def as_schema() -> Callable[..., None]:
    """Turn a trial file into one of an earlier schema, which has no seal of its bytes.

    ``change`` is called with the open file before its content is sealed, if it is; from schema 3
    on.
    """

    def turn(path: Path, schema: int, change=lambda file: None, *, seal: bool = True) -> None:
        record = read_trial(path)
        with h5py.File(path, "w") as new:
            write_earlier(record, new, schema)
            change(new)
            if schema >= 3 and seal:
                new.attrs["digest"] = Content(new).digest()

    return turn


@pytest.fixture(scope="session")
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


@pytest.fixture
def mutated() -> Callable[[bytes, int, random.Random], bytes]:
    """Damage the content of a file in one of five ways, by number, as a draw says.

    A bit is flipped, a block of 512 bytes lost, two swapped, the end cut off, or bytes added.
    """

    def mutate(whole: bytes, kind: int, draw: random.Random) -> bytes:
        content, size = bytearray(whole), len(whole)
        first, second = (512 * draw.randrange(max(1, size // 512)) for _ in range(2))
        if kind == 0:
            content[draw.randrange(size)] ^= 1 << draw.randrange(8)
        elif kind == 1:
            content[first : first + 512] = bytes(len(content[first : first + 512]))
        elif kind == 2:
            one, other = whole[first : first + 512], whole[second : second + 512]
            content[first : first + 512], content[second : second + 512] = other, one
        elif kind == 3:
            del content[draw.choice([draw.randrange(size), size - draw.randrange(1, 200)]) :]
        else:
            content += draw.randbytes(draw.randrange(1, 600))
        return bytes(content)

    return mutate
