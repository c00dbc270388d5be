"""The sentences under a table: every sign in its cells explained, every doubt named."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mritk.results.analysis import HOLDOUT
from mritk.results.clean_support import ALL, LEAST_UNITS
from mritk.results.columns import conservative_note
from mritk.results.doubts import TEST_IMAGES, TEST_SELECTED
from mritk.results.group_table import OVER_FOLDS
from mritk.results.named_reasons import named_reason
from mritk.results.over_defined import over_defined
from mritk.results.table import Cell, Table
from mritk.text.listed import many

SELECTED_ON_TEST = "§"
SAW_TEST_IMAGES = "◊"
KEPT_COPIES = "†"  # explained by the audit's verdict
PRETRAINED_ON_IT = "‡"
FAILED = "¶"
NEVER_SELECTED = "‖"
# What says that the test set helped to make a model.
OPTIMISTIC = (SELECTED_ON_TEST, SAW_TEST_IMAGES, KEPT_COPIES)


def footnotes(table: Table, *, every_interval: bool = True) -> list[str]:
    """Return what a reader must know of the numbers of a table, one sentence each.

    ``every_interval``: all metrics are shown with their intervals, not only the first.
    """
    bounded = [metric.name for metric in table.metrics[: None if every_interval else 1]]
    return [
        *table.warnings,
        *([table.verdict] if table.verdict else []),
        *_certainty(table, bounded),
        *_runs(table),
        *table.ensembles,
        *_data(table),
        *_signs(table),
        *_undefined(table, bounded),
    ]


def _certainty(table: Table, bounded: Sequence[str]) -> list[str]:
    """Say what ties and differences mean, and intervals of the metrics that show theirs."""
    return [*_intervals(table, bounded), *_differences(table)]


def _with_intervals(table: Table, bounded: Sequence[str]) -> list[Cell]:
    """Return the cells that show an interval, if they have one."""
    clean = [row.clean_cells[table.metrics[0].name] for row in table.rows if row.clean_cells]
    cells = [row.cells[name] for row in table.rows for name in bounded]
    return [cell for cell in (*cells, *clean) if cell.defined and cell.interval]


def _intervals(table: Table, bounded: Sequence[str]) -> list[str]:
    analysis = table.analysis
    drawn = [cell.ends for cell in _with_intervals(table, bounded) if cell.ends]
    if not drawn:
        return []
    runs = " and runs" if any(count > 1 for count in _runs_of(table)) else ""
    method = {"student": "Student's, from", "percentile": "percentiles of", "bca": "BCa of"}
    notes = [
        f"[95 % interval]: {method[analysis.interval]} {analysis.resamples} resamples of "
        f"{table.unit}{runs}{table.task.stratified}."
    ]
    if table.folds_overlap:
        wider = "intervals" if analysis.given_these_models else "intervals and differences"
        notes.append(
            f"Folds share training samples: {wider} are widened by an assumed correlation between "
            "folds."
        )
    notes += conservative_note(drawn)
    lost = max(interval.degenerate for interval in drawn)
    if lost:
        notes.append(
            f"Up to {lost} of {analysis.resamples} resamples were undefined and are excluded."
        )
    return notes


def _differences(table: Table) -> list[str]:
    first, notes = table.metrics[0], list[str]()
    if len([row for row in table.rows if row.tie]) > 1:
        tested = sum(pair.tested for pair in table.comparisons[first.name])
        notes.append(
            f"tie: rows that share a letter do not differ significantly in {first.label} "
            f"(paired, Holm over {many(tested, 'pair')}, 5 %)."
        )
    notes += _untested(table)
    if math.isinf(table.detectable):
        notes.append(
            f"These data support no comparison by {first.label}: at 80 % power not even the "
            f"largest possible difference is detectable."
        )
    elif not math.isnan(table.detectable):
        notes.append(
            f"Minimum detectable difference in {first.label} at 80 % power: {table.detectable:.3f}."
        )
    return notes


def _untested(table: Table) -> list[str]:
    """Say which differences were not tested, and why."""
    pairs = table.comparisons.get(table.metrics[0].name, ())
    defined = [pair for pair in pairs if not math.isnan(pair.difference)]
    reasons = sorted({pair.reason for pair in defined if not pair.tested} - {""})
    which = "Differences" if not any(pair.tested for pair in defined) else "Some differences"
    named = [named_reason(reason, table.task) for reason in reasons]
    return [f"{which} are not tested: {reason}." for reason in named]


def _runs_of(table: Table) -> list[int]:
    """Return the number of runs of each row: a run is a seed with all folds of one division."""
    of_repeat = max(1, table.folds // table.protocol.repeats)
    if table.keys["scheme"] == HOLDOUT:
        of_repeat = max(1, table.folds)
    return [
        len({(seed, fold // of_repeat) for seed, fold in zip(row.seeds, row.folds, strict=True)})
        for row in table.rows
        if row.trials
    ]


def _runs(table: Table) -> list[str]:
    trials = {row.trials for row in table.rows if row.trials}
    runs = set(_runs_of(table))
    notes = []
    if table.analysis.given_these_models:
        notes.append(
            "Given these models: ties compare these trained networks, without the effect of "
            "retraining."
        )
    elif runs == {1} and table.folds_overlap:
        notes.append("One run (seed) per row: intervals do not include the effect of another seed.")
    elif runs == {1}:
        notes.append(
            "One run (seed) per row: intervals are of these trained networks; the effect of "
            "retraining is unknown."
        )
    if len(trials) > 1:
        notes.append("Rows have different numbers of trials.")
    return notes


def _data(table: Table) -> list[str]:
    notes = []
    if table.analysis.by and table.folds_overlap:
        notes.append(OVER_FOLDS)
    if table.analysis.level == "patient":
        notes.append("Patient level: mean of the probabilities (or values) of a patient's images.")
    if table.analysis.temperature and table.task.classes:
        notes.append("Temperature scaling: fitted on the validation set of each trial.")
    if not table.grouped:
        notes.append(
            "Image-level: without patient ids, images of one patient may be in training and test; "
            "scores may be optimistic and intervals too narrow."
        )
    if table.skipped:
        notes.append(f"{table.skipped} unreadable samples were skipped (--skip-unreadable).")
    return notes


def _signs(table: Table) -> list[str]:
    marks = {sign for row in table.rows for sign in row.marks}
    notes = []
    if SELECTED_ON_TEST in marks:
        notes.append(f"{SELECTED_ON_TEST} {TEST_SELECTED}")
    if SAW_TEST_IMAGES in marks:
        notes.append(f"{SAW_TEST_IMAGES} {TEST_IMAGES}")
    if below := {sign for row in table.rows if not row.ranked for sign in row.marks}:
        signs = " or ".join(sign for sign in OPTIMISTIC if sign in below)
        notes.append(
            f"Rows marked {signs} are not ranked: the test set helped to make these models. They "
            "stand below the others, without a letter."
        )
    if PRETRAINED_ON_IT in marks:
        notes.append(f"{PRETRAINED_ON_IT} The backbone was pretrained on a source of these data.")
    notes += [f"{NEVER_SELECTED} {text}" for text in table.unselected]
    for row in table.rows:
        if row.failed:
            trials = "trial" if row.failed == 1 else "trials"
            sign = f"{FAILED} " if FAILED in row.marks else ""
            notes.append(f"{sign}{row.failed} failed {trials} excluded: {row.name}.")
    return notes


def _undefined(table: Table, bounded: Sequence[str]) -> list[str]:
    """Say why numbers or intervals are missing."""
    notes = [*_clean_support(table), *_lacking_folds(table), *over_defined(table, table.metrics)]
    notes += over_defined(table, table.metrics[:1], clean=True)
    first = table.metrics[0].name
    shown = [cell for row in table.rows for cell in row.cells.values()]
    shown += [row.clean_cells[first] for row in table.rows if row.clean_cells]
    reasons = {cell.reason for cell in shown if cell.reason and not cell.withheld}
    notes += [f"nan: {named_reason(reason, table.task)}." for reason in sorted(reasons)]
    notes += table.undefined
    found = [cell.interval for cell in _with_intervals(table, bounded) if cell.interval]
    missing = {named_reason(interval.reason, table.task) for interval in found} - {""}
    return [*notes, *(f"No interval: {reason}." for reason in sorted(missing))]


def _lacking_folds(table: Table) -> list[str]:
    """Say over which folds means over classes are, where some fold lacks a class."""
    averaged = [
        metric.label
        for metric in table.metrics
        if not metric.of_cases
        if any(
            cell.over_runs is not None and not math.isnan(cell.over_runs)
            for cell in (row.cells[metric.name] for row in table.rows)
        )
    ]
    if not averaged:
        return []
    return [
        f"Some folds have no test sample of a class: {', '.join(averaged)} average each class "
        "over the folds that have one."
    ]


def _clean_support(table: Table) -> list[str]:
    """Say what clean scores rest on, and where they are withheld."""
    cells = [row.clean_cells[table.metrics[0].name] for row in table.rows if row.clean_cells]
    if not cells:
        return []
    support, units = table.clean_support, table.unit
    counts = support.of_classes(table.task).items()
    told = ", ".join(f"{name} {samples} ({of})" for name, (samples, of) in counts)
    notes = [f"Clean test samples ({units}): {told}."] if told else []
    if any(cell.withheld for cell in cells):
        short = support.short_of(table.metrics[0])
        what = "in all" if ALL in short else "of each class"
        notes.append(
            f"– (… < {LEAST_UNITS}): a clean score requires at least {LEAST_UNITS} clean {units} "
            f"{what}."
        )
    return notes
