"""Write trial files of schemas 1 to 4, as earlier versions of mritk did."""

from __future__ import annotations

import json

import h5py

from mritk.store.earlier_layout import COLUMNS
from mritk.store.layout import ATTRIBUTES
from mritk.store.record import TrialRecord

TEXT = h5py.string_dtype()


def write_earlier(record: TrialRecord, file: h5py.File, schema: int) -> None:
    """Write a record into an empty file, without its seal."""
    file.attrs["schema"] = schema
    for name in ATTRIBUTES:
        file.attrs[name] = getattr(record, name)
    file.attrs["task"] = json.dumps(record.task.as_dict())
    file["protocol_json"] = record.protocol_json
    for name in ("audit", "notes", "provenance"):
        file[f"{name}_json"] = json.dumps(getattr(record, name))
    file.create_dataset("skipped", data=record.skipped, dtype=TEXT)
    file.create_group("splits")
    for part, ids in record.splits.items():
        file.create_dataset(f"splits/{part}", data=ids, dtype=TEXT)
    for name in COLUMNS:
        kind = {"stage": TEXT, "epoch": "i8", "epochs": "i8"}.get(name, "f8")
        values = [getattr(epoch, name) for epoch in record.history]
        file.create_dataset(f"history/{name}", data=values, dtype=kind)
    for part, found in record.predictions.items():
        group = file.create_group(f"predictions/{part}")
        for name in ("id", "patient", "site", "source", "unit"):
            group.create_dataset(name, data=getattr(found, name), dtype=TEXT)
        group["target"], group["score"] = found.target, found.score
        if found.clean is not None:
            group["clean"] = found.clean
    file.create_group("cost").attrs.update(record.cost)
    if record.failure is not None:
        failure = file.create_group("failure")
        for name in ("type", "message", "epoch"):
            failure.attrs[name] = getattr(record.failure, name)
        failure["traceback"] = record.failure.traceback
