"""A results folder with names that try to break out of a page."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np
import pytest

from mritk import Classification
from mritk.method import Epoch
from mritk.report.page import render
from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Failure, Predictions, TrialRecord

EVIL = "<script>window.hacked = 1</script>"
NAMES = ('"><img src=x onerror="window.hacked = 2">', "$x^2$ {{ 7 * 7 }} & </svg>", "plain@scratch")
# Figures draw what a table holds, however many resamples it took.
FEW = Analysis(resamples=100)
CLASSES = (EVIL, "b", "$\\frac{1}{2}$")
MADE = datetime(2026, 11, 27, 12, 30, tzinfo=timezone.utc)


@pytest.fixture(scope="session")
def make_trial(make_record):
    """Make a finished trial of 30 patients, each with 3 images, that is right this often."""

    def make(right: float, *, backbone: str, seed: int = 0, **columns) -> TrialRecord:
        rng = np.random.default_rng([seed, int(1000 * right)])
        target = np.repeat(np.arange(30) % 3, 3)
        predicted = np.where(rng.random(90) < right, target, (target + 1) % 3)
        score = rng.normal(size=(90, 3)).astype(np.float32)
        score[np.arange(90), predicted] += 3
        none = [""] * 90
        test = Predictions(
            [f"{EVIL} {i}" if i == 0 else f"image {i}" for i in range(90)],
            [f"p{i // 3}" for i in range(90)],
            *(none, none, target, score),
        )
        history = [
            Epoch(n, 4, "head" if n < 3 else "all", 1e-3, 1 / n, 1.5 / n, -1.5 / n, 1.0)
            for n in range(1, 5)
        ]
        finding = {"level": "defect", "kind": "labels", "text": f"labels {EVIL}", "count": 1}
        return make_record(
            backbone=backbone,
            seed=seed,
            id=f"{abs(hash((backbone, seed))):x}"[:12],
            task=Classification(CLASSES),
            predictions={"val": test, "test": test},
            history=history,
            audit={
                "split": "x",
                "copies": "drop",
                "clean": 90,
                "test": 90,
                "dropped": 0,
                "clusters": 0,
                "shared_with_validation": 0,
                "audited": True,
                "pretraining": [],
                "findings": [finding | {"items": [f"one {EVIL}"]}],
            },
            cost={"parameters": 1e6 * (1 + len(backbone)), "seconds_fit": 10.0},
            notes={"selected_epoch": 4, "changed_tensors": [f"tensor {n}" for n in range(300)]},
            provenance={"mritk": "1.0", "started": f"2026-11-2{seed}T10:00:00+00:00"},
            **columns,
        )

    return make


@pytest.fixture(scope="session")
def records(make_trial):
    """Three backbones, two seeds each; the third one is clearly worse."""
    rights = (0.9, 0.85, 0.4)
    return [
        make_trial(right, backbone=name, seed=seed)
        for name, right in zip(NAMES, rights, strict=True)
        for seed in (0, 1)
    ]


@pytest.fixture(scope="session")
def table(records):
    """Their table."""
    return build_leaderboard(records, analysis=FEW).tables[0]


@pytest.fixture(scope="session")
def failed(make_record):
    """A failed trial beside them."""
    record = make_record(id="failed", backbone="broken", status="failed")
    record.failure = Failure("ValueError", EVIL, f"Traceback\n{EVIL}", 1)
    return record


@pytest.fixture
def results(records, failed, tmp_path):
    """Their results folder."""
    folder = ResultsFolder(tmp_path / "results")
    for record in [*records, failed]:
        folder.write(record)
    return folder.path


@pytest.fixture(scope="session")
def board(records, failed):
    """The leaderboard."""
    return build_leaderboard([*records, failed], analysis=Analysis(resamples=200))


@pytest.fixture(scope="session")
def page(board, failed):
    """The report's text."""
    return render(board, [failed], {}, [], MADE)
