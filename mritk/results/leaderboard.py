"""The leaderboard: tables computed from the predictions in trial files, and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mritk.audit.verdict import flattered
from mritk.errors import StoreError, UsageError
from mritk.evaluate.metric import Metric, Undefined, Value
from mritk.evaluate.metrics import find_metric, metrics_of, not_of_the_task
from mritk.results.absent_regions import absent_regions
from mritk.results.analysis import Analysis, repeat_of
from mritk.results.clean_rows import clean_rows
from mritk.results.clean_support import CleanSupport, Counts
from mritk.results.cost import cost_of
from mritk.results.covariate import RECALL
from mritk.results.ensembles import ensembles_of
from mritk.results.footnotes import (
    FAILED,
    KEPT_COPIES,
    NEVER_SELECTED,
    PRETRAINED_ON_IT,
    SAW_TEST_IMAGES,
    SELECTED_ON_TEST,
)
from mritk.results.kept_tables import KeptTables
from mritk.results.other_conditions import drift_of
from mritk.results.over_runs import cell_of, told_over_runs
from mritk.results.ranking import ranked
from mritk.results.row_keys import (
    divided,
    named_rows,
    protocol_names,
    shared_protocol,
    table_keys,
)
from mritk.results.table import Cell, Leaderboard, Row, Table
from mritk.results.table_evidence import TableEvidence, evidence_of
from mritk.results.table_order import in_order
from mritk.results.table_trial import TableTrial, leaking
from mritk.results.table_warnings import verdict_of, warnings_of, with_missing_folds
from mritk.results.trial_facts import TrialFacts
from mritk.results.unmeasured import undefined_of
from mritk.results.whole_runs import folds_of, whole_runs
from mritk.store.trial_file import TrialRecord
from mritk.store.trial_state import UnusableTrial, exit_code_of
from mritk.tasks.task import Task


def build_leaderboard(
    trials: Iterable[TrialRecord | TableTrial | StoreError],
    *,
    metrics: Sequence[str] = (),
    sort: str = "",
    group_by: Sequence[str] = (),
    analysis: Analysis | None = None,
    kept: KeptTables | None = None,
) -> Leaderboard:
    """Compute the leaderboard.

    Args:
        trials: Trials, or their records; errors stand for damaged files.
        metrics: Names of the columns; empty: the usual ones of the task.
        sort: Name of the metric that sorts and comes first; empty: the first of the columns.
        group_by: One table for each value of these, besides what is never ranked across: data,
            split, and all else that belongs to the evaluation (:mod:`mritk.protocol.evaluation`).
        analysis: How predictions are evaluated; None: the default.
        kept: Where intervals, differences and means over runs are kept; None: they are computed.

    Raises:
        UnknownName: A metric that does not exist.
        UsageError: A grouping that does not exist, or no metric that fits the task; ``by`` or
            ensembles, and trials without records; no table allows any of the ensembles.
    """
    analysis = analysis or Analysis()
    keys = table_keys(group_by)
    for name in (*metrics, *([sort] if sort else [])):
        find_metric(name, extra=analysis.extra_metrics)
    scored: list[tuple[str, TableTrial]] = []
    damaged: list[StoreError] = []
    unscored: list[str] = []
    for trial in trials:
        if isinstance(trial, StoreError):
            damaged.append(trial)
            continue
        task = trial.task if isinstance(trial, TrialRecord) else trial.facts.task
        if not task.has_scores:  # a row needs something to be ranked by
            unscored.append(trial.id if isinstance(trial, TrialRecord) else trial.facts.id)
            continue
        scored += _parts(trial, analysis)
    tables = []
    for named, members in in_order(divided(scored, keys, analysis.by), analysis.by):
        table, lost = _table_of_readable(named, members, (metrics, sort), analysis, kept)
        damaged += lost
        tables += [table] if table else []
    if "fold" not in keys:
        tables = with_missing_folds(tables)
    rows = [row for table in tables for row in table.rows]
    if analysis.ensembles and rows and not any(row.derived for row in rows):
        raise UsageError(" ".join(dict.fromkeys(line for t in tables for line in t.ensembles)))
    drift = drift_of(trial.facts for _, trial in scored)
    lines, code = [str(error) for error in damaged], exit_code_of(damaged)
    return Leaderboard(tables, drift, lines, code, unscored)


def _parts(trial: TrialRecord | TableTrial, analysis: Analysis) -> Iterable[tuple[str, TableTrial]]:
    if isinstance(trial, TableTrial) and not analysis.by:
        return [("", trial)]
    record = trial if isinstance(trial, TrialRecord) else trial.held
    if record is None:
        raise UsageError(f"dividing trials by {analysis.by} requires their records")
    return [(part, TableTrial.of(of_part)) for part, of_part in analysis.parts(record)]


def _table_of_readable(
    keys: dict[str, Any],
    trials: list[TableTrial],
    wanted: tuple[Sequence[str], str],
    analysis: Analysis,
    kept: KeptTables | None,
) -> tuple[Table | None, list[UnusableTrial]]:
    """Return the table of those trials whose files are still there, and why others are not."""
    lost: list[UnusableTrial] = []
    while trials:
        try:
            return _table(keys, trials, wanted, analysis, kept), lost
        except UnusableTrial as error:
            lost.append(error)
            trials = [trial for trial in trials if trial.facts.id != error.path.stem]
    return None, lost


def _columns(
    task: Task, dataset: str, wanted: tuple[Sequence[str], str], analysis: Analysis
) -> list[Metric]:
    """Return the metrics of a table; the first one sorts."""
    names, sort = wanted
    known = {m.name: m for m in metrics_of(task, extra=analysis.extra_metrics, shown=False)}
    columns = [known[name] for name in names if name in known]
    foreign = [sort] if sort and sort not in known else []
    if names and not columns:
        foreign = list(names)
    if foreign:
        raise UsageError(
            f"{not_of_the_task(foreign, task, dataset)}; use one of {', '.join(known)}, or select "
            "other data with --dataset (leaderboard, differences, plot)"
        )
    columns = columns or ([known[RECALL]] if analysis.by_class else list(metrics_of(task)))
    if sort:
        columns = [known[sort], *(m for m in columns if m.name != sort)]
    if analysis.by_class and columns[0].per_class:
        raise UsageError(
            f"{columns[0].label} is a mean over classes, but --by {analysis.by} divides samples by "
            f"class; use --metric {RECALL}, which is the recall of the class"
        )
    if columns[0].higher_is_better is None:
        raise UsageError(
            f"{columns[0].name} has no direction, so rows are not sorted by it; name another "
            "metric first"
        )
    return columns


def _table(
    keys: dict[str, Any],
    trials: list[TableTrial],
    wanted: tuple[Sequence[str], str],
    analysis: Analysis,
    kept: KeptTables | None,
) -> Table:
    task = trials[0].facts.task
    columns = _columns(task, keys["dataset"], wanted, analysis)
    named = named_rows(trials)
    folds = folds_of(trials)
    whole = {name: whole_runs(row, folds) for name, row in named.items()}
    trained = {name: found.trials for name, found in whole.items()}
    mixed = ensembles_of(trained, analysis.ensembles)
    if mixed.trials:
        named = named_rows([*trials, *mixed.trials])
    finished = {name: trained.get(name, row) for name, row in named.items()}
    called = protocol_names(trial.facts for row in named.values() for trial in row)
    made = [
        _row(name, (row, finished[name]), columns, analysis, called, mixed.members)
        for name, row in named.items()
    ]
    made = told_over_runs(made, finished, columns, analysis, kept)
    built = ranked(made, columns[0])
    evidence = TableEvidence()
    if analysis.interval != "none":
        evidence = evidence_of(built, finished, columns, analysis, kept)
        built = [evidence.told(row, columns[0].name) for row in built]
    done = [trial.facts for row in trained.values() for trial in row]
    recipes = {trial.facts.fingerprint for trial in trials}
    shared = shared_protocol({key: name for key, name in called.items() if key in recipes})
    first_of_fold = {facts.fold: facts for facts in reversed(done)}
    tests = [facts.test for facts in first_of_fold.values() if facts.test is not None]
    return Table(
        keys=_in_order(keys | shared),
        task=task,
        metrics=columns,
        rows=built,
        test_samples=len({id_ for test in tests for id_ in test.ids}),
        clean_samples=len({id_ for test in tests for id_ in test.clean_ids}),
        patients=len({patient for test in tests for patient in test.patients}),
        folds=trials[0].facts.folds,
        skipped=max(trial.facts.skipped for trial in trials),
        grouped=all(trial.facts.grouped for trial in trials),
        protocol=trials[0].facts.stored_protocol,
        clean_support=_support(first_of_fold.values()),
        verdict=verdict_of(done, called),
        warnings=[
            *warnings_of(done, [row for row in built if not row.derived]),
            *clean_rows({name: [trial.facts for trial in row] for name, row in trained.items()}),
            *(f"{name}: {line}" for name, found in whole.items() for line in found.left_out),
        ],
        analysis=analysis,
        comparisons=evidence.comparisons,
        detectable=evidence.detectable,
        unselected=sorted({facts.unselected for facts in done} - {""}),
        undefined=absent_regions(undefined_of(trained, columns, analysis), columns),
        records={
            name: [trial.held for trial in row if trial.held is not None]
            for name, row in finished.items()
        },
        ensembles=mixed.notes,
    )


def _in_order(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of a table, those of its captions first."""
    first = ("dataset", "dataset_fingerprint", "protocol", "fingerprint", "scheme")
    return {**{key: keys[key] for key in first}, **keys}


