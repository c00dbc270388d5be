"""The differences between rows as text, CSV or data."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mritk.compare.across_datasets import AcrossDatasets
from mritk.compare.paired_tests import BELIEVED, TESTS, Tested
from mritk.evaluate.metric import Metric
from mritk.results.columns import interval_text, name_text
from mritk.results.formats import caption, comparison_as_data, left_out, sentences, told_apart
from mritk.results.over_defined import over_defined
from mritk.results.row_keys import GROUPINGS, TOLD
from mritk.results.table import Table
from mritk.text.listed import listed, many
from mritk.text.numbers import decimals, or_null, p_text
from mritk.text.text_table import Column, filled, fitted, text_table

VERDICT = "Verdict: first row versus second."


@dataclass(frozen=True, eq=False)
class Differences:
    """What a test says of all pairs of rows of one table.

    Attributes:
        table: The table.
        test: Name of the test.
        metric: What is compared.
        lines: One per pair (and class).
        rope: Half the width of the region of practical equivalence; only of a Bayesian test.
    """

    table: Table
    test: str
    metric: Metric
    lines: Sequence[Tested]
    rope: float = 0.0


def differences_text(found: Differences, style: str, width: int | None = None) -> str:
    """Return a table of the pairs, ``github`` or ``plain``, with the test and what it assumes.

    Args:
        found: The differences.
        style: ``github`` or ``plain``.
        width: Of the terminal; what does not fit is left out, and named. None: nothing is.
    """
    head = name_text(caption(found.table), style)
    columns, dropped = fitted(_pairs(found.lines, style), style, width)
    notes = [*left_out(dropped, "differences"), *_notes(found)]
    return "\n\n".join(
        [filled(head, width), text_table(columns, style), sentences(notes, style, width)]
    )


def _notes(found: Differences) -> list[str]:
    test, table = TESTS[found.test], found.table
    label = f"{found.metric.label} {found.metric.arrow}".rstrip()
    what = "AUROC of each class" if any(line.of_class for line in found.lines) else label
    notes = [f"{test.label}: difference in {what}, first minus second, [95 % interval].", VERDICT]
    notes += [test.assumes, *_significance(found.lines, found.rope)]
    analysis = table.analysis
    if any(line.comparison.interval.resamples for line in found.lines):
        notes.append(f"{analysis.resamples} resamples{table.task.stratified}.")
    if analysis.level == "patient":
        notes.append("Patient level: mean of the probabilities (or values) of a patient's images.")
    if analysis.temperature and table.task.classes:
        notes.append("Temperature scaling: fitted on the validation set of each trial.")
    if not table.patients:
        notes.append(
            "Image-level: without patient ids, images of one patient count as independent; p may "
            "be too small."
        )
    notes += over_defined(table, [found.metric]) if test.resamples else []
    notes += [*table.warnings, *([table.verdict] if table.verdict else [])]
    if unranked := [row.name for row in table.rows if not row.ranked]:
        notes.append(
            f"Not ranked, because the test set helped to make it: {listed(unranked)}. A difference "
            "from others is what that is worth, and no evidence of a better model."
        )
    if any(row.marks for row in table.rows):
        notes.append("'mritk leaderboard' marks rows with optimistic scores and states the reason.")
    return [*notes, *_unsaid(found.lines)]


def _unsaid(lines: Sequence[Tested]) -> list[str]:
    """Say why p or intervals are missing; that of no difference at all needs no reason."""
    silent = [line for line in lines if line.silent]
    others = [line for line in lines if not line.silent and line.comparison.difference]
    told = {
        f"{words}: {line.reason}."
        for words, some in (("Not tested", silent), ("Without an interval", others))
        for line in some
        if line.reason
    }
    return sorted(told)


def _significance(lines: Sequence[Tested], rope: float) -> list[str]:
    if any(line.probabilities is not None for line in lines):
        equal = f"Practically equal: true difference within ±{rope:g}. " if rope else ""
        return [
            (f"{equal}A verdict requires a probability above {BELIEVED:.0%}; P is not corrected.")
        ]
    count = sum(not line.silent for line in lines)
    return [f"Holm correction over {many(count, 'comparison')}, 5 %."]


def across_text(found: AcrossDatasets, style: str, width: int | None = None) -> str:
    """Return average ranks and all pairs over datasets, with the test and what it assumes.

    Args:
        found: The comparison.
        style: ``github`` or ``plain``.
        width: Of the terminal; None: any.
    """
    metric = found.metric
    count = f"{len(found.datasets)} datasets"
    shared = [f"protocol {found.keys['protocol']} ({found.keys['fingerprint'][:8]})"]
    shared += [*told_apart(found.keys), f"{count}: {', '.join(found.datasets)}"]
    head = name_text(" · ".join(shared), style)
    ranks = [
        Column("row", [name_text(name, style) for name in found.rows]),
        Column("average rank", [f"{rank:.2f}" for rank in found.ranks]),
        Column(
            f"mean {metric.label} {metric.arrow}".rstrip(),
            [f"{mean:.3f}" for mean in found.scores.mean(axis=0)],
        ),
    ]
    tables = [ranks, _pairs(found.pairs, style, corrected="Nemenyi")]
    shown = [text_table(columns, style) for columns in tables]
    notes = sentences(_across_notes(found), style, width)
    return "\n\n".join([filled(head, width), *shown, notes])


def _across_notes(found: AcrossDatasets) -> list[str]:
    test = found.friedman
    if test is None:
        notes = [
            "Bayesian signed-rank test: probabilities for a new dataset; each dataset counts "
            "once, regardless of size.",
            *_significance(found.pairs, found.rope),
        ]
    else:
        notes = [
            f"Friedman's test: χ² = {test.chi_squared:.2f} ({_p_is(test.p_chi_squared)}), "
            f"Iman–Davenport F = {test.f:.2f} ({_p_is(test.p)}); each dataset counts once.",
            "Pairs: Nemenyi's test, corrected for multiple comparisons, p at least that of F. "
            f"Critical difference of average ranks at 5 %: {found.critical_difference:.2f}.",
        ]
        if len(found.datasets) <= 10:
            notes.append(
                "With 10 datasets or fewer both are approximate, and F is slightly liberal."
            )
    notes.append(f"{VERDICT} Differences are means over datasets, without an interval.")
    if found.left_out:
        notes.append(f"Excluded, not on every dataset in all folds: {', '.join(found.left_out)}.")
    return notes


# -- parts of both -------------------------------------------------------------------------------


def _pairs(lines: Sequence[Tested], style: str, corrected: str = "Holm") -> list[Column]:
    columns: list[Column] = []

    def add(heading: str, text: Callable[[Tested], str], keep: float = math.inf) -> None:
        columns.append(Column(heading, [text(line) for line in lines], keep))

    add("first", lambda line: name_text(line.comparison.first, style))
    add("second", lambda line: name_text(line.comparison.second, style))
    if any(line.of_class for line in lines):
        add("class", lambda line: name_text(line.of_class, style))
    add("difference", _difference)
    if any(line.probabilities is not None for line in lines):
        for word in ("worse", "equal", "better"):

            def believed(line: Tested, word: str = word) -> str:
                return p_text(getattr(line.probabilities, word, math.nan))

            add(f"P({word})", believed)
    else:
        if corrected == "Holm":
            add("p", lambda line: p_text(line.comparison.p), keep=0)
        add(f"p ({corrected})", lambda line: p_text(line.comparison.p_adjusted))
    add("verdict", lambda line: line.verdict)
    return columns


def _difference(line: Tested) -> str:
    value, interval = line.comparison.difference, line.comparison.interval
    if math.isnan(value):
        return "–"
    known = math.isfinite(interval.low)
    return f"{decimals(value, sign='+')}{f' {interval_text(interval)}' if known else ''}"


def _p_is(value: float) -> str:
    text = p_text(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


# -- data ----------------------------------------------------------------------------------------


def differences_as_data(found: Differences) -> dict[str, Any]:
    """Return the differences of one table as JSON-able data; undefined numbers are null."""
    return {
        **found.table.keys,
        "table": " · ".join(told_apart(found.table.keys)),
        "test": found.test,
        "metric": found.metric.name,
        "rope": found.rope if found.test == "bayes" else None,
        "notes": _notes(found),
        "pairs": [_line_as_data(line) for line in found.lines],
    }


def across_as_data(found: AcrossDatasets) -> dict[str, Any]:
    """Return a comparison over datasets as JSON-able data; undefined numbers are null."""
    test = found.friedman
    return {
        **found.keys,
        "test": "bayes" if test is None else "friedman",
        "metric": found.metric.name,
        "rope": found.rope if test is None else None,
        "datasets": list(found.datasets),
        "ranks": dict(zip(found.rows, found.ranks.tolist(), strict=True)),
        "chi_squared": None if test is None else test.chi_squared,
        "p_chi_squared": None if test is None else test.p_chi_squared,
        "f": None if test is None else or_null(test.f),
        "p": None if test is None else test.p,
        "critical_difference": None if test is None else found.critical_difference,
        "left_out": list(found.left_out),
        "notes": _across_notes(found),
        "pairs": [_line_as_data(line) for line in found.pairs],
    }


def _line_as_data(line: Tested) -> dict[str, Any]:
    found = line.probabilities
    believed = None
    if found is not None:
        believed = {word: or_null(getattr(found, word)) for word in ("worse", "equal", "better")}
    return {
        **comparison_as_data(line.comparison),
        "class": line.of_class or None,
        "probabilities": believed,
        "verdict": line.verdict,
        "reason": line.reason,
    }


def csv_of(tables: Sequence[Mapping[str, Any]]) -> str:
    """Return what :func:`differences_as_data` or :func:`across_as_data` made as one CSV.

    What tells tables apart, such as a covariate, has a column of its own, as in a leaderboard.
    """
    shared = ("dataset", "dataset_fingerprint", "protocol", "fingerprint")
    numbers = ("difference", "low", "high", "standard_error", "p", "p_adjusted")
    believed = ("worse", "equal", "better")
    told = ["table", "test", "metric", "first", "second", "class", *numbers, *believed]
    told += ["verdict", "reason"]
    apart = {
        key: f"group by {key}" if key in told else key
        for table in tables
        for key in table
        if key not in shared and (key in GROUPINGS or key not in TOLD)
    }
    columns = [*shared, *apart.values(), *told]
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for table in tables:
        for pair in table["pairs"]:
            parts = (pair["interval"], pair["probabilities"] or {}, pair)
            line = {key: value for part in parts for key, value in part.items()}
            groups = {name: table.get(key) for key, name in apart.items()}
            names = {"dataset": ", ".join(table.get("datasets", []))}
            writer.writerow({**names, **table, **line, **groups})
    return out.getvalue().rstrip("\n")
