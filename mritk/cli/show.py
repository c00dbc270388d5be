"""``mritk show``: everything about one name or one trial."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option, results_option
from mritk.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np

    from mritk.data.samples import Task
    from mritk.registry import Registry
    from mritk.results.trialfile import Predictions, TrialRecord


@click.command()
@click.argument("name", metavar="NAME|TRIAL")
@results_option("Where a trial is looked for.")
@json_option
@plugin_option
@pass_app
def show(app: App, name: str, folder: Path, as_json: bool) -> None:
    """Show a backbone, dataset, augmentation, method or protocol, or a trial by (part of) its id.

    A trial may also be given as the path of its file.
    """
    found = _trial(name, folder) or _record(app.registry, name)
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
        return
    from tabulate import tabulate

    click.echo(tabulate(list(_flat(found)), tablefmt="plain"))


def _flat(data: dict[str, Any], prefix: str = "") -> Any:
    for key, value in data.items():
        label = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{label}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, item in enumerate(value, 1):
                yield from _flat(item, f"{label}[{number}].")
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            yield label, "–" if shown in ("", None) else shown


def _trial(name: str, folder: Path) -> dict[str, Any] | None:
    from mritk.results.trialfile import read_trial

    if name.endswith(".h5"):
        return _describe_trial(read_trial(Path(name)))
    found = sorted((folder / "trials").glob(f"{name}*.h5")) if name.isalnum() else []
    if len(found) > 1:
        raise UnknownName(f"{name!r} begins the ids of {len(found)} trials in {folder}; type more")
    return _describe_trial(read_trial(found[0])) if found else None


def _describe_trial(record: TrialRecord) -> dict[str, Any]:
    import numpy as np

    from mritk.results.trialfile import ATTRIBUTES

    shown: dict[str, Any] = {name: getattr(record, name) for name in ATTRIBUTES}
    if record.failure:
        shown["failure"] = asdict(record.failure)
    for part, predictions in record.predictions.items():
        every = np.ones(len(predictions.id), dtype=bool)
        clean = every if predictions.clean is None else predictions.clean
        for name, rows in ((part, every), (f"{part}, clean samples", clean)):
            if name == part or not clean.all():
                shown[name] = _scores(record.task, predictions, rows)
    audit = dict(record.audit)
    findings = audit.pop("findings", [])
    shown["audit"] = audit | {"findings": [finding["text"] for finding in findings]}
    shown["split sizes"] = {part: len(ids) for part, ids in record.splits.items()}
    shown["epochs"] = len(record.history)
    notes = dict(record.notes)
    changed = notes.pop("changed_tensors", {})
    notes["changed_tensors"] = {stage: len(tensors) for stage, tensors in changed.items()}
    return shown | {"notes": notes, "cost": record.cost, "provenance": record.provenance}


def _scores(task: Task, predictions: Predictions, rows: np.ndarray) -> dict[str, Any]:
    from mritk.evaluate.metrics import metrics_of

    shown: dict[str, Any] = {"samples": int(rows.sum())}
    for metric in metrics_of(task):
        found = metric.compute(
            predictions.target[rows],
            predictions.score[rows],
            leave_out_absent=not rows.all(),
        )
        shown[metric.name] = f"nan: {found.reason}" if found.reason else round(found.value, 4)
    return shown


def _record(registry: Registry, name: str) -> dict[str, Any]:
    """Describe what the registry has under a name; the same name may stand for several things."""
    from mritk.benchmark import find_protocol

    finders: dict[str, Callable[[], dict[str, Any]]] = {
        "backbone": lambda: _describe_backbone(registry, name),
        "dataset": lambda: _describe(registry.dataset(name)),
        "augmentation": lambda: _describe(registry.augmentation(name)),
        "method": lambda: _describe_method(registry, name),
        "protocol": lambda: (
            find_protocol(name, registry).canonical()
            | {"fingerprint": find_protocol(name, registry).fingerprint}
        ),
    }
    found, reasons = {}, {}
    for noun, find in finders.items():
        try:
            found[noun] = find()
        except UnknownName as error:
            reasons[noun] = error
    if not found:
        if "@" in name or ":" in name:
            raise reasons["backbone"]
        names = ", ".join(finders)
        raise UnknownName(
            f"nothing is called {name!r}: no {names}, and no trial in the results folder; "
            f"'mritk list backbones' and the like show what there is"
        )
    return found


def _describe(record: Any) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    shown = {name: value for name, value in values.items() if not callable(value)}
    return {name: str(v) if name == "origin" else v for name, v in shown.items()}


def _describe_backbone(registry: Registry, name: str) -> dict[str, Any]:
    backbone = registry.backbone(name)
    shown: dict[str, Any] = {"name": backbone.name, "input": asdict(backbone.input)}
    shown["architecture"] = _describe(backbone.architecture)
    shown["architecture"].pop("input")
    if backbone.weights is not None:
        shown["weights"] = _describe(backbone.weights)
        shown["weights"].pop("input")
    return shown


def _describe_method(registry: Registry, name: str) -> dict[str, Any]:
    from mritk.protocol import describe_method

    method = registry.method(name)
    return {
        "summary": method.summary,
        "origin": str(method.origin),
        "parameters": {key: str(default) for key, default in describe_method(method)},
    }
