"""The leaderboard: tables computed from the predictions in trial files, and from nothing else."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mritk.audit.verdict import flattered, over_folds, verdict_line
from mritk.data.samples import Task
from mritk.errors import StoreError, UsageError
from mritk.evaluate.comparison import Comparison
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.metrics import find_metric, metrics_of
from mritk.evaluate.over_folds import run_value
from mritk.results.analysis import Analysis
from mritk.results.cost import cost_of
from mritk.results.evidence import Evidence, ties
from mritk.results.footnotes import (
    FAILED,
    KEPT_COPIES,
    NEVER_SELECTED,
    PRETRAINED_ON_IT,
    SELECTED_ON_TEST,
    never_selected,
)
from mritk.results.run_values import Scored
from mritk.results.table import Cell, Leaderboard, Row, Table, row_name
from mritk.results.trial_state import exit_code_of
from mritk.results.trialfile import Predictions, TrialRecord
from mritk.results.whole_runs import whole_runs

# Trials that differ in one of these are never ranked against each other.
NEVER_RANKED_ACROSS = ("dataset", "dataset_fingerprint", "protocol", "fingerprint", "scheme")
GROUPINGS = ("dataset", "protocol", "backbone", "augmentation", "method", "fold", "seed")
ROW_KEYS = ("backbone", "augmentation")


def build_leaderboard(
    trials: Iterable[TrialRecord | StoreError],
    *,
    metrics: Sequence[str] = (),
    sort: str = "",
    group_by: Sequence[str] = (),
    analysis: Analysis | None = None,
) -> Leaderboard:
    """Compute the leaderboard.

    Args:
        trials: Trial records; errors stand for damaged files.
        metrics: Names of the columns; empty: the usual ones of the task.
        sort: Name of the metric that sorts and comes first; empty: the first of the columns.
        group_by: One table for each value of these, besides what is never ranked across.
        analysis: How predictions are evaluated; None: the default.

    Raises:
        UnknownName: A metric that does not exist.
        UsageError: A grouping that does not exist, or no metric that fits the task.
    """
    analysis = analysis or Analysis()
    for name in group_by:
        if name not in GROUPINGS:
            raise UsageError(f"cannot group by {name!r}; there is {', '.join(GROUPINGS)}")
    for name in (*metrics, *([sort] if sort else [])):
        find_metric(name, extra=analysis.extra_metrics)
    keys = list(dict.fromkeys((*NEVER_RANKED_ACROSS, *group_by)))
    groups: dict[tuple[Any, ...], list[TrialRecord]] = defaultdict(list)
    damaged: list[StoreError] = []
    for trial in trials:
        if isinstance(trial, StoreError):
            damaged.append(trial)
            continue
        for part, record in analysis.parts(trial):
            group = (*(getattr(record, key) for key in keys), part)
            groups[group].append(record)
    names = [*keys, *([analysis.by] if analysis.by else [])]
    tables = [
        _table(dict(zip(names, values, strict=False)), records, (metrics, sort), analysis)
        for values, records in sorted(groups.items(), key=lambda item: str(item[0]))
    ]
    drift = _drift([records[0] for records in groups.values()])
    return Leaderboard(tables, drift, [str(error) for error in damaged], exit_code_of(damaged))


def _columns(
    task: Task, dataset: str, wanted: tuple[Sequence[str], str], analysis: Analysis
) -> list[Metric]:
    """Return the metrics of a table; the first one sorts."""
    names, sort = wanted
    known = {m.name: m for m in metrics_of(task, extra=analysis.extra_metrics, shown=False)}
    columns = [known[name] for name in names if name in known]
    if (names and not columns) or (sort and sort not in known):
        raise UsageError(
            f"none of {', '.join(names or [sort])} is a metric of a {task.kind}, which {dataset} "
            f"is; there is {', '.join(known)}"
        )
    columns = columns or list(metrics_of(task))
    if sort:
        columns = [known[sort], *(m for m in columns if m.name != sort)]
    if columns[0].higher_is_better is None:
        raise UsageError(f"{columns[0].name} ranks nothing; name another metric with --sort")
    return columns


def _table(
    keys: dict[str, Any],
    records: list[TrialRecord],
    wanted: tuple[Sequence[str], str],
    analysis: Analysis,
) -> Table:
    task = records[0].task
    columns = _columns(task, keys["dataset"], wanted, analysis)
    grouped: dict[tuple[str, ...], list[TrialRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.seed, record.fold)):
        grouped[tuple(getattr(record, key) for key in ROW_KEYS)].append(record)
    several = len({augmentation for _, augmentation in grouped}) > 1
    named = {row_name(*k) if several else k[0]: k for k in grouped}
    whole = {name: whole_runs(grouped[k], records) for name, k in named.items()}
    finished = {name: found.records for name, found in whole.items()}
    made = [
        _row(name, (grouped[k], finished[name]), columns, analysis) for name, k in named.items()
    ]
    built = sorted((row for row, *_ in made), key=lambda row: _rank(row, columns[0]))
    comparisons: dict[str, list[Comparison]] = {}
    detectable = math.nan
    if analysis.interval != "none":
        scores = {row.name: found for row, found, _ in made}
        clean = {row.name: found for row, _, found in made}
        built, comparisons, detectable = _with_evidence(built, scores, clean, columns, analysis)
    done = [record for row in finished.values() for record in row]
    first_of_fold = {record.fold: record for record in reversed(done)}
    tests = [record.predictions["test"] for record in first_of_fold.values()]
    verdicts = [first_of_fold[fold].audit for fold in sorted(first_of_fold)]
    return Table(
        keys=keys,
        task=task,
        metrics=columns,
        rows=built,
        test_samples=len({id_ for test in tests for id_ in test.id}),
        clean_samples=len({id_ for test in tests for id_ in _clean_ids(test)}),
        patients=len({patient for test in tests for patient in test.patient} - {""}),
        folds=records[0].folds,
        skipped=max(len(record.skipped) for record in records),
        grouped=all(record.grouped for record in records),
        protocol=records[0].stored_protocol,
        clean_classes=frozenset(
            int(k) for t in tests if t.clean is not None for k in np.unique(t.target[t.clean])
        ),
        verdict=verdict_line(over_folds(verdicts), KEPT_COPIES) if verdicts else "",
        warnings=[
            *_warnings(done, built),
            *(f"{name}: {line}" for name, found in whole.items() for line in found.left_out),
        ],
        analysis=analysis,
        comparisons=comparisons,
        detectable=detectable,
        records=finished,
    )


def _with_evidence(
    rows: Sequence[Row],
    scores: Mapping[str, Sequence[Scored]],
    clean_scores: Mapping[str, Sequence[Scored]],
    metrics: Sequence[Metric],
    analysis: Analysis,
) -> tuple[list[Row], dict[str, list[Comparison]], float]:
    """Return the rows with intervals and ties, all comparisons, and what can be detected."""
    present = {row.name: scores[row.name] for row in rows if scores[row.name]}
    if not present:
        return list(rows), {}, math.nan
    first = metrics[0]
    evidence = Evidence(
        present,
        metrics,
        analysis.resamples,
        analysis.interval,
        given_these_models=analysis.given_these_models,
    )
    compared = {metric.name: evidence.all_pairs(metric) for metric in metrics}
    ranked = [row.name for row in rows if row.name in present and row.cells[first.name].defined]
    letters = ties(ranked, compared[first.name])
    # Rows that differ in their clean samples cannot be resampled together.
    clean = {
        name: Evidence({name: found}, [first], analysis.resamples, analysis.interval, partial=True)
        for name, found in clean_scores.items()
        if found and all(len(scored.target) for scored in found)
    }

    def told(row: Row) -> Row:
        if row.name not in present:
            return row
        cells = {
            m.name: replace(row.cells[m.name], interval=evidence.interval(row.name, m))
            for m in metrics
        }
        cleaned = dict(row.clean_cells)
        if row.name in clean:
            interval = clean[row.name].interval(row.name, first)
            cleaned[first.name] = replace(cleaned[first.name], interval=interval)
        return replace(row, cells=cells, clean_cells=cleaned, tie=letters.get(row.name, ""))

    return [told(row) for row in rows], compared, evidence.detectable(compared[first.name])


def _warnings(finished: Sequence[TrialRecord], rows: Sequence[Row]) -> list[str]:
    """Return what makes rows of one table less than comparable."""
    warnings = []
    tested: dict[int, set[frozenset[str]]] = defaultdict(set)
    divided: dict[int, set[str]] = defaultdict(set)
    for record in finished:
        tested[record.fold].add(frozenset(record.predictions["test"].id))
        divided[record.fold].add(str(record.audit.get("split")))
    if any(len(samples) > 1 for samples in tested.values()):
        warnings.append(
            "Trials of one fold have different test samples, so their scores cannot be compared; "
            "was the split made by another version of mritk or scikit-learn?"
        )
    elif any(len(digests) > 1 for digests in divided.values()):
        warnings.append(
            "Trials of one fold were trained on different samples: between them the audit, or "
            "what it drops, has changed. 'mritk run --rerun' trains again."
        )
    if len({frozenset(row.folds) for row in rows if row.trials}) > 1:
        warnings.append("Rows were tested on different folds, that is, on different samples.")
    for row in rows:
        if len(set(zip(row.seeds, row.folds, strict=True))) < row.trials:
            warnings.append(f"{row.name} has several trials of the same seed and fold.")
    return warnings


def _row(
    name: str,
    trials: tuple[list[TrialRecord], list[TrialRecord]],
    metrics: Sequence[Metric],
    analysis: Analysis,
) -> tuple[Row, list[Scored], list[Scored]]:
    """Return a row without intervals, and what is evaluated: all test samples, clean ones.

    Args:
        name: Name of the row.
        trials: All its trials, and those that are evaluated.
        metrics: The columns.
        analysis: How predictions are evaluated.
    """
    records, finished = trials
    tests = [record.predictions["test"] for record in finished]
    leaking = any(test.clean is not None and not test.clean.all() for test in tests)
    try:
        scores = [analysis.scored(record) for record in finished]
        clean = [analysis.scored(record, clean=True) for record in finished] if leaking else []
        cells = {m.name: _cell(m, scores) for m in metrics}
    except Undefined as undefined:
        scores, clean = [], []
        cells = {m.name: Cell((math.nan,) * len(finished), str(undefined)) for m in metrics}
    row = Row(
        keys={key: getattr(records[0], key) for key in ROW_KEYS},
        name=name,
        cells=cells,
        clean_cells={m.name: _clean_cell(m, clean) for m in metrics if clean},
        marks=_marks(records, finished),
        seeds=tuple(record.seed for record in finished),
        folds=tuple(record.fold for record in finished),
        failed=sum(record.status != "finished" for record in records),
        cost=cost_of(finished),
    )
    return row, scores, clean


def _marks(records: Sequence[TrialRecord], finished: Sequence[TrialRecord]) -> str:
    signs = {
        SELECTED_ON_TEST: any(r.stored_protocol.selected_on_test for r in finished),
        KEPT_COPIES: any(flattered(record.audit) for record in finished),
        PRETRAINED_ON_IT: any(record.audit.get("pretraining") for record in finished),
        FAILED: bool(finished) and any(r.status != "finished" for r in records),
        NEVER_SELECTED: any(never_selected(record) for record in finished),
    }
    return "".join(sign for sign, stands in signs.items() if stands)


def _cell(metric: Metric, scores: Sequence[Scored]) -> Cell:
    """Return a metric over the trials of a row; folds without a class leave it to the others."""
    values = [metric.compute(s.target, s.score) for s in scores]
    reason = next((value.reason for value in values if value.reason), "")
    cell = Cell(tuple(value.value for value in values), reason)
    if not reason or len({s.fold for s in scores}) < 2:
        return cell
    runs = [
        run_value(metric, [(s.target, s.score) for s in scores if s.run == run])
        for run in dict.fromkeys(s.run for s in scores)
    ]
    reason = next((run.reason for run in runs if run.reason), "")
    return replace(cell, reason=reason, over_runs=float(np.mean([run.value for run in runs])))


def _clean_cell(metric: Metric, scores: Sequence[Scored]) -> Cell:
    """Return the metric over clean test samples; classes that none of them has do not count.

    Means over other classes in other folds are not comparable, so they are undefined.
    """
    if metric.per_class and len({frozenset(s.target.tolist()) for s in scores}) > 1:
        reason = "clean test samples of the folds are of different classes"
        return Cell((math.nan,) * len(scores), reason)
    values = [metric.compute(s.target, s.score, leave_out_absent=True) for s in scores]
    reason = next((value.reason for value in values if value.reason), "")
    return Cell(tuple(value.value for value in values), reason)


def _clean_ids(test: Predictions) -> list[str]:
    return test.id if test.clean is None else np.asarray(test.id)[test.clean].tolist()


def _rank(row: Row, metric: Metric) -> tuple[bool, float, str]:
    mean = row.cells[metric.name].mean
    undefined = math.isnan(mean)
    value = 0.0 if undefined else -mean if metric.higher_is_better else mean
    return undefined, value, " ".join(row.keys.values())


def _drift(records: Sequence[TrialRecord]) -> list[str]:
    by_dataset: dict[tuple[str, str], dict[str, TrialRecord]] = defaultdict(dict)
    for record in records:
        key = (record.dataset, record.protocol)
        by_dataset[key].setdefault(record.fingerprint, record)
    lines = []
    for (dataset, protocol), found in sorted(by_dataset.items()):
        first, *others = (found[fingerprint] for fingerprint in sorted(found))
        for other in others:
            changed = first.stored_protocol.differences(other.stored_protocol)
            lines.append(
                f"{dataset}, {protocol}: {first.fingerprint[:8]} and {other.fingerprint[:8]} "
                f"differ in {'; '.join(changed)}"
            )
    return lines
