"""Intervals, ties and differences of one table: computed, and kept with what they rest on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mritk.evaluate.comparison import Comparison
from mritk.evaluate.evidence import ties
from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Metric
from mritk.evaluate.run_values import Scored
from mritk.results.analysis import Analysis
from mritk.results.kept_tables import KeptTables, kept_or_made, table_key
from mritk.results.table import Row
from mritk.results.table_trial import TableTrial, scores_of


@dataclass(frozen=True)
class TableEvidence:
    """What can be said about the rows of a table beyond their means.

    Attributes:
        intervals: By row and metric.
        clean: By row: of the first metric, on clean samples.
        ties: By row: letters.
        comparisons: By metric: the differences of all pairs of rows.
        detectable: See :class:`mritk.results.table.Table`.
    """

    intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    clean: Mapping[str, Interval] = field(default_factory=dict)
    ties: Mapping[str, str] = field(default_factory=dict)
    comparisons: Mapping[str, Sequence[Comparison]] = field(default_factory=dict)
    detectable: float = math.nan

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        scores: Mapping[str, Sequence[Scored]],
        clean_scores: Mapping[str, Sequence[Scored]],
        metrics: Sequence[Metric],
        analysis: Analysis,
    ) -> TableEvidence:
        """Compute it from what is evaluated of the trials of each row, and of clean samples.

        The rows come best first, and so does the metric that sorts.
        """
        present = {row.name: scores[row.name] for row in rows if scores[row.name]}
        if not present:
            return cls()
        first = metrics[0]
        derived = [row.name for row in rows if row.derived]
        evidence = analysis.evidence(present, metrics, derived=derived)
        compared = {metric.name: evidence.all_pairs(metric) for metric in metrics}
        ranked = [
            row.name
            for row in rows
            if row.ranked and row.name in present and row.cells[first.name].defined
        ]
        # Rows that differ in their clean samples cannot be resampled together.
        clean = {
            name: analysis.evidence({name: found}, [first], partial=True)
            for name, found in clean_scores.items()
            if found and all(len(scored.target) for scored in found)
        }
        return cls(
            {name: {m.name: evidence.interval(name, m) for m in metrics} for name in present},
            {name: alone.interval(name, first) for name, alone in clean.items()},
            ties(ranked, compared[first.name]),
            compared,
            evidence.detectable(compared[first.name]),
        )

    def told(self, row: Row, first: str) -> Row:
        """Return a row with its intervals and letters; ``first`` is the metric that sorts."""
        if row.name not in self.intervals:
            return row
        intervals = self.intervals[row.name]
        cells = {name: replace(cell, interval=intervals[name]) for name, cell in row.cells.items()}
        cleaned = dict(row.clean_cells)
        if row.name in self.clean and cleaned[first].defined:
            cleaned[first] = replace(cleaned[first], interval=self.clean[row.name])
        return replace(row, cells=cells, clean_cells=cleaned, tie=self.ties.get(row.name, ""))

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> TableEvidence:
        """Return that of which ``asdict`` made plain data."""
        return cls(
            {
                row: {name: Interval(**interval) for name, interval in found.items()}
                for row, found in data["intervals"].items()
            },
            {row: Interval(**interval) for row, interval in data["clean"].items()},
            data["ties"],
            {
                name: [Comparison(**{**c, "interval": Interval(**c["interval"])}) for c in found]
                for name, found in data["comparisons"].items()
            },
            data["detectable"],
        )


def evidence_of(
    rows: Sequence[Row],
    finished: Mapping[str, Sequence[TableTrial]],
    metrics: Sequence[Metric],
    analysis: Analysis,
    kept: KeptTables | None,
) -> TableEvidence:
    """Return intervals and differences: kept ones, if all that they rest on is the same.

    The rows come best first, with the trials of each that are evaluated; the first metric sorts.
    """
    in_order = {row.name: finished[row.name] for row in rows}

    def make() -> TableEvidence:
        scores: dict[str, list[Scored]] = {}
        clean: dict[str, list[Scored]] = {}
        for name, trials in in_order.items():
            scores[name], clean[name] = scores_of(trials, analysis)
        return TableEvidence.of(rows, scores, clean, metrics, analysis)

    return kept_or_made(
        kept,
        table_key("evidence", in_order, metrics, analysis),
        make,
        as_data=asdict,
        from_data=TableEvidence.from_data,
    )
