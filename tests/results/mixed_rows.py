"""Trials of backbones of different skill, and their table with ensembles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions
from mritk.tasks.classification import Classification

SEEDS = 4
SKILL = {"strong": 1.6, "weak": 0.9, "lost": 0.0}
QUICK = Analysis(resamples=200)


def part(name: str, targets: np.ndarray, score: np.ndarray) -> Predictions:
    ids = [f"{name}{i}" for i in range(len(targets))]
    return Predictions(ids, ids, [""] * len(ids), [""] * len(ids), targets, score)


def trials(make_record, seeds: int = SEEDS, names=("strong", "weak", "lost"), **changes):
    """Return trials of backbones of different skill, each with errors of its own."""
    targets = {"val": np.arange(60) % 3, "test": np.arange(90) % 3}
    found = []
    for number, name in enumerate(names):
        for seed in range(seeds):
            draw = np.random.default_rng([number, seed])
            predictions = {
                which: part(
                    which,
                    target,
                    (SKILL[name] * np.eye(3)[target] + draw.normal(0, 1, (len(target), 3))).astype(
                        np.float32
                    ),
                )
                for which, target in targets.items()
            }
            cost = {
                "seconds_fit": 3600.0, "parameters": 2e6, "peak_device_memory_bytes": 2.0**30,
                "predict_images_per_second": 100.0,
            }  # fmt: skip
            found.append(
                make_record(
                    task=Classification(("a", "b", "c")),
                    id=f"{name}{seed}", backbone=name, seed=seed, predictions=predictions,
                    cost=cost, **changes,
                )
            )  # fmt: skip
    return found


def table_of(records, *kinds, **choices):
    analysis = replace(QUICK, ensembles=kinds, **choices)
    (table,) = build_leaderboard(records, analysis=analysis).tables
    return table


def row_of(table, name):
    return next(row for row in table.rows if row.name == name)
