"""The model card of a trial, in Markdown.

Its sections are those of Mitchell et al. 2019, Model Cards for Model Reporting
(https://arxiv.org/abs/1810.03993); its front matter is that of the Hugging Face hub.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mritk.audit.verdict import verdict_line
from mritk.cards.card_metrics import CardMetric, calibration_metrics, card_metrics
from mritk.cards.licence_terms import NOT_STORED, hub_fields, terms_of
from mritk.cards.limits import is_synthetic, limits_of
from mritk.errors import UsageError
from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Value
from mritk.evaluate.metrics import of_any_region
from mritk.evaluate.per_class import per_class
from mritk.images.grid import size_text
from mritk.protocol.words import protocol_words
from mritk.results.doubts import never_selected
from mritk.store.kept_model import NOTICE, kept_digest
from mritk.store.trial_file import TrialRecord
from mritk.text.markdown import escape, front_matter, table
from mritk.text.numbers import decimals

NO_WEIGHTS = "none"
# What the hub calls metrics; others keep their names, which it takes as they are.
HUB_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "macro_auroc": "roc_auc",
    "mcc": "matthews_correlation",
    "mae": "mae",
    "rmse": "rmse",
    "r2": "r_squared",
}
COST = (
    ("parameters", "parameters", 1, ",.0f"),
    ("trained_parameters", "trained parameters", 1, ",.0f"),
    ("flops", "GFLOPs per image (a multiply-add counts as two)", 1e9, ".3g"),
    ("latency_seconds", "latency for one image (ms)", 1e-3, ".3g"),
    ("seconds_fit", "training time (s)", 1, ",.1f"),
    ("seconds_predict", "prediction time, validation and test (s)", 1, ",.1f"),
    ("gpu_seconds", "GPU seconds", 1, ",.1f"),
    ("predict_images_per_second", "images scored per second", 1, ",.0f"),
    ("energy_joules", "GPU board energy (kJ)", 1e3, ".3g"),
    ("peak_device_memory_bytes", "peak device memory (GiB)", 2**30, ".3g"),
)


def trial_card(record: TrialRecord) -> str:
    """Return the model card of a finished trial.

    Raises:
        UsageError: The trial failed, so there is no model to describe; or it has no scores.
    """
    if not record.finished:
        raise UsageError(
            f"trial {record.id[:8]} is {record.status}, so there is no model to describe; see "
            f"'mritk show {record.id[:8]}'"
        )
    if not record.scored:
        raise UsageError(
            f"trial {record.id[:8]} learned from {record.task.kind} data and has no scores, which "
            f"a model card states; see 'mritk show {record.id[:8]}'"
        )
    found = card_metrics(record)
    lines = front_matter(_front(record, found))
    lines += ["", f"# {escape(record.backbone)} on {escape(record.dataset)}", "", f"**{NOTICE}**"]
    sections: list[tuple[str, list[str]]] = [
        ("Model details", _details(record)),
        ("Intended use", _intended(record)),
        ("Training and evaluation data", _data(record)),
        ("Protocol", _items(_protocol(record))),
        ("Metrics", _scores(record, found)),
        *([("Per class", _per_class(record))] if record.task.classes else []),
        *([("Calibration", _calibration(record))] if record.task.classes else []),
        ("Limits", _items(limits_of(record))),
        ("Licences", _licences(record)),
        ("Cost", _cost(record)),
        ("Provenance", _provenance(record)),
    ]
    for heading, body in sections:
        lines += ["", f"## {heading}", "", *body]
    return "\n".join(lines) + "\n"


def _items(texts: Sequence[str]) -> list[str]:
    return [f"- {escape(text)}" for text in texts]


def _front(record: TrialRecord, found: Sequence[CardMetric]) -> dict[str, Any]:
    kind = "image-classification" if record.task.classes else "other"
    if record.task.has_target_maps:
        kind = "image-segmentation"
    weights = _licence(record, "weights")
    front: dict[str, Any] = {"library_name": "mritk"}
    if not weights.startswith(NO_WEIGHTS):
        front |= hub_fields(weights)
    if kind != "other":
        front["pipeline_tag"] = kind
    front["tags"] = ["mritk", "brain", "mri", "medical-imaging", "research-only"]
    results = [
        {"type": _hub_metric(m.metric.name), "value": round(m.value, 4), "name": m.metric.label}
        for m in found
        if math.isfinite(m.value)
    ]
    front["metrics"] = list(dict.fromkeys(result["type"] for result in results))
    data = {"name": record.dataset, "type": record.dataset, "split": "test"}
    result = {"task": {"type": kind}, "dataset": data, "metrics": results}
    front["model-index"] = [{"name": f"{record.backbone} {record.id[:8]}", "results": [result]}]
    return front


def _hub_metric(name: str) -> str:
    """Return the hub's name of a metric; the label of a result says of which region it is."""
    name = of_any_region(name)
    return HUB_METRICS.get(name, name)


