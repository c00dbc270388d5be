"""What the maps of a trial are worth: means over cases with intervals, beside their controls.

Cases of one patient are resampled as one, as everywhere. Differences are paired by case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mritk.evaluate.comparison import Comparison, Verdict
from mritk.evaluate.evidence import Evidence
from mritk.evaluate.interval import Interval
from mritk.evaluate.map_metrics import LOCATED, MAP_METRICS
from mritk.evaluate.metric import Metric
from mritk.evaluate.run_values import Scored
from mritk.results.columns import KEEP_METRIC, interval_text
from mritk.results.interval_data import score_data
from mritk.store.explanations import RANDOM_PLACES, RANDOM_WEIGHTS, Explanations
from mritk.text.numbers import decimals, or_null, p_text
from mritk.text.text_table import Column

SIMILARITY = "similarity"
# IoU says what Dice says; it is in the files and in JSON.
SHOWN = ("pointing", "dice", "deletion", "insertion", "kept", "removed")


@dataclass(frozen=True)
class MapScore:
    """One mean over cases."""

    value: float
    interval: Interval

    @property
    def text(self) -> str:
        """The mean, with its interval where there is one."""
        if math.isnan(self.value):
            return "–"
        ends = "" if self.interval.reason else f" {interval_text(self.interval)}"
        return f"{decimals(self.value)}{ends}"

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return score_data(self.value, self.interval)


@dataclass(frozen=True, eq=False)
class ExplanationTable:
    """The rows of a trial's explanations.

    Attributes:
        found: The explanations.
    """

    found: Explanations

    @property
    def rows(self) -> tuple[str, ...]:
        """Every explainer, each before its control, and random places last."""
        pairs = [(name, name + RANDOM_WEIGHTS) for name in self.found.explainers]
        return (*(row for pair in pairs for row in pair), RANDOM_PLACES)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that have values; the first one is where maps are compared first."""
        some = self.found.located.any()
        names = (name for name in MAP_METRICS if name != SIMILARITY)
        return tuple(MAP_METRICS[name] for name in names if some or name not in LOCATED)

    def score(self, row: str, metric: Metric) -> MapScore:
        """Return the mean over cases of one row."""
        evidence = self._evidence(metric)
        value = evidence.trials[row][0][metric.name].point
        return MapScore(value, evidence.interval(row, metric))

    def similarity(self, explainer: str) -> MapScore:
        """Return how alike maps are to those of random weights (Spearman's rank correlation)."""
        return self.score(explainer, MAP_METRICS[SIMILARITY])

    def difference(self, explainer: str, control: str, metric: Metric) -> Comparison:
        """Return how much better a map is than its control, paired by case."""
        (found,) = self._evidence(metric).compare([(explainer, control)], metric)
        return found

    def depends_on_training(self, explainer: str) -> bool | None:
        """Return whether maps are significantly better than with random weights.

        By the first metric; None where the difference cannot be tested.
        """
        found = self.difference(explainer, explainer + RANDOM_WEIGHTS, self.metrics[0])
        return found.verdict is Verdict.BETTER if found.tested else None

    def _evidence(self, metric: Metric) -> Evidence:
        return self._located if metric.name in LOCATED else self._all

    @cached_property
    def _located(self) -> Evidence:
        return self._scored([MAP_METRICS[name] for name in LOCATED], self.found.located)

    @cached_property
    def _all(self) -> Evidence:
        metrics = [metric for name, metric in MAP_METRICS.items() if name not in LOCATED]
        return self._scored(metrics, np.ones(len(self.found.id), dtype=bool))

    def _scored(self, metrics: Sequence[Metric], cases: np.ndarray) -> Evidence:
        target = self.found.target[cases]
        unit = [name for name, used in zip(self.found.unit, cases, strict=True) if used]
        scored = {
            row: [Scored((0, 0), 0, target, self.found.scores[row][cases], unit)]
            for row in self.rows
        }
        return Evidence(scored, metrics, given_these_models=True)

    def columns(self) -> list[Column]:
        """Return the table for a person."""
        shown = [metric for metric in self.metrics if metric.name in SHOWN]
        control = f"  {RANDOM_WEIGHTS.removeprefix(', ')}"
        names = [control if row.endswith(RANDOM_WEIGHTS) else row for row in self.rows]
        return [
            Column("map", names),
            *(
                Column(
                    f"{metric.label} {metric.arrow}",
                    [self.score(row, metric).text for row in self.rows],
                    KEEP_METRIC - number if number else math.inf,
                )
                for number, metric in enumerate(shown)
            ),
        ]

    def sentences(self) -> list[str]:
        """Return what a person must know of each explainer, and of the numbers."""
        lines = [self._sentence(explainer) for explainer in self.found.explainers]
        reasons = {
            score.interval.reason
            for row in self.rows
            for metric in self.metrics
            if not math.isnan((score := self.score(row, metric)).value) and score.interval.reason
        }
        return [*lines, *(f"Without an interval: {reason}." for reason in sorted(reasons))]

    def _sentence(self, explainer: str) -> str:
        metric, told = self.metrics[0], []
        for control in (RANDOM_PLACES, explainer + RANDOM_WEIGHTS):
            name = control.rpartition(", ")[2]
            found = self.difference(explainer, control, metric)
            ends = f"(p {p_text(found.p)})" if found.tested else "(not tested)"
            if not found.interval.reason:
                ends = interval_text(found.interval)
            told.append(f"{found.difference:+.3f} {ends} against {name}")
        text = f"{explainer}: {metric.label} {', '.join(told)}"
        like = self.similarity(explainer).text
        text += f"; rank correlation with the maps of random weights {like}."
        if self.depends_on_training(explainer) is False:
            text += " These maps are not shown to depend on training."
        return text

    def as_data(self) -> dict[str, Any]:
        """Return rows and differences as plain data."""
        return {
            "rows": {
                row: {m.name: self.score(row, m).as_data() for m in self.metrics}
                for row in self.rows
            },
            "similarity": {name: self.similarity(name).as_data() for name in self.found.explainers},
            "differences": [
                {
                    "explainer": name,
                    "control": control.rpartition(", ")[2],
                    "metric": metric.name,
                    **score_data(found.difference, found.interval),
                    "p": or_null(found.p),
                }
                for name in self.found.explainers
                for control in (RANDOM_PLACES, name + RANDOM_WEIGHTS)
                for metric in self.metrics
                for found in [self.difference(name, control, metric)]
            ],
            "depends_on_training": {
                name: self.depends_on_training(name) for name in self.found.explainers
            },
        }
