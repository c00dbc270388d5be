"""The outcome of the gate as text for a pull request, or as data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mritk.compare.gate import Change, Comparisons
from mritk.evaluate.comparison import Verdict
from mritk.results.columns import interval_text, name_text
from mritk.results.formats import comparison_as_data, left_out, sentences
from mritk.text.numbers import decimals, or_null, p_text
from mritk.text.text_table import Column, filled, fitted, text_table

# What goes first where a terminal has no room; the difference of the two stays.
KEEP = {"base": 0, "head": 1}
MEANS = (
    "Difference: head minus base, paired by patient, seed and fold, with 95 % interval. Verdict: "
    "at 5 %, Holm-corrected over the rows of a metric."
)
SIGNS = {Verdict.BETTER: "▲ better", Verdict.WORSE: "▼ worse", Verdict.CANNOT_TELL: "cannot tell"}


def comparisons_text(found: Comparisons, style: str, width: int | None = None) -> str:
    """Return the comparison as a table (``github`` or ``plain``) with its reservations.

    Args:
        found: The comparison.
        style: ``github`` or ``plain``.
        width: Of the terminal; what does not fit is left out, and named. None: nothing is.
    """
    rows = [_row(change, style, several=found.several) for change in found.changes]
    told = headline(found)
    blocks = [sentences([told if style == "github" else told.replace("**", "")], style, width)]
    if rows:
        columns, dropped = fitted(_columns(rows), style, width)
        blocks += [
            text_table(columns, style),
            sentences([*left_out(dropped, "compare"), MEANS], style, width),
        ]
    for title, lines in _reservations(found):
        listed = (filled(f"- {sentences([line], style)}", width) for line in lines)
        blocks.append("\n".join([f"{title}:", "", *listed]))
    return "\n\n".join(blocks)


def _columns(rows: Sequence[Mapping[str, str]]) -> list[Column]:
    return [Column(name, [row[name] for row in rows], KEEP.get(name, math.inf)) for name in rows[0]]


def headline(found: Comparisons) -> str:
    """Return one sentence: what the gate says."""
    if found.broken:
        told = [f"{found.row(c)} ({c.metric.label}{_rules(c)})" for c in found.broken]
        return " ".join([f"**Significantly worse:** {', '.join(told)}.", *_tolerated(found)])
    if not found.changes:
        return "**Nothing could be compared.**"
    if len(found.untested) + len(found.undefined) == len(found.changes):
        return "**Nothing could be tested.** A regression is neither detected nor ruled out."
    verdict = "No rule is broken" if found.ruled else "No regression detected"
    words = [f"**{verdict}{'' if found.complete else ' in what could be tested'}.**"]
    words += _tolerated(found)
    better = [found.row(c) for c in found.changes if c.verdict is Verdict.BETTER]
    if better:
        words.append(f"Better: {', '.join(dict.fromkeys(better))}.")
    return " ".join(words)


def _tolerated(found: Comparisons) -> list[str]:
    """Say what is worse and breaks no rule; without rules, whatever is worse breaks the gate."""
    worse = [f"{found.row(c)} ({c.metric.label})" for c in found.worse if not c.broken]
    if not found.ruled or not worse:
        return []
    return [f"Significantly worse, but by no rule: {', '.join(worse)}."]


def _rules(change: Change) -> str:
    return f": {', '.join(change.broken)}" if change.broken else ""


def _reservations(found: Comparisons) -> list[tuple[str, Sequence[str]]]:
    def named(change: Change) -> str:
        return f"{found.row(change)}, {change.metric.label}"

    without = {
        f"{named(change)}: {compared.interval.reason}"
        for change in found.changes
        if (compared := change.comparison).interval.reason
        and compared.difference
        and compared.tested
    }
    told = [
        ("Not compared, different conditions", found.pairs.incomparable),
        ("Not compared, trials of before and after a change", found.pairs.ambiguous),
        ("Not compared, missing", found.pairs.missing),
        ("Not compared, metrics that the task of no dataset of the base has", found.unused),
        ("Not compared, without scores (unlabelled data)", found.pairs.unscored),
        ("Not read", found.pairs.damaged),
        ("Not compared, undefined before or after", [named(c) for c in found.undefined]),
        ("Not tested", [f"{named(c)}: {c.comparison.reason}" for c in found.untested]),
        ("New, no base", found.pairs.added),
        ("Caveats", found.doubtful),
        ("Without an interval", sorted(without)),
    ]
    return [(title, lines) for title, lines in told if lines]


def _row(change: Change, style: str, *, several: bool) -> dict[str, str]:
    names = {"dataset": change.dataset, "protocol": change.protocol} if several else {}
    where = {key: name_text(name, style) for key, name in names.items()}
    comparison = change.comparison
    interval = comparison.interval
    ends = "" if interval.reason else f" {interval_text(interval)}"
    return {
        "row": name_text(change.row, style),
        **where,
        "metric": f"{change.metric.label} {change.metric.arrow}".rstrip(),
        "base": decimals(change.base, "nan"),
        "head": decimals(change.head, "nan"),
        "difference": f"{decimals(comparison.difference, 'nan', sign='+')}{ends}",
        "p (Holm)": p_text(comparison.p_adjusted),
        "verdict": _verdict(change),
    }


def _verdict(change: Change) -> str:
    if not change.comparison.tested:
        return "cannot tell (not tested)"
    return SIGNS[change.verdict] + (" ✗" if change.broken else "")


def comparisons_as_data(found: Comparisons) -> dict[str, Any]:
    """Return the comparison as JSON-able data; undefined numbers are null."""

    def named(changes: Sequence[Change]) -> list[str]:
        return [f"{found.row(change)}: {change.metric.name}" for change in changes]

    return {
        "exit_code": int(found.exit_code),
        "regressions": named(found.broken),
        "worse": named(found.worse),
        "changes": [
            {
                "row": change.row,
                "dataset": change.dataset,
                "protocol": change.protocol,
                "metric": change.metric.name,
                "base": or_null(change.base),
                "head": or_null(change.head),
                **comparison_as_data(change.comparison),
                "broken_rules": list(change.broken),
            }
            for change in found.changes
        ],
        "undefined": named(found.undefined),
        "not_tested": named(found.untested),
        "unused_metrics": list(found.unused),
        "missing": found.pairs.missing,
        "unscored": found.pairs.unscored,
        "incomparable": found.pairs.incomparable,
        "ambiguous": found.pairs.ambiguous,
        "added": found.pairs.added,
        "doubtful": found.doubtful,
        "not_read": found.pairs.damaged,
    }