def _row(
    name: str,
    trials: tuple[Sequence[TableTrial], Sequence[TableTrial]],
    metrics: Sequence[Metric],
    analysis: Analysis,
    protocols: Mapping[str, str],
    members: Mapping[str, Sequence[TrialFacts]],
) -> Row:
    """Return a row with the values of its trials, without intervals.

    Args:
        name: Name of the row.
        trials: All its trials, and those that are evaluated.
        metrics: The columns.
        analysis: How predictions are evaluated.
        protocols: Names of protocols by fingerprint.
        members: By id of a trial that is made of others, these.
    """
    facts = [trial.facts for trial in trials[0]]
    finished = trials[1]
    done = [trial.facts for trial in finished]
    failed = [found for found in facts if not found.finished]
    clean_cells: dict[str, Cell] = {}
    try:
        values = [trial.values(analysis, metrics, clean=False) for trial in finished]
        if leaking(finished):
            clean = [trial.values(analysis, metrics, clean=True) for trial in finished]
            clean_cells = {m.name: _clean_cell(m, clean, done) for m in metrics}
        cells = {m.name: cell_of(m, [found[m.name] for found in values], done) for m in metrics}
    except Undefined as undefined:
        cells = {m.name: Cell((math.nan,) * len(finished), str(undefined)) for m in metrics}
    return Row(
        keys={
            **{key: getattr(facts[0], key) for key in ("backbone", "augmentation", "method")},
            "protocol": protocols[facts[0].fingerprint],
            "fingerprint": facts[0].fingerprint,
        },
        protocol=facts[0].stored_protocol,
        name=name,
        cells=cells,
        clean_cells=clean_cells,
        marks=_marks(_trained(facts, members), _trained(done, members)),
        derived=facts[0].id in members,
        ids=tuple(one.id for one in [*done, *failed] if one.id not in members),
        seeds=tuple(found.seed for found in done),
        folds=tuple(found.fold for found in done),
        failed=len(failed),
        cost=cost_of([found.cost for found in done]),
    )


