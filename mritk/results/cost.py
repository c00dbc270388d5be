"""What a row of a table costs: from the trial files, absent where they do not tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

HOUR = 3600


@dataclass(frozen=True)
class CostColumn:
    """A column about cost.

    Attributes:
        name: Name on the command line, and in CSV and JSON.
        label: Heading in tables, with the unit.
        key: Name in the trial file's cost.
        total: Whether the trials of a row are added up; else they are averaged.
        scale: What a stored value is divided by.
        higher_is_better: Direction.
        whole: Whether it is known only if the whole training was measured at once.
    """

    name: str
    label: str
    key: str
    total: bool = False
    scale: float = 1.0
    higher_is_better: bool = False
    whole: bool = False

    @property
    def arrow(self) -> str:
        """The direction of better values."""
        return "↑" if self.higher_is_better else "↓"

    def text(self, value: float) -> str:
        """Return a value as tables show it, with three digits."""
        if math.isnan(value):
            return "–"
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


COLUMNS = (
    CostColumn("parameters", "parameters (M)", "parameters", scale=1e6),
    CostColumn("trained", "trained (M)", "trained_parameters", scale=1e6),
    CostColumn("flops", "GFLOPs / image", "flops", scale=1e9),
    CostColumn("latency", "latency (ms)", "latency_seconds", scale=1e-3),
    CostColumn("train_speed", "training images/s", "images_per_second", higher_is_better=True),
    CostColumn("speed", "prediction images/s", "predict_images_per_second", higher_is_better=True),
    CostColumn("hours", "hours", "seconds", total=True, scale=HOUR, whole=True),
    CostColumn("gpu_hours", "GPU hours", "gpu_seconds", total=True, scale=HOUR, whole=True),
    CostColumn("energy", "energy (kJ)", "energy_joules", total=True, scale=1e3, whole=True),
    CostColumn(
        "memory", "device memory (GiB)", "peak_device_memory_bytes", scale=2**30, whole=True
    ),
)
# In the cost of a trial that was trained in several goes, of which the last was measured.
RESUMED = "resumed_after_epochs"
OF_THE_WHOLE = {column.key for column in COLUMNS if column.whole}
# Of models that are used together: what is added up, beside the seconds of each phase; speeds, of
# which each image has all; of the rest, peaks are those of the largest, one after another.
ADDED_UP = (
    "parameters", "trained_parameters", "flops", "latency_seconds",
    "replayed_latency_seconds", "gpu_seconds", "predict_seconds", "energy_joules",
)  # fmt: skip
SPEEDS = ("images_per_second", "predict_images_per_second")


def cost_together(models: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return what an ensemble costs, in the form in which trial files keep it.

    What is not known of some model is left out, and so is what cannot be told of several.

    Args:
        models: What is stored of each of its models.
    """
    found = {RESUMED: 0.0} if any(RESUMED in model for model in models) else {}
    for key in models[0]:
        values = [model.get(key, math.nan) for model in models]
        if not all(map(math.isfinite, values)):
            continue
        if key in ADDED_UP or key.startswith("seconds_"):
            found[key] = sum(values)
        elif key in SPEEDS and all(value > 0 for value in values):
            found[key] = 1 / sum(1 / value for value in values)
        elif key.startswith("peak_"):
            found[key] = max(values)
    return found


def cost_of(trials: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the costs of the finished trials of a row, by name of column.

    A column is there only if every trial tells it: sums and means over some of the trials would
    look like those over all.

    Args:
        trials: What is stored of each (:attr:`mritk.results.trial_facts.TrialFacts.cost`).
    """
    costs: dict[str, float] = {}
    for column in COLUMNS:
        values = [stored_cost(cost, column.key) for cost in trials]
        if values and all(map(math.isfinite, values)):
            combine: Callable[..., float] = np.sum if column.total else np.mean
            costs[column.name] = float(combine(values)) / column.scale
    return costs


def stored_cost(cost: Mapping[str, float], key: str) -> float:
    """Return one of the costs of a trial, ``seconds`` of all its phases; NaN where unknown.

    Of a trial that was resumed, what its earlier goes took is unknown.
    """
    if RESUMED in cost and key in OF_THE_WHOLE:
        return math.nan
    if key == "seconds":  # phases are stored apart
        phases = [value for name, value in cost.items() if name.startswith("seconds_")]
        return sum(phases) if phases else math.nan
    return cost.get(key, math.nan)
