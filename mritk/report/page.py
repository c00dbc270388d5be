"""The report: one HTML page that needs nothing else, from a leaderboard."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

import mritk
from mritk.data.samples import Classification
from mritk.errors import UsageError
from mritk.evaluate.metric import Value
from mritk.evaluate.per_class import per_class
from mritk.report.canvas import inline_svg
from mritk.report.hardest import conflicts, hardest
from mritk.report.kinds import CAPTIONS, KINDS
from mritk.results.columns import cell_text
from mritk.results.cost import COLUMNS
from mritk.results.formats import caption
from mritk.results.protocol_text import protocol_words
from mritk.results.table import Cell, Leaderboard, Row, Table
from mritk.results.trialfile import TrialRecord

TITLES = {
    "forest": "Scores",
    "differences": "Differences",
    "learning": "Learning curves",
    "roc": "ROC",
    "pr": "Precision and recall",
    "confusion": "Confusion",
    "reliability": "Reliability",
    "cost": "Cost",
}


@dataclass(frozen=True)
class Shown:
    """A cell of the leaderboard.

    Attributes:
        text: What is read.
        value: What it is sorted by; empty sorts last.
    """

    text: str
    value: str


def render(
    board: Leaderboard,
    failed: Sequence[TrialRecord],
    pictures: Mapping[str, Mapping[str, str]],
    remarks: Sequence[str],
) -> str:
    """Return the page.

    Args:
        board: The leaderboard.
        failed: Failed trials.
        pictures: By fingerprint of a dataset: thumbnails by sample id.
        remarks: Lines about the report itself: pictures that could not be shown.
    """
    environment = Environment(
        loader=PackageLoader("mritk.report"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _asset("report.js")
    return environment.get_template("report.html").render(
        version=mritk.__version__,
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        sections=[_section(n, table, pictures) for n, table in enumerate(board.tables, 1)],
        failed=failed,
        damaged=board.damaged,
        drift=board.drift,
        remarks=remarks,
    )


def _asset(name: str) -> str:
    return (files("mritk.report") / "templates" / name).read_text(encoding="utf-8")


def _section(
    number: int, table: Table, pictures: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """Return what the page says of one table."""
    records = [record for row in table.records.values() for record in row]
    protocol = table.protocol
    hard = hardest(table)
    return {
        "number": number,
        "title": f"{table.keys['dataset']}, {table.keys['protocol']}",
        "caption": caption(table),
        "headline": headline(table),
        "heads": _heads(table),
        "rows": [_cells(table, row) for row in table.rows],
        "notes": table.notes,
        "figures": _figures(number, table),
        "per_class": _per_class(table),
        "hardest": [asdict(sample) for sample in hard],
        "conflicts": conflicts(table),
        "pictures": pictures.get(str(table.keys["dataset_fingerprint"]), {}),
        "findings": _findings(records),
        "protocol": protocol_words(protocol, str(table.keys["scheme"])) if records else [],
        "protocol_json": json.dumps(protocol.data, indent=2),
        "trials": [_trial(record) for record in records],
    }


def headline(table: Table) -> str:
    """Return one sentence: which row is best, and whether it can be told apart."""
    metric = table.metrics[0]
    scored = [row for row in table.rows if row.cells[metric.name].defined]
    if not scored:
        return "No trial has finished."
    best = scored[0]
    text = f"{best.name} has the best {metric.label}: {cell_text(best.cells[metric.name], '')}."
    if len(scored) == 1 or not best.tie:
        return text
    tied = [row.name for row in scored[1:] if set(row.tie) & set(best.tie)]
    untested = [row.name for row in scored[1:] if not row.tie]
    if tied:
        text += f" It cannot be told apart from {', '.join(tied)}."
    if untested:
        return f"{text} It was not tested against {', '.join(untested)}."
    return text if tied else f"{text} It is told apart from every other row."


def _heads(table: Table) -> list[str]:
    first, *others = table.metrics
    heads = ["backbone", "tie", f"{first.label} {first.arrow}", "SD"]
    heads += ["clean"] if any(row.clean_cells for row in table.rows) else []
    heads += [f"{metric.label} {metric.arrow}".strip() for metric in others]
    heads += [f"{c.label} {c.arrow}" for c in COLUMNS if _told(table, c.name)]
    return [*heads, "trials"]


def _told(table: Table, column: str) -> bool:
    return any(column in row.cost for row in table.rows)


def _cells(table: Table, row: Row) -> list[Shown]:
    first, *others = table.metrics
    main = row.cells[first.name]
    cells = [Shown(row.name, row.name), Shown(row.tie or "–", row.tie), _shown(main, row.marks)]
    cells.append(_number(main.spread, f"{main.spread:.3f}"))
    if any(other.clean_cells for other in table.rows):
        cells.append(_shown(row.clean_cells.get(first.name), row.marks))
    cells += [_shown(row.cells[metric.name], row.marks) for metric in others]
    for column in COLUMNS:
        if _told(table, column.name):
            value = row.cost.get(column.name, math.nan)
            cells.append(_number(value, column.text(value)))
    failed = f" ({row.failed} failed)" if row.failed else ""
    return [*cells, Shown(f"{row.trials}{failed}", str(row.trials))]


def _shown(cell: Cell | None, marks: str) -> Shown:
    value = math.nan if cell is None else cell.mean
    return Shown(cell_text(cell, marks), "" if math.isnan(value) else repr(value))


def _number(value: float, text: str) -> Shown:
    return Shown("–", "") if math.isnan(value) else Shown(text, repr(value))


def _figures(number: int, table: Table) -> list[dict[str, Any]]:
    """Return the figures that this table has, as SVG."""
    found = []
    for kind, draw in KINDS.items():
        if kind == "differences" and len([r for r in table.rows if r.trials]) < 2:
            continue
        if not any(row.trials for row in table.rows):
            continue
        try:
            figure = draw(table, table.metrics[0])
        except UsageError:  # this table has no such figure
            continue
        label = f"{TITLES[kind]}: {CAPTIONS[kind]}"
        svg = inline_svg(figure, f"t{number}-{kind}", label)
        # matplotlib escapes the names that it writes.
        found.append({"kind": kind, "title": TITLES[kind], "caption": CAPTIONS[kind],
                      "svg": Markup(svg)})  # fmt: skip
    return found


def _per_class(table: Table) -> list[dict[str, Any]]:
    """Return the scores of each class for the best row, over its first trial's test samples."""
    if not isinstance(table.task, Classification):
        return []
    best = next((row for row in table.rows if table.records.get(row.name)), None)
    if best is None:
        return []
    test = table.records[best.name][0].predictions["test"]
    return [
        {
            "row": best.name,
            "name": scores.name,
            "support": scores.support,
            "prevalence": f"{scores.prevalence:.1%}",
            "values": {name: _text(value) for name, value in scores.values.items()},
        }
        for scores in per_class(test.target, test.score, table.task.classes)
    ]


def _text(value: Value) -> str:
    return f"nan: {value.reason}" if value.reason else f"{value.value:.3f}"


def _findings(records: Sequence[TrialRecord]) -> list[dict[str, str]]:
    found = {
        finding["text"]: {"level": finding["level"], "text": finding["text"]}
        for record in records
        for finding in record.audit.get("findings", [])
    }
    return list(found.values())


def _trial(record: TrialRecord) -> dict[str, str]:
    kept = {"notes": record.notes, "cost": record.cost, "provenance": record.provenance}
    return {
        "id": record.id,
        "name": f"{record.backbone}, {record.augmentation}, fold {record.fold}, seed {record.seed}",
        "text": json.dumps(kept, indent=1, default=str),
    }
