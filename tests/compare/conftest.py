"""Trials whose predictions are right as often as asked."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.store.trial_file import Predictions

PATIENTS, IMAGES = 60, 3


@pytest.fixture
def make_trial(make_record):
    """Make a trial that is right on this share of the images, the others drawn by ``draw``."""

    def make(right: float = 0.8, *, draw: int = 0, **columns):
        rng = np.random.default_rng(draw)
        target = np.repeat(np.arange(PATIENTS) % 2, IMAGES)
        predicted = np.where(rng.random(len(target)) < right, target, 1 - target)
        patient = [f"p{number}" for number in np.repeat(np.arange(PATIENTS), IMAGES)]
        names = [f"s{i}" for i in range(len(target))]
        none = [""] * len(target)
        score = 3 * np.eye(2, dtype=np.float32)[predicted]
        test = Predictions(names, patient, none, none, target, score)
        return make_record(predictions={"val": test, "test": test}, **columns)

    return make
