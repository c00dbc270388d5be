"""Where the numbers of a table come from: its trials, and what they were made with."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mritk.results.cost import RESUMED
from mritk.results.table import Table
from mritk.store.record import TrialRecord
from mritk.text.duration import duration
from mritk.text.numbers import decimals

# Lists that are longer, such as those of tensors, are shown by their first items.
LONG, FIRST = 8, 3
# Values of one key that are listed where trials differ in it.
MOST = 3
OWN = {"started"}  # differs from trial to trial, and stands with each


def trials_of(table: Table) -> list[dict[str, str]]:
    """Return a line per trial: what was trained, how long, where, and what it scored."""
    metric = table.metrics[0].name
    lines = []
    for row in (row for row in table.rows if not row.derived):
        records = table.records.get(row.name, ())
        for record, value in zip(records, row.cells[metric].values, strict=True):
            lines.append(_line(record, row.name, value))
    return lines


def _line(record: TrialRecord, row: str, value: float) -> dict[str, str]:
    seconds = math.nan if RESUMED in record.cost else record.cost.get("seconds_fit", math.nan)
    machine = record.provenance.get("machine", {})
    selected = record.note("selected_epoch", int)
    stored = {"notes": record.notes, "cost": record.cost, "provenance": record.provenance}
    return {
        "id": record.id[:8],
        "row": row,
        "fold": str(record.fold) if record.folds > 1 else "",
        "seed": str(record.seed),
        "epochs": str(len(record.history)) if record.history else "–",
        "kept": "–" if selected is None else str(selected),
        "score": decimals(value, "nan"),
        "time": duration(seconds),
        "device": str(machine.get("gpu") or machine.get("device", "–")),
        "started": str(record.provenance.get("started", "–"))[:16].replace("T", " "),
        "stored": json.dumps(_shortened(stored), indent=1, default=str),
    }


def _shortened(value: Any) -> Any:
    """Return what a trial stores, long lists cut short."""
    if isinstance(value, Mapping):
        return {name: _shortened(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)) and len(value) > LONG:
        return [*map(_shortened, value[:FIRST]), f"... {len(value) - FIRST} more"]
    return value


def made_with(records: Sequence[TrialRecord]) -> list[tuple[str, str]]:
    """Return the provenance that trials share, and where they differ, as names and texts."""
    every = [dict(_flat(record.provenance)) for record in records]
    names = dict.fromkeys(name for found in every for name in found)
    told = []
    for name in names:
        values = dict.fromkeys(found.get(name, "–") for found in every)
        some = " | ".join(values) if len(values) <= MOST else f"{len(values)} different values"
        told.append((name, some))
    return told


def _flat(data: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, str]]:
    for name, value in data.items():
        key = f"{at}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key} ")
        elif isinstance(value, (list, tuple)) and not any(isinstance(v, Mapping) for v in value):
            yield key, (" " if name == "command" else ", ").join(map(str, value))
        elif name not in OWN and not isinstance(value, (list, tuple)) and value not in (None, ""):
            yield key, str(value)


def trained_when(records: Sequence[TrialRecord]) -> str:
    """Return the days on which trials were begun; empty where no file tells."""
    days = sorted({str(r.provenance.get("started", ""))[:10] for r in records} - {""})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""
