"""``mritk show``: everything about one name or one trial."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mritk.cli.app import App, json_option, pass_app, plugin_option, results_option
from mritk.cli.completed import complete_trial
from mritk.cli.readable import history_table, readable
from mritk.cli.tell import echo, echo_data, echo_json
from mritk.cli.terminal import require_one_format
from mritk.errors import Unavailable, UnknownName, UsageError
from mritk.text.listed import many

# As mritk.files.code_state.digest_of_sources writes them.
SOURCES = re.compile(r"[0-9a-f]{16}(?::[0-9a-f]{16})*")

if TYPE_CHECKING:
    import numpy as np

    from mritk.evaluate.metric import Value
    from mritk.plugins.registry import Registry
    from mritk.protocol.protocol import Protocol
    from mritk.store.trial_file import Predictions, TrialRecord
    from mritk.tasks.task import Task


@click.command()
@click.argument("name", metavar="NAME|TRIAL", shell_complete=complete_trial)
@results_option("Results folder of the trial.")
@json_option
@click.option("--toml", "as_toml", is_flag=True, help="Print a protocol as an editable TOML file.")
@plugin_option
@pass_app
def show(app: App, name: str, folder: Path, as_json: bool, as_toml: bool) -> None:
    """Show a backbone, dataset, augmentation, method or protocol, or a trial by id prefix.

    A trial may also be specified by the path of its file. A protocol is shown as TOML, with all
    keys of a protocol file.

    \b
    mritk show densenet121@radimagenet
    mritk show quick --toml > mine.toml && mritk run --protocol mine.toml
    """
    from mritk.store.find_trial import trial_or_none

    require_one_format({"--json": as_json, "--toml": as_toml})
    if as_toml:
        echo_data(_toml(app.registry, name))
        return
    record = trial_or_none(name, folder)
    found = _record(app.registry, name, folder) if record is None else _describe_trial(record)
    if as_json:
        echo_json(found, default=str)
        return
    from tabulate import tabulate

    history = found.pop("history", [])
    protocol = found.pop("protocol") if isinstance(found.get("protocol"), dict) else None
    if "provenance" in found:
        reader = [_shortened(item) for item in found["provenance"].get("reader", [])]
        found["provenance"] = {**found["provenance"], "reader": reader}
    if found:
        rows = [(label, readable(label, value)) for label, value in _flat(found)]
        echo(tabulate(rows, tablefmt="plain", disable_numparse=True))
    if history:
        echo(f"\n{history_table(history)}")
    if protocol is not None:
        echo(f"# protocol {name}, fingerprint {protocol['fingerprint']}")
        echo_data(_toml(app.registry, name))


def _toml(registry: Registry, name: str) -> str:
    """Return the protocol of that name as a file.

    Raises:
        UnknownName: There is none.
    """
    from mritk.cli.protocol_toml import protocol_toml
    from mritk.study.benchmark import find_protocol

    return protocol_toml(find_protocol(name, registry))


def _shortened(item: str) -> str:
    """Return what tells of a reader, with one digest in place of one per source file."""
    if not SOURCES.fullmatch(item):
        return item
    count = item.count(":") + 1
    digest = hashlib.sha256(item.encode()).hexdigest()[:12]
    return f"{many(count, 'source file')} {digest}"


def _flat(data: dict[str, Any], prefix: str = "") -> Any:
    for key, value in data.items():
        label = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{label}.")
        elif isinstance(value, (list, tuple)) and value and isinstance(value[0], dict):
            for number, item in enumerate(value, 1):
                yield from _flat(item, f"{label}[{number}].")
        elif isinstance(value, list) and any(", " in str(item) for item in value):
            for number, item in enumerate(value, 1):  # sentences
                yield f"{label}[{number}]", item
        else:
            shown = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else value
            yield label, "–" if shown in ("", None) else shown


def _describe_trial(record: TrialRecord) -> dict[str, Any]:
    import numpy as np

    from mritk.cards.limits import limits_of
    from mritk.store.layout import ATTRIBUTES

    shown: dict[str, Any] = {name: getattr(record, name) for name in ATTRIBUTES}
    if record.failure:
        shown["failure"] = asdict(record.failure)
    if record.without_model:
        shown["no stored model"] = record.without_model
    for part, predictions in record.predictions.items():
        every, clean = np.ones(len(predictions.id), dtype=bool), predictions.known_clean
        shown[part] = _scores(record.task, predictions, every)
        if not clean.all():
            shown[f"{part}, clean samples"] = _scores(record.task, predictions, clean)
    shown |= _further_scores(record)
    audit = dict(record.audit)
    findings = audit.pop("findings", [])
    shown["audit"] = audit | {"findings": [finding["text"] for finding in findings]}
    shown["split sizes"] = {part: len(ids) for part, ids in record.splits.items()}
    shown["epochs"] = len(record.history)
    epochs = [asdict(epoch) for epoch in record.history]
    shown["history"] = [epoch | epoch.pop("extra") for epoch in epochs]
    if record.finished:
        shown["limits"] = limits_of(record)
    notes = dict(record.notes)
    if isinstance(changed := notes.get("changed_tensors"), dict):  # a method's may be another thing
        notes["changed_tensors"] = {
            stage: len(tensors) if isinstance(tensors, list) else tensors
            for stage, tensors in changed.items()
        }
    return shown | {"notes": notes, "cost": record.cost, "provenance": record.provenance}


def _scores(task: Task, predictions: Predictions, rows: np.ndarray) -> dict[str, Any]:
    from mritk.evaluate.metrics import find_metric
    from mritk.results.clean_support import CleanSupport

    shown: dict[str, Any] = {"samples": int(rows.sum())}
    target, score = predictions.target[rows], predictions.score[rows]
    if rows.all():
        return shown | _all_metrics(task, target, score)
    support = CleanSupport.of_test(predictions, task)
    found = _all_metrics(task, target, score, partial=True)
    short = {name: support.withheld(find_metric(name), task) for name in found}
    return shown | {
        name: f"not shown: {short[name]}" if short[name] else value for name, value in found.items()
    }


def _all_metrics(
    task: Task, target: np.ndarray, score: np.ndarray, *, partial: bool = False
) -> dict[str, Any]:
    from mritk.evaluate.metrics import metrics_of
    from mritk.results.named_reasons import named_value

    found = {
        metric.name: metric.compute(target, score, leave_out_absent=partial)
        for metric in metrics_of(task, shown=False)
    }
    return {name: _text(named_value(value, task)) for name, value in found.items()}


def _text(value: Value) -> str | float:
    return f"nan: {value.reason}" if value.reason else round(value.value, 4)


def _further_scores(record: TrialRecord) -> dict[str, Any]:
    """Return the test scores by class, by patient, by site and source, and after calibration."""
    import numpy as np

    from mritk.evaluate.by_patient import by_patient
    from mritk.evaluate.metric import Undefined
    from mritk.evaluate.per_class import per_class

    test, val = record.predictions.get("test"), record.predictions.get("val")
    if test is None:
        return {}
    shown: dict[str, Any] = {}
    if any(test.patient):
        try:
            cases = bool(test.cases)
            found = by_patient(test.target, test.score, test.patient, cases=cases)
        except Undefined as undefined:
            shown["test, patients"] = f"nan: {undefined}"
        else:
            scores = _all_metrics(record.task, found.target, found.score)
            shown["test, patients"] = {"patients": len(found.patient)} | scores
    for column in ("site", "source"):
        values = getattr(test, column)
        if len(set(values)) > 1:
            for value in sorted(set(values)):
                rows = np.asarray(values) == value
                shown[f"test, {column} {value or 'unknown'}"] = _scores(record.task, test, rows)
    if record.task.classes:
        shown["test, by class"] = {
            scores.name: {"samples": scores.support, "prevalence": round(scores.prevalence, 4)}
            | {name: _text(value) for name, value in scores.values.items()}
            for scores in per_class(test.target, test.score, record.task.classes)
        }
        if val is not None and not record.stored_protocol.validates_on_test:
            shown["test, calibrated on val"] = _calibrated(record.task, val, test)
    return shown


def _calibrated(task: Task, val: Predictions, test: Predictions) -> dict[str, Any]:
    from mritk.evaluate.metric import Undefined
    from mritk.evaluate.temperature import calibrated, fit_temperature

    try:
        temperature = fit_temperature(val.target, val.score)
    except Undefined as undefined:
        return {"temperature": f"nan: {undefined}"}
    scores = _all_metrics(task, test.target, calibrated(test.score, temperature))
    kept = {name: scores[name] for name in ("log_loss", "brier", "ece")}
    return {"temperature": round(temperature, 4)} | kept


def _record(registry: Registry, name: str, folder: Path) -> dict[str, Any]:
    """Describe what the registry has under a name; the same name may stand for several things."""
    from mritk.study.benchmark import find_protocol

    finders: dict[str, Callable[[], dict[str, Any]]] = {
        "backbone": lambda: _describe_backbone(registry, name),
        "dataset": lambda: _describe_dataset(registry, name),
        "augmentation": lambda: _describe(registry.augmentation(name)),
        "method": lambda: _describe_method(registry, name),
        "protocol": lambda: _describe_protocol(find_protocol(name, registry)),
    }
    found: dict[str, Any] = {}
    reasons: dict[str, UsageError | Unavailable] = {}
    for noun, find in finders.items():
        try:
            found[noun] = find()
        except (UsageError, Unavailable) as error:
            reasons[noun] = error
    if not found:
        raise _not_found(name, reasons, folder)
    return found


def _not_found(
    name: str, reasons: dict[str, UsageError | Unavailable], folder: Path
) -> UsageError | Unavailable:
    """Return the error for a name that is nothing: it tells of the kinds that may have it."""
    refusals = {k: v for k, v in reasons.items() if not isinstance(v, UnknownName)}
    if len(refusals) > 1:  # whatever ends in .toml may be a file of a protocol, which is not there
        refusals.pop("protocol", None)
    if len(refusals) == 1:
        return next(iter(refusals.values()))
    if refusals:
        absent = any(isinstance(error, Unavailable) for error in refusals.values())
        text = "; ".join(f"as a {noun}: {error}" for noun, error in refusals.items())
        return Unavailable(text) if absent else UsageError(text)
    if "@" in name or ":" in name:
        return reasons["backbone"]
    return UnknownName(
        f"unknown name {name!r}: no {', '.join(reasons)}, and no trial in {folder}; use --results "
        "for another folder; 'mritk list backbones' etc. list available names"
    )


def _describe_protocol(protocol: Protocol) -> dict[str, Any]:
    """Return every key that a protocol file may hold, also those that shape nothing."""
    described = asdict(protocol)
    del described["name"], described["rehearsal"]
    return described | {"fingerprint": protocol.fingerprint}


def _describe(record: Any) -> dict[str, Any]:
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {k: str(v) if k == "origin" else v for k, v in values if not callable(v)}


def _describe_dataset(registry: Registry, name: str) -> dict[str, Any]:
    from mritk.cli.contents import contents_of

    record = registry.dataset(name)
    workspace = replace(registry.workspace, offline=True)
    return _describe(record) | {"contents": contents_of(record, name, workspace)}


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
    from mritk.protocol.protocol import describe_method

    method = registry.method(name)
    return {
        "summary": method.summary,
        "origin": str(method.origin),
        "parameters": {key: str(default) for key, default in describe_method(method)},
    }
