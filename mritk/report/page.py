"""The report: one HTML page that needs nothing else, from a leaderboard."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

import mritk
from mritk.data.samples import Samples
from mritk.errors import UsageError
from mritk.evaluate.tie_groups import letters_of
from mritk.protocol.words import protocol_words
from mritk.report.board import costs, scores
from mritk.report.by_class import by_class
from mritk.report.explained import explained
from mritk.report.figure_names import KINDS
from mritk.report.figures.curve import curve
from mritk.report.hardest import conflicts, hardest
from mritk.report.mask_slices import mask_slices
from mritk.report.origin import made_with, trained_when, trials_of
from mritk.report.row_labels import labelled
from mritk.report.style import inline_svg
from mritk.results.columns import cell_text
from mritk.results.footnotes import footnotes
from mritk.results.formats import caption
from mritk.results.table import Leaderboard, Table
from mritk.store.explanations import Explanations
from mritk.store.trial_file import TrialRecord
from mritk.text.listed import listed, many

PARTS = re.compile(r"(?<=[@/,])")


@dataclass(frozen=True)
class Figure:
    """A figure of the page; its SVG names what is in it, escaped."""

    kind: str
    title: str
    caption: str
    svg: Markup


@dataclass(frozen=True)
class Pictures:
    """What is shown of the samples of a dataset, by id.

    Attributes:
        thumbnails: Small pictures, as ``data:`` addresses.
        slices: The images on which label maps are drawn (:mod:`mritk.report.mask_slices`).
        samples: The samples themselves, for pictures of explanations; None: they are not open.
    """

    thumbnails: dict[str, str] = field(default_factory=dict)
    slices: dict[str, np.ndarray] = field(default_factory=dict)
    samples: Samples | None = None


def render(
    board: Leaderboard,
    failed: Sequence[TrialRecord],
    pictures: Mapping[str, Pictures],
    remarks: Sequence[str],
    made: datetime,
    explanations: Mapping[str, Explanations] | None = None,
) -> str:
    """Return the page.

    Args:
        pictures: By fingerprint of a dataset: what is shown of its samples.
        remarks: Lines about the report itself: pictures that could not be shown.
        made: When; it stands in the head of the page.
        explanations: By trial: what its network looked at.
    """
    environment = Environment(
        loader=PackageLoader("mritk.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"breakable": breakable, "heading": heading}
    script = _asset("report.js")
    return environment.get_template("report.html").render(
        title=title(board),
        version=mritk.__version__,
        made=made.strftime("%Y-%m-%d %H:%M %Z").strip(),
        trained=trained_when([record for table in board.tables for record in table.every_record]),
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        overview=_overview(board.tables),
        sections=[
            _section(n, table, pictures, explanations or {})
            for n, table in enumerate(board.tables, 1)
        ],
        failed=failed,
        damaged=board.damaged,
        drift=board.drift,
        remarks=remarks,
    )


def title(board: Leaderboard) -> str:
    """Return what the page is about: what was compared, and on which data."""
    datasets = list(dict.fromkeys(str(table.keys["dataset"]) for table in board.tables))
    rows = [row for table in board.tables for row in table.rows]
    names = {row.name for row in rows if not row.derived}
    mixed = len({row.name for row in rows if row.derived})
    what = f"{len(names)} models" if len(names) > 1 else f"{len(names)} model"
    if mixed:
        what += f" and {many(mixed, 'ensemble')}"
    compared = " compared" if len(names) + mixed > 1 else ""
    where = datasets[0] if len(datasets) == 1 else f"{len(datasets)} datasets"
    return f"{what}{compared} on {where}"


def breakable(name: str) -> Markup:
    """Return a name, escaped, that may be broken behind its parts."""
    return Markup("<wbr>").join(map(escape, PARTS.split(name)))


def heading(text: str) -> str:
    """Return a heading whose arrow does not stand in a line of its own."""
    return re.sub(r" (?=[↑↓]$)", "\N{NO-BREAK SPACE}", text)


def _asset(name: str) -> str:
    return (files("mritk.report") / "templates" / name).read_text(encoding="utf-8")


def _section(
    number: int,
    table: Table,
    pictures: Mapping[str, Pictures],
    explanations: Mapping[str, Explanations],
) -> dict[str, Any]:
    """Return what the page says of one table."""
    records = table.every_record
    shown = pictures.get(str(table.keys["dataset_fingerprint"]), Pictures())
    return {
        "number": number,
        "title": f"{table.keys['dataset']}, {table.keys['protocol']}",
        "caption": caption(table),
        "headline": headline(table),
        "scores": scores(table),
        "costs": costs(table),
        "metric": f"{table.metrics[0].label} {table.metrics[0].arrow}".strip(),
        "notes": footnotes(table),
        "figures": _figures(number, table),
        "by_class": by_class(table),
        "hardest": hardest(table),
        "conflicts": conflicts(table),
        "pictures": shown.thumbnails,
        "explained": [
            explained(explanations[record.id], record.backbone, shown.samples)
            for record in records
            if record.id in explanations
        ],
        "masks": mask_slices(table, shown.slices),
        "findings": _findings(records),
        "protocols": _protocols(table) if records else [],
        "trials": trials_of(table),
        "folds": table.folds > 1,
        "made_with": made_with(records),
    }


def _volumes(table: Table) -> bool | None:
    """Return whether its samples are volumes; None if no trial file tells."""
    return next((r.volumes for r in table.every_record if r.volumes is not None), None)


def _protocols(table: Table) -> list[dict[str, Any]]:
    """Return what is said of each protocol: its name, unless there is one, words, every field."""
    return [
        {
            "name": "" if table.one_protocol else part.keys["protocol"],
            "words": protocol_words(
                part.protocol,
                str(table.keys["scheme"]),
                volumes=_volumes(part),
                own_model=any(record.own_model for record in part.every_record),
            ),
            "json": json.dumps(part.protocol.data, indent=2),
        }
        for part in table.by_protocol
    ]


def headline(table: Table) -> str:
    """Return one sentence: which row is best, and from which it differs significantly."""
    metric = table.metrics[0]
    scored = [row for row in table.rows if row.ranked and row.cells[metric.name].defined]
    if not scored:
        finished = any(row.trials for row in table.rows)
        return f"No row has a value of {metric.label}." if finished else "No trial has finished."
    best = scored[0]
    text = f"{best.name} has the best {metric.label}: {cell_text(best.cells[metric.name], '')}."
    if len(scored) == 1 or not best.tie:
        return text
    letters = letters_of(best.tie)
    tied = [row.name for row in scored[1:] if letters_of(row.tie) & letters]
    untested = [row.name for row in scored[1:] if not row.tie]
    if tied:
        text += f" It does not differ significantly from {listed(tied)}."
    if untested:
        return f"{text} It was not tested against {listed(untested)}."
    which = "" if all(row.ranked for row in table.rows) else "ranked "
    return text if tied else f"{text} It differs significantly from every other {which}row."


def _overview(tables: Sequence[Table]) -> Figure | None:
    """Return the scores of several tables over the one key in which their protocols differ."""
    every = [part for table in tables for part in table.by_protocol]
    finished = [table for table in every if any(row.trials for row in table.rows)]
    if len(finished) < 2 or len({table.metrics[0].name for table in finished}) > 1:
        return None
    try:
        figure = curve(finished, finished[0].metrics[0])
    except UsageError:  # they differ in something else, or in several keys
        return None
    title, text = "Overview", "Mean scores with 95 % intervals, over the varied key."
    return Figure("curve", title, text, Markup(inline_svg(figure, "curve", f"{title}: {text}")))


def _figures(number: int, table: Table) -> dict[str, Figure]:
    """Return the figures that this table has, by their kind."""
    found: dict[str, Figure] = {}
    table, shared = labelled(table)
    trained = [row for row in table.rows if row.trials]
    for name, kind in KINDS.items():
        if len(trained) < (2 if name == "differences" else 1):
            continue
        try:
            figure = kind.draw(table, table.metrics[0])
        except UsageError:  # this table has no such figure
            continue
        text = f"{kind.caption} All rows: {shared}." if shared else kind.caption
        svg = inline_svg(figure, f"t{number}-{name}", f"{kind.title}: {text}")
        # matplotlib escapes the names that it writes.
        found[name] = Figure(name, kind.title, text, Markup(svg))
    return found


def _findings(records: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    found = {f["text"]: f for record in records for f in record.audit.get("findings", [])}
    return list(found.values())