def _trained(
    trials: Sequence[TrialFacts], members: Mapping[str, Sequence[TrialFacts]]
) -> list[TrialFacts]:
    return [facts for trial in trials for facts in members.get(trial.id, [trial])]


def _marks(trials: Sequence[TrialFacts], finished: Sequence[TrialFacts]) -> str:
    signs = {
        SELECTED_ON_TEST: any(facts.stored_protocol.selected_on_test for facts in finished),
        SAW_TEST_IMAGES: any(facts.stored_protocol.trained_on_test_images for facts in finished),
        KEPT_COPIES: any(flattered(facts.audit) for facts in finished),
        PRETRAINED_ON_IT: any(facts.audit.get("pretraining") for facts in finished),
        FAILED: bool(finished) and any(not facts.finished for facts in trials),
        NEVER_SELECTED: any(facts.unselected for facts in finished),
    }
    return "".join(sign for sign, stands in signs.items() if stands)


def _clean_cell(
    metric: Metric, values: Sequence[Mapping[str, Value]], trials: Sequence[TrialFacts]
) -> Cell:
    """Return the metric over clean test samples, if it rests on enough of them.

    Means over other classes in other folds are not comparable, so they are undefined.
    """
    if withheld := _support(trials).withheld(metric, trials[0].task):
        reason = f"too few clean groups: {withheld}"
        return Cell((math.nan,) * len(values), reason, withheld=withheld)
    classes = {facts.test.classes for facts in trials if facts.test is not None}
    if metric.per_class and len(classes) > 1:
        reason = "folds differ in the classes of their clean test samples"
        return Cell((math.nan,) * len(values), reason)
    return cell_of(metric, [found[metric.name] for found in values], trials)


def _support(trials: Iterable[TrialFacts]) -> CleanSupport:
    """Return what the clean test samples of some trials are; of equal folds the first counts."""
    found: dict[int, tuple[int, Counts]] = {}
    for facts in trials:
        if facts.test is not None:
            found.setdefault(facts.fold, (repeat_of(facts), facts.test.support))
    return CleanSupport.of(found.values())