def _details(record: TrialRecord) -> list[str]:
    contract = record.provenance.get("input_contract", {})
    rows: list[tuple[str, object]] = [
        ("backbone", record.backbone),
        ("pretrained on", ", ".join(record.provenance.get("pretrained_on", ())) or "not stated"),
        ("citation", record.provenance.get("citation") or "not stated"),
        ("method", record.method),
        ("augmentation", record.augmentation),
        ("outputs", ", ".join(record.task.classes) or _predicted(record)),
        ("input", _contract_text(contract, record.notes.get("input_size"))),
        ("trial", record.id),
        ("mritk", record.provenance.get("mritk", NOT_STORED)),
    ]
    return table(("", ""), rows)


def _contract_text(contract: dict[str, Any], size: object) -> str:
    if not contract:
        return NOT_STORED
    side = size_text(tuple(size)) if isinstance(size, (list, tuple)) else size or "any"
    further = [
        f"in the order {', '.join(names)}" if (names := contract.get("channel_names")) else "",
        "cropped or padded" if contract.get("fit") == "crop_or_pad" else "",
        f"resampled to {contract['spacing']} mm" if contract.get("spacing") else "",
        "z-score of pixels other than 0" if contract.get("intensity") == "zscore" else "",
    ]
    return (
        f"{contract['channels']} channels ({contract['channel_order']}), side {side}, "
        f"pixels in [0, 1], mean {contract['mean']}, std {contract['std']}, resized "
        f"{contract['interpolation']}{''.join(f', {text}' for text in further if text)}"
    )


def _predicted(record: TrialRecord) -> str:
    if record.task.has_target_maps:
        return record.task.describe()
    return f"a value ({record.task.unit})" if record.task.unit else "a value"


def _intended(record: TrialRecord) -> list[str]:
    samples = "volumes" if record.volumes else "images"
    what = f"classifies {samples}"
    if not record.task.classes:
        what = f"predicts {escape(_predicted(record))} for {samples}"
    return [
        f"It {what} like those of {escape(record.dataset)}, to compare backbones, augmentations "
        "and training strategies under one protocol. It is not a medical device, was not "
        "evaluated as one, and must not guide diagnosis or treatment.",
    ]


def _data(record: TrialRecord) -> list[str]:
    level = "by patient" if record.grouped else "at image level (no patient ids)"
    kind = " (synthetic)" if is_synthetic(record) else ""
    lines = [f"{escape(record.dataset)}{kind}, fingerprint {record.dataset_fingerprint[:16]}."]
    split = f"Split {level}, scheme {escape(record.scheme)}"
    lines += [f"{split}; fold {record.fold} of {record.folds}.", ""]
    rows = []
    for part in ("train", "val", "test"):
        patients = record.provenance.get("patients", {}).get(part)
        told = (NOT_STORED if record.grouped else "not known") if patients is None else patients
        rows.append((part, len(record.splits.get(part, ())), told))
    lines += [*table(("part", "samples", "patients"), rows), "", *_sites(record)]
    lines.append(escape(verdict_line(record.audit)))
    leaks = [f["text"] for f in record.audit.get("findings", ()) if f["level"] != "note"]
    lines += ["", *_items(leaks)] if leaks else []
    overlap = ", ".join(record.audit.get("pretraining", ())) or "none declared"
    return [*lines, "", f"Overlap of pretraining and dataset: {escape(overlap)}."]


def _sites(record: TrialRecord) -> list[str]:
    """Return the share of each site in the samples of each part, if sites are known."""
    told = []
    for part, counts in record.provenance.get("sites", {}).items():
        total = max(1, sum(counts.values()))
        shares = ", ".join(f"{site or 'unknown'} {n / total:.0%}" for site, n in counts.items())
        told.append(f"{part} {shares or 'none'}")
    return [f"Sites: {escape('; '.join(told))}.", ""] if told else []


def _protocol(record: TrialRecord) -> list[str]:
    name = f"Protocol {record.protocol}, fingerprint {record.fingerprint[:16]}."
    words = protocol_words(
        record.stored_protocol,
        record.scheme,
        volumes=record.volumes,
        own_model=record.own_model,
    )
    return [name, *words, *_trained(record)]


