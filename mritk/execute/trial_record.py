"""What is stored of a trial: what it was made of, and what it gave."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mritk.audit.verdict import verdict
from mritk.store.record import Predictions
from mritk.store.trial_file import TrialRecord
from mritk.trial import Trial


@dataclass
class Found:
    """What a trial gave, as far as it came.

    Attributes:
        notes: What the method tells of its training.
        provenance: What the method adds to the provenance.
        predictions: By part of the split.
    """

    notes: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    predictions: dict[str, Predictions] = field(default_factory=dict)


def record_of(trial: Trial, provenance: dict[str, Any], found: Found | None = None) -> TrialRecord:
    """Return the record of a trial, to be completed by its status, its history and its cost."""
    found = found or Found()
    samples, fold = trial.dataset.samples, trial.division
    parts = {part: getattr(fold, part) for part in ("train", "val", "test", "dropped", "unused")}
    return TrialRecord(
        id=trial.id,
        dataset=trial.dataset.record.name,
        dataset_fingerprint=samples.fingerprint,
        backbone=trial.backbone_name,
        augmentation=trial.augmentation.name,
        method=trial.method.name,
        protocol=trial.protocol.name,
        fingerprint=trial.protocol.fingerprint,
        protocol_json=trial.protocol.canonical_json(),
        scheme=trial.scheme,
        folds=len(trial.dataset.folds),
        fold=trial.fold,
        seed=trial.seed,
        task=samples.task,
        grouped=samples.patients is not None,
        splits={name: [samples.ids[i] for i in rows] for name, rows in parts.items()},
        skipped=list(trial.dataset.skipped),
        audit=verdict(
            trial.dataset.audit,
            samples,
            fold,
            trial.protocol.split,
            copies=trial.dataset.copies,
            seen=trial.seen_in_pretraining,
        ),
        predictions=found.predictions,
        provenance=provenance | {"plugins": origins(trial)} | _terms(trial) | found.provenance,
        notes=found.notes,
    )


def _terms(trial: Trial) -> dict[str, Any]:
    """What whoever uses the trained network must know: licences, sources, what pixels to give."""
    dataset, samples = trial.dataset.record, trial.dataset.samples
    patients, sites = samples.patients, samples.sites
    terms: dict[str, Any] = {"licenses": {"dataset": dataset.license}}
    terms["reader"] = list(trial.dataset.reader)
    terms["spatial_dims"] = samples.spatial_dims
    terms["dataset_summary"], terms["dataset_sources"] = dataset.summary, list(dataset.sources)
    if trial.dataset.made_from:
        terms["made_from"] = trial.dataset.made_from
    parts = {part: getattr(trial.division, part) for part in ("train", "val", "test")}
    if patients is not None:
        counts = {part: len({patients[row] for row in rows}) for part, rows in parts.items()}
        terms["patients"] = counts
    if sites is not None:
        terms["sites"] = {
            part: dict(sorted(Counter(sites[row] for row in rows).items()))
            for part, rows in parts.items()
        }
    if trial.backbone is None:
        return terms
    weights, contract = trial.backbone.weights, trial.backbone.input
    channels = samples.channels
    terms["licenses"]["weights"] = weights.license if weights else "none: trained from scratch"
    terms["pretrained_on"] = list(weights.pretrained_on) if weights else []
    terms["citation"] = weights.citation if weights else ""
    terms["input_contract"] = {
        **contract.as_dict(),
        "channels": contract.channels,
        "value_range": [0.0, 1.0],
        "spatial_dims": trial.backbone.architecture.spatial_dims,
        **({"channel_names": list(channels)} if channels else {}),
    }
    return terms


def origins(trial: Trial) -> dict[str, str]:
    """Who provided each part of the trial."""
    records: dict[str, Any] = {
        "dataset": trial.dataset.record,
        "augmentation": trial.augmentation,
        "method": trial.method,
    }
    if trial.backbone is not None:
        records |= trial.backbone.parts
    return {part: str(record.origin) for part, record in records.items()}
