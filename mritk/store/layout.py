"""Where each part of a trial record stands in its HDF5 file.

Layout, schema 4 (schema 1 had no audit and no column ``clean``, 2 no column ``unit`` and no digest,
3 no last line with the digest of the bytes, :mod:`mritk.store.raw_seal`):

    /                     attributes: digest (:mod:`mritk.store.seal`), schema, status, id,
                          dataset, dataset_fingerprint, backbone, augmentation, method, protocol,
                          fingerprint, scheme, folds, fold, seed, grouped, task
    /protocol_json        canonical JSON of the protocol
    /audit_json           verdict: findings, policy, counts, digest of the split
    /splits/{train,val,test}          sample ids; dropped: those left out because another
                          part has a copy or their patient; unused: those left out by k-shot
    /history/{epoch,stage,…}          one column per field of an epoch
    /predictions/{val,test}/          id, patient, site, source ("" where unknown), unit, target,
                          score; test also clean: no copy in training and validation as they were
                          given
    /notes_json           facts from the method: weights' match report, changed tensors, …
    /provenance_json      versions, machine, plugins, command line
    /cost                 attributes: seconds per phase, images per second, peak memory
    /failure              attributes: type, message, epoch; /failure/traceback
    /skipped              ids of unreadable samples that were left out on request
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import h5py
import numpy as np

from mritk.method import Epoch
from mritk.store.record import Failure, Predictions, TrialIdentity, TrialRecord
from mritk.store.seal import SEAL, digest_of
from mritk.tasks.kinds import task_from_dict

SCHEMA = 4
TEXT = h5py.string_dtype()
PREDICTION_TEXTS = ("id", "patient", "site", "source")
# What is an attribute of the file: all that says which trial it is, but what is no plain value.
ATTRIBUTES = tuple(
    column.name
    for column in fields(TrialIdentity)
    if column.name not in ("task", "protocol_json", "audit")
)


def write_record(record: TrialRecord, file: h5py.File) -> None:
    """Write ``record`` into an empty file, and seal it."""
    file.attrs["schema"] = SCHEMA
    for name in ATTRIBUTES:
        file.attrs[name] = getattr(record, name)
    file.attrs["task"] = json.dumps(record.task.as_dict())
    file["protocol_json"] = record.protocol_json
    file["audit_json"] = json.dumps(_as_json(record.audit))
    file["notes_json"] = json.dumps(_as_json(record.notes))
    file["provenance_json"] = json.dumps(_as_json(record.provenance))
    file.create_group("splits")
    file.create_dataset("skipped", data=record.skipped, dtype=TEXT)
    for part, ids in record.splits.items():
        file.create_dataset(f"splits/{part}", data=ids, dtype=TEXT)
    for column in fields(Epoch):
        values = [getattr(epoch, column.name) for epoch in record.history]
        dtype = {"str": TEXT, "int": np.int64}.get(str(column.type), np.float64)
        file.create_dataset(f"history/{column.name}", data=values, dtype=dtype)
    for part, predictions in record.predictions.items():
        group = file.create_group(f"predictions/{part}")
        for name in (*PREDICTION_TEXTS, "unit"):
            group.create_dataset(name, data=getattr(predictions, name), dtype=TEXT)
        group["target"], group["score"] = predictions.target, predictions.score
        if predictions.clean is not None:
            group["clean"] = predictions.clean
    file.create_group("cost").attrs.update(record.cost)
    if record.failure is not None:
        failure = file.create_group("failure")
        failure.attrs.update(
            type=record.failure.type,
            message=_storable(record.failure.message),
            epoch=record.failure.epoch,
        )
        failure["traceback"] = _storable(record.failure.traceback)
    file.attrs[SEAL] = digest_of(file)


def _as_json(value: Any) -> Any:
    """Return what JSON can hold of a method's notes: plain data, or the text of anything else."""
    if isinstance(value, Mapping):
        return {str(key): _as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_as_json(inner) for inner in value]
    if hasattr(value, "tolist"):  # numpy and torch
        return value.tolist()
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _storable(text: str) -> str:
    """Return ``text`` without what HDF5 cannot hold: NUL, and bytes that are no text."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def read_record(file: h5py.File) -> TrialRecord:
    """Return the content of a trial file; damage surfaces as nearly any exception."""
    attributes = {name: _plain(file.attrs[name]) for name in ATTRIBUTES}
    columns = {c.name: _column(file[f"history/{c.name}"]) for c in fields(Epoch)}
    names = list(columns)
    return TrialRecord(
        **attributes,
        task=task_from_dict(json.loads(file.attrs["task"])),
        protocol_json=file["protocol_json"].asstr()[()],
        splits={part: _column(ids) for part, ids in file["splits"].items()},
        skipped=_column(file["skipped"]),
        audit=_json(file["audit_json"]) if "audit_json" in file else {},
        history=[
            Epoch(**dict(zip(names, row, strict=True)))
            for row in zip(*columns.values(), strict=True)
        ],
        predictions={
            part: _read_predictions(group) for part, group in file.get("predictions", {}).items()
        },
        notes=_json(file["notes_json"]),
        provenance=_json(file["provenance_json"]),
        cost={name: float(value) for name, value in file["cost"].attrs.items()},
        failure=_read_failure(file["failure"]) if "failure" in file else None,
    )


def _read_predictions(group: h5py.Group) -> Predictions:
    texts = {name: _column(group[name]) for name in PREDICTION_TEXTS}
    clean = group["clean"][()] if "clean" in group else None
    unit = _column(group["unit"]) if "unit" in group else []
    target, score = group["target"][()], group["score"][()]
    return Predictions(**texts, target=target, score=score, clean=clean, unit=unit)


def _read_failure(group: h5py.Group) -> Failure:
    attributes = {name: _plain(value) for name, value in group.attrs.items()}
    return Failure(**attributes, traceback=group["traceback"].asstr()[()])


def _column(dataset: h5py.Dataset) -> list[Any]:
    values = dataset.asstr()[()] if h5py.check_string_dtype(dataset.dtype) else dataset[()]
    return list(values.tolist())


def _json(text: h5py.Dataset) -> Any:
    return json.loads(text.asstr()[()])


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
