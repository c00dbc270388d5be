"""The parts of a leaderboard: tables of rows of cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mritk.errors import ExitCode, UsageError
from mritk.evaluate.comparison import Comparison
from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import no_metrics
from mritk.files.user_path import as_typed
from mritk.protocol.stored import StoredProtocol
from mritk.results.analysis import Analysis
from mritk.results.clean_support import CleanSupport
from mritk.results.group_table import GroupTable
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialRecord
from mritk.tasks.task import Task


def row_name(backbone: str, augmentation: str) -> str:
    """Return the name of a row: its backbone, and its augmentation if it has one."""
    return backbone if augmentation == "none" else f"{backbone} + {augmentation}"


@dataclass(frozen=True)
class Cell:
    """A metric over the trials of a row.

    Attributes:
        values: One value per finished trial; NaN where undefined.
        reason: Why a value is undefined, or empty.
        withheld: In a few words, for the cell: why a value that exists is not shown; or empty.
        interval: Of the mean, over patients and runs; None if none was asked for.
        over_runs: The mean over runs, where it is not that of the values: some fold lacks a class
            (:mod:`mritk.evaluate.over_folds`), or some trial a case that has a value.
    """

    values: tuple[float, ...]
    reason: str = ""
    interval: Interval | None = None
    over_runs: float | None = None
    withheld: str = ""

    @property
    def mean(self) -> float:
        """Mean over the runs; NaN without any."""
        if self.over_runs is not None:
            return self.over_runs
        return float(np.mean(self.values)) if self.values else math.nan

    @property
    def defined(self) -> bool:
        """Whether the mean is a number."""
        return not math.isnan(self.mean)

    @property
    def ends(self) -> Interval | None:
        """The interval, if there is one."""
        return None if self.interval is None or self.interval.reason else self.interval

    @property
    def spread(self) -> float:
        """Standard deviation over the trials (n - 1), that is, what retraining (and another fold)
        changes; NaN for fewer than two, and without a mean."""
        values = np.asarray(self.values if self.defined else ())
        if self.over_runs is not None:
            values = values[np.isfinite(values)]
        return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class Row:
    """One backbone with one augmentation, trained by one recipe.

    Attributes:
        keys: Its backbone, augmentation, method, protocol and the protocol's fingerprint.
        name: Its backbone; with its augmentation and its protocol where rows of the table differ
            in that.
        cells: By name of metric.
        clean_cells: The same on the test samples without a copy in training; empty where all are.
        marks: Signs that stand behind each of its numbers (:mod:`mritk.results.footnotes`).
        seeds: Seeds of its finished trials.
        folds: Folds of its finished trials.
        failed: Number of failed trials.
        tie: Letters; rows that share one do not differ significantly in the metric that sorts.
            Empty where nothing was resampled.
        cost: What its trials cost (:data:`mritk.results.cost.COLUMNS`); absent where unknown.
        protocol: Its recipe.
        derived: Whether it is made of other rows (:mod:`mritk.results.ensembles`).
        ranked: Whether it has a rank (:func:`mritk.results.ranking.ranked`).
        ids: Its trials: the finished ones in the order of seeds and folds, then those that failed;
            empty if it is made of other rows.
    """

    keys: Mapping[str, str]
    name: str
    cells: Mapping[str, Cell]
    clean_cells: Mapping[str, Cell]
    marks: str
    seeds: tuple[int, ...]
    folds: tuple[int, ...]
    failed: int
    tie: str = ""
    cost: Mapping[str, float] = field(default_factory=dict)
    protocol: StoredProtocol = field(default_factory=StoredProtocol, compare=False)
    derived: bool = False
    ranked: bool = True
    ids: tuple[str, ...] = ()

    @property
    def trials(self) -> int:
        """Number of finished trials."""
        return len(self.seeds)


@dataclass(frozen=True)
class Table:
    """Rows that were evaluated under identical conditions, best first.

    Attributes:
        keys: What all its rows share: dataset, split, …; and ``protocol`` and ``fingerprint``,
            where there is one protocol: of several, all names and an empty fingerprint.
        task: What is predicted.
        metrics: The columns; the first one sorts.
        rows: The rows.
        test_samples: Number of samples that were tested, over all folds; 0: unknown, as all trials
            failed.
        clean_samples: Number of those that were clean: without a copy in training.
        patients: Number of patients among them; 0 where they are unknown.
        folds: Number of folds that the protocol makes.
        skipped: Number of samples that were left out as unreadable.
        grouped: Whether the split kept patients whole.
        clean_support: What the clean test samples are, over all folds.
        verdict: What the audit found, over all folds.
        protocol: That of its first row. What belongs to the evaluation is the same for all.
        warnings: Reasons why rows cannot be compared as they stand.
        analysis: How the predictions were evaluated.
        comparisons: By name of metric: the differences of all pairs of rows.
        detectable: The difference in the first metric that one comparison would find four times
            in five; NaN where unknown, infinite where no difference is that large.
        unselected: Why no epoch could be selected, of all trials in which none could.
        undefined: How many scores of cases have no value, and why.
        records: The finished trials of each row, by its name; only of trials that came with all
            that is stored of them.
        groups: The rows by group of test samples, for each covariate that was asked for.
        ensembles: What its ensembles are made of, and why others could not be made.
    """

    keys: Mapping[str, Any]
    task: Task
    metrics: Sequence[Metric]
    rows: Sequence[Row]
    test_samples: int
    clean_samples: int
    patients: int
    folds: int
    skipped: int
    grouped: bool
    clean_support: CleanSupport = field(default_factory=lambda: CleanSupport({}))
    verdict: str = ""
    protocol: StoredProtocol = field(default_factory=StoredProtocol)
    warnings: Sequence[str] = ()
    analysis: Analysis = field(default_factory=Analysis)
    comparisons: Mapping[str, Sequence[Comparison]] = field(default_factory=dict, compare=False)
    detectable: float = field(default=math.nan, compare=False)
    unselected: Sequence[str] = ()
    undefined: Sequence[str] = ()
    records: Mapping[str, Sequence[TrialRecord]] = field(default_factory=dict, compare=False)
    groups: Sequence[GroupTable] = ()
    ensembles: Sequence[str] = ()

    @property
    def every_record(self) -> list[TrialRecord]:
        """The records of all rows that were trained."""
        derived = {row.name for row in self.rows if row.derived}
        return [r for name, row in self.records.items() if name not in derived for r in row]

    @property
    def one_protocol(self) -> bool:
        """Whether all its rows were trained by one recipe."""
        return bool(self.keys.get("fingerprint", True))

    @cached_property
    def by_protocol(self) -> list[Table]:
        """The trained rows of each protocol as a table of their own, with intervals, untested."""
        if self.one_protocol:
            return [self]
        found: dict[str, list[Row]] = {}
        for row in (row for row in self.rows if not row.derived):
            found.setdefault(row.keys["fingerprint"], []).append(row)
        several = len({row.keys["augmentation"] for row in self.rows}) > 1
        return [self._of_protocol(rows, augmented=several) for rows in found.values()]

    def _of_protocol(self, rows: Sequence[Row], *, augmented: bool) -> Table:
        names = {row.name: _name(row, augmented=augmented) for row in rows}
        of_protocol = {key: rows[0].keys[key] for key in ("protocol", "fingerprint")}
        return replace(
            self,
            keys={**self.keys, **of_protocol},
            rows=[replace(row, name=names[row.name]) for row in rows],
            records={new: self.records[old] for old, new in names.items() if old in self.records},
            protocol=rows[0].protocol,
            comparisons={},
            detectable=math.nan,
        )

    @property
    def unit(self) -> str:
        """What is resampled together, in the plural."""
        return "patients" if self.patients else "duplicate groups"

    @cached_property
    def folds_overlap(self) -> bool:
        """Whether it is over several folds, whose models share training samples.

        An official test part is one, however often training samples are drawn.
        """
        several = len({fold for row in self.rows for fold in row.folds}) > 1
        return several and self.keys["scheme"] != "official"


def _name(row: Row, *, augmented: bool) -> str:
    backbone, augmentation = row.keys["backbone"], row.keys["augmentation"]
    return row_name(backbone, augmentation) if augmented else backbone


@dataclass(frozen=True)
class Leaderboard:
    """All tables of a results folder.

    Attributes:
        tables: The tables.
        drift: Where one protocol name stands for several fingerprints: the fields that differ.
        damaged: Messages about files that could not be read.
        exit_code: ``UNAVAILABLE`` where one of those may be read later.
        unscored: Ids of trials that learned from unlabelled data, and are no row.
    """

    tables: Sequence[Table]
    drift: Sequence[str] = ()
    damaged: Sequence[str] = ()
    exit_code: ExitCode = ExitCode.OK
    unscored: Sequence[str] = ()

    def require_metrics(self, names: Sequence[str]) -> None:
        """Raise an error if no table has one of these metrics: its column would not be missed.

        Not while files are damaged: one of them may hold the only trial of the metric's task.

        Raises:
            UsageError: Tables, and a metric of none of their tasks.
        """
        shown = {metric.name for table in self.tables for metric in table.metrics}
        unused = [name for name in names if name not in shown]
        if self.tables and unused and not self.damaged:
            kinds = " or ".join(dict.fromkeys(table.task.kind for table in self.tables))
            raise UsageError(f"{no_metrics(unused)} of {kinds}; remove --metric {unused[0]}")

    def nothing_in(self, results: Path, what: str = "trials") -> str:
        """Return why there is no table of ``what`` was asked for in a results folder."""
        if not self.unscored:
            if what == "trials":
                return ResultsFolder(results).says_empty()
            return f"no {what} in {results}"
        one = len(self.unscored) == 1
        found = "1 trial" if one else f"{len(self.unscored)} trials"
        return (
            f"{found} in {results} learned from unlabelled data and {'has' if one else 'have'} no "
            f"scores to rank; to see {'it' if one else 'one'}: mritk show {self.unscored[0][:8]} "
            f"--results {as_typed(results)}"
        )