def _trained(record: TrialRecord) -> list[str]:
    """Say what became of the epochs (or penalties) that the protocol allows."""
    states, kept = len(record.history), record.note("selected_epoch", int)
    if kept is None or not 0 < kept <= states:
        return []
    part = "test" if record.stored_protocol.validates_on_test else "validation"
    count = "1 checkpoint was" if states == 1 else f"{states} checkpoints were"
    stage = record.history[kept - 1].stage
    chosen = "was kept, as none could be selected" if never_selected(record) else "was selected"
    return [f"Training: {count} scored on the {part} set; number {kept} ({stage}) {chosen}."]


def _metrics(found: Sequence[CardMetric]) -> list[str]:
    rows = [
        (
            f"{one.metric.label} {one.metric.arrow}",
            f"undefined: {one.reason}" if one.reason else decimals(one.value),
            f"none: {one.interval.reason}" if one.interval.reason else _ends(one.interval),
            *([] if one.clean is None else [_clean(one.clean)]),
        )
        for one in found
    ]
    clean = ["clean"] if any(one.clean is not None for one in found) else []
    return table(("", "test", "95 % interval", *clean), rows)


def _clean(value: Value) -> str:
    return f"– ({value.reason})" if value.reason else decimals(value.value)


def _ends(interval: Interval) -> str:
    return f"{decimals(interval.low)} to {decimals(interval.high)}"


def _scores(record: TrialRecord, found: Sequence[CardMetric]) -> list[str]:
    what = "patients" if record.grouped else "duplicate groups"
    return [
        *_metrics(found),
        "",
        f"Intervals resample {what}{record.task.stratified}; they do not include the effect of "
        "retraining.",
    ]


def _per_class(record: TrialRecord) -> list[str]:
    test = record.predictions["test"]
    rows = [
        (
            row.name,
            row.support,
            decimals(row.values["sensitivity"].value, "undefined"),
            decimals(row.values["specificity"].value, "undefined"),
        )
        for row in per_class(test.target, test.score, record.task.classes)
    ]
    return table(("class", "test samples", "sensitivity", "specificity"), rows)


def _calibration(record: TrialRecord) -> list[str]:
    return [
        *_metrics(calibration_metrics(record)),
        "",
        "Probabilities are the softmax of the logits, without temperature scaling.",
    ]


def _licence(record: TrialRecord, of: str) -> str:
    return str(record.provenance.get("licenses", {}).get(of) or NOT_STORED)


def _licences(record: TrialRecord) -> list[str]:
    rows = []
    for of in ("weights", "dataset"):
        text = _licence(record, of)
        terms = [] if text.startswith(NO_WEIGHTS) else terms_of(text)
        rows.append((of, text, "; ".join(terms) or "–"))
    hint = (
        "The column 'mind' is derived from the name of the licence; the licence text is "
        "authoritative."
    )
    return [*table(("of", "licence", "mind"), rows), "", hint]


def _cost(record: TrialRecord) -> list[str]:
    cost = {"parameters": record.note("parameters", (int, float)), **record.cost}
    rows = [
        (label, format(float(value) / scale, form))
        for key, label, scale, form in COST
        if (value := cost.get(key)) is not None
    ]
    machine = record.provenance.get("machine", {})
    rows.append(("device", machine.get("gpu") or machine.get("processor") or NOT_STORED))
    lines = table(("", ""), rows)
    if "energy_shared" in cost:
        told = "Other processes used the GPU; the energy includes theirs."
        if lanes := cost.get("trials_at_once"):
            told = f"Up to {lanes:.0f} trials shared the GPU; the energy is the part of this one."
        lines += ["", told]
    if (after := cost.get("resumed_after_epochs")) is not None:
        resumed = f"Training was resumed: times and energy are those after epoch {after:.0f}."
        lines += ["", resumed]
    return lines


def _provenance(record: TrialRecord) -> list[str]:
    told = record.provenance
    weights = record.note("weights", dict) or {}
    rows: list[tuple[str, object]] = [
        ("mritk", f"{told.get('mritk', NOT_STORED)} {str(told.get('commit', ''))[:12]}"),
        *((f"{part} from", origin) for part, origin in told.get("plugins", {}).items()),
        ("packages", ", ".join(f"{k} {v}" for k, v in told.get("packages", {}).items())),
        ("weight file", weights.get("sha256", "none")),
        ("stored model", kept_digest(record) or "none"),
        ("started", told.get("started", NOT_STORED)),
    ]
    return table(("", ""), rows)
