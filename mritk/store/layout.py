"""Where each part of a trial record stands in its HDF5 file.

Layout, schema 5 (earlier ones: :mod:`mritk.store.earlier_layout`):

    /                     attributes: digest (:mod:`mritk.store.content`), schema, status, id,
                          dataset, dataset_fingerprint, backbone, augmentation, method, protocol,
                          fingerprint, scheme, folds, fold, seed, grouped, task; of a segmentation
                          also cases, the definition of its case scores
    /protocol_json        canonical JSON of the protocol
    /audit_json           verdict: findings, policy, counts, digest of the split
    /samples              table of all samples that are named: id, patient, site, source ("" where
                          unknown), unit; what a method was not tested on has its id only
    /splits/{train,val,test}          rows of /samples; dropped: those left out because another
                          part has a copy or their patient; unused: those left out by k-shot
    /history              table of the epochs, one column per field, and extra/NAME
    /predictions/{val,test}/          row (of /samples), target, score; test also clean: no copy in
                          training and validation as they were given
        cases             of a segmentation, instead of score: table with one column per measure
        masks/N, references/N         label maps of the Nth sample, predicted and true; attributes
                          spacing in mm, and affine from voxels to mm. For the test part only
        embedding, spread, covariates (a table), where there are
    /notes_json           facts from the method: weights' match report, changed tensors, …
    /provenance_json      versions, machine, plugins, command line
    /cost                 attributes: seconds per phase, images per second, peak memory
    /failure              attributes: type, message, epoch; /failure/traceback
    /without_model        why its network could not be stored, where that is so
    /skipped              ids of unreadable samples that were left out on request

A table of more columns than HDF5 can describe at once (about 800) goes on in NAME.2, NAME.3, ….
Texts in arrays are UTF-8 of a fixed length; rows and classes are whole numbers of the fewest bytes
that hold them; arrays of whole numbers and texts are compressed where that pays.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import h5py
import numpy as np

from mritk.evaluate.cases import DEFINITION
from mritk.method import Epoch
from mritk.store import earlier_layout
from mritk.store.arrays import read_table, read_text, store, store_table, store_text, table, texts
from mritk.store.content import SEAL, Content
from mritk.store.earlier_cases import measure_anew
from mritk.store.part_layout import SampleTable, StoredSamples, read_part, write_part
from mritk.store.record import Failure, TrialIdentity, TrialRecord
from mritk.tasks.kinds import task_from_dict

SCHEMA = 5
# The first schema with this layout of splits, history and predictions.
SINCE = 5
NUMBERS = {"int": np.int64, "float": np.float64}
EXTRA = "extra/"
CASES = "cases"
JSON = ("audit", "notes", "provenance")
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
    if any(part.cases for part in record.predictions.values()):
        file.attrs[CASES] = DEFINITION
    store_text(file, "protocol_json", record.protocol_json)
    for name in JSON:
        store_text(file, f"{name}_json", json.dumps(_as_json(getattr(record, name))))
    store(file, "skipped", table({"skipped": record.skipped})["skipped"])
    samples = SampleTable(record.splits, record.predictions)
    store(file, "samples", samples.as_array())
    splits = file.create_group("splits")
    for part, rows in samples.splits.items():
        store(splits, part, rows)
    store_table(file, "history", _as_columns(record.history))
    for part, predictions in record.predictions.items():
        write_part(file.create_group(f"predictions/{part}"), predictions, samples.parts[part])
    file.create_group("cost").attrs.update(record.cost)
    if record.failure is not None:
        failure = file.create_group("failure")
        failure.attrs.update(
            type=record.failure.type,
            message=_storable(record.failure.message),
            epoch=record.failure.epoch,
        )
        failure["traceback"] = _storable(record.failure.traceback)
    if record.without_model:
        store_text(file, "without_model", _storable(record.without_model))
    file.attrs[SEAL] = Content(file).digest()


def _as_columns(history: Sequence[Epoch]) -> dict[str, Sequence[str] | np.ndarray]:
    """Return epochs as columns; NaN where an epoch lacks an extra number."""
    columns: dict[str, Sequence[str] | np.ndarray] = {}
    for column in fields(Epoch):
        values = [getattr(epoch, column.name) for epoch in history]
        if column.type in NUMBERS:
            columns[column.name] = np.asarray(values, dtype=NUMBERS[str(column.type)])
        elif column.type == "str":
            columns[column.name] = values
    for name in dict.fromkeys(name for epoch in history for name in epoch.extra):
        columns[EXTRA + name] = np.asarray([epoch.extra.get(name, np.nan) for epoch in history])
    return columns


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


def read_record(file: Content) -> TrialRecord:
    """Return the content of a trial file; damage surfaces as nearly any exception."""
    read = _read_earlier if file.attrs["schema"] < SINCE else _read_columns
    record = TrialRecord(
        **{name: _plain(file.attrs[name]) for name in ATTRIBUTES},
        **read(file),
        task=task_from_dict(json.loads(file.attrs["task"])),
        cost={name: float(value) for name, value in file["cost"].attrs.items()},
        failure=_read_failure(file["failure"]) if "failure" in file else None,
    )
    if file.attrs.get(CASES, 1) < DEFINITION:
        measure_anew(record)
    return record


def _read_columns(file: Content) -> dict[str, Any]:
    samples = StoredSamples(file["samples"])
    parts = file.get("predictions", {})
    return {
        "protocol_json": read_text(file["protocol_json"]),
        **{name: json.loads(read_text(file[f"{name}_json"])) for name in JSON},
        "splits": {part: samples.of(rows[()], "id") for part, rows in file["splits"].items()},
        "skipped": texts(file["skipped"][()]),
        "history": _epochs(read_table(file, "history")),
        "predictions": {part: read_part(group, samples) for part, group in parts.items()},
        "without_model": read_text(file["without_model"]) if "without_model" in file else "",
    }


def _epochs(stored: Mapping[str, np.ndarray]) -> list[Epoch]:
    names = list(stored)
    extra = [name for name in names if name.startswith(EXTRA)]
    columns = [
        texts(column) if column.dtype.kind == "S" else column.tolist() for column in stored.values()
    ]
    found = (dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True))
    return [
        Epoch(extra={name[len(EXTRA) :]: row.pop(name) for name in extra}, **row) for row in found
    ]


def _read_earlier(file: Content) -> dict[str, Any]:
    parts = file.get("predictions", {})
    return {
        "protocol_json": file["protocol_json"][()].decode(),
        "audit": json.loads(file["audit_json"][()]) if "audit_json" in file else {},
        **{name: json.loads(file[f"{name}_json"][()]) for name in ("notes", "provenance")},
        "splits": earlier_layout.read_splits(file["splits"]),
        "skipped": earlier_layout.read_column(file["skipped"]),
        "history": earlier_layout.read_history(file["history"]),
        "predictions": {
            part: earlier_layout.read_predictions(group) for part, group in parts.items()
        },
    }


def _read_failure(group: Content) -> Failure:
    attributes = {name: _plain(value) for name, value in group.attrs.items()}
    return Failure(**attributes, traceback=group["traceback"][()].decode())


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
