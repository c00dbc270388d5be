"""``mritk list``: what can be named, and who provides it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option
from mritk.cli.tell import echo, echo_json
from mritk.cli.terminal import terminal_width

if TYPE_CHECKING:
    from mritk.plugins.registry import Registry
    from mritk.records import Family, Record

NOUNS = (
    "backbones",
    "datasets",
    "augmentations",
    "methods",
    "protocols",
    "benchmarks",
    "metrics",
    "executors",
    "explainers",
)


# Columns between those of a table, and at least for what a thing is.
GAP, LEAST = 2, 30


@click.command("list")
@click.argument("noun", metavar="NOUN", type=click.Choice(NOUNS))
@json_option
@plugin_option
@pass_app
def list_names(app: App, noun: str, as_json: bool) -> None:
    """List what plugins provide: names, descriptions and origins.

    NOUN is backbones, datasets, augmentations, methods, protocols, benchmarks, metrics, executors
    or explainers.
    """
    rows = _metrics(app.registry) if noun == "metrics" else _rows(app.registry, noun)
    if as_json:
        echo_json(rows)
        return
    from tabulate import tabulate

    heads = ("name", "what it is", "from")
    cells = [list(row.values()) for row in rows]
    width, rest = terminal_width(), 2 * GAP
    rest += sum(max(map(len, column)) for column in list(zip(heads, *cells, strict=True))[::2])
    # At a terminal what does not fit into one line takes several.
    room = None if width is None else max(LEAST, width - rest)
    echo(tabulate(cells, heads, maxcolwidths=[None, room, None]))


def _rows(registry: Registry, noun: str) -> list[dict[str, str]]:
    from mritk.plugins.loading import NOUNS, name_of
    from mritk.records import Family

    plain = _backbones(registry) if noun == "backbones" else []
    families = []
    for kind in NOUNS[noun]:
        for record in registry.records(kind):
            if isinstance(record, Family):
                families.append(_family_row(record))
            elif noun != "backbones":
                plain.append(_row(name_of(record), record))
    return plain + families


def _backbones(registry: Registry) -> list[dict[str, str]]:
    from mritk import records

    rows = []
    for architecture in registry.records(records.Architecture):
        rows.append(_row(f"{architecture.name}@scratch", architecture))
    known = {architecture.name for architecture in registry.records(records.Architecture)}
    for weights in registry.records(records.Weights):
        if weights.architecture in known:
            rows.append(_row(f"{weights.architecture}@{weights.name}", weights))
    for alias in registry.records(records.Alias):
        rows.append(_row(alias.name, alias) | {"summary": f"same as {alias.target}"})
    rows.append(
        {"name": "ARCH@file:PATH", "summary": "weights from your own file", "from": "mritk"}
    )
    return sorted(rows, key=lambda row: row["name"])


def _row(name: str, record: Record) -> dict[str, str]:
    return {"name": name, "summary": record.summary, "from": str(record.origin)}


def _family_row(family: Family) -> dict[str, str]:
    row = _row(f"{family.opening}{family.placeholder}", family)
    if family.schema is not None:
        names = ", ".join(f",{option.name}=…" for option in fields(family.schema))
        row["summary"] += f"; options {names}"
    return row


def _metrics(registry: Registry) -> list[dict[str, str]]:
    from mritk.evaluate.metrics import all_metrics

    own = set(all_metrics())
    return [
        {
            "name": metric.name,
            "summary": f"{metric.label} {metric.arrow}".rstrip()
            + f" ({metric.task})"
            + (f": {metric.summary}" if metric.summary else ""),
            "from": "mritk" if metric.name in own else str(metric.origin),
        }
        for metric in all_metrics(registry.metrics()).values()
    ]
