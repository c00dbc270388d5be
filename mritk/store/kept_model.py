"""The kept network of a trial: where it stands, and what its metadata say."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from mritk.backbone import split_name
from mritk.errors import StoreError, Unavailable
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialRecord

MODELS = "models"
KEEP = "--keep-models"
NOTICE = "For research use only; not for clinical use."


def model_path(results: ResultsFolder, trial_id: str) -> Path:
    """Return where the network of a trial stands or will stand."""
    return results.path / MODELS / f"{trial_id}.safetensors"


def model_metadata(record: TrialRecord, facts: Mapping[str, Any]) -> dict[str, str]:
    """Return what the model file of a trial says of itself; every value is text.

    Args:
        record: The trial, scored.
        facts: ``head``, ``input_shape`` and ``output_scaling`` of its network, as plain data.
    """
    plain: dict[str, Any] = {
        "format": "mritk",
        "notice": NOTICE,
        "trial": record.id,
        "backbone": record.backbone,
        "architecture": split_name(record.backbone)[0],
        "task": record.task.kind,
        "classes": list(record.task.classes),
        "unit": record.task.unit,
        "input_contract": record.provenance["input_contract"],
        **facts,
        "precision": str(record.notes.get("precision", "float32")),
        "test_time": record.stored_protocol.test_time,
        "dataset": record.dataset,
        "dataset_fingerprint": record.dataset_fingerprint,
        "protocol": record.protocol,
        "protocol_fingerprint": record.fingerprint,
        "protocol_json": record.protocol_json,
        "method": record.method,
        "augmentation": record.augmentation,
        "fold": record.fold,
        "seed": record.seed,
        "licenses": record.provenance["licenses"],
        "plugins": record.provenance["plugins"],
        "mritk": record.provenance.get("mritk", ""),
        "torch": record.provenance.get("packages", {}).get("torch", ""),
    }
    return {key: v if isinstance(v, str) else json.dumps(v) for key, v in plain.items()}


def kept_digest(record: TrialRecord) -> str:
    """Return the SHA-256 of the network that a trial has kept; empty if it has kept none.

    A method may note what it likes by the name of that note.
    """
    digest = (record.note("model", dict) or {}).get("sha256")
    return digest if isinstance(digest, str) else ""


def set_model_aside(results: ResultsFolder, trial_id: str) -> None:
    """Move the network of an earlier training of a trial that is now stored without one."""
    if os.path.lexists(path := model_path(results, trial_id)):
        with suppress(StoreError):  # the trial is stored; doctor names what is left
            results.set_aside(path)


def require_model(results: ResultsFolder, record: TrialRecord) -> Path:
    """Return the file of a trial's network, which is the one that was scored.

    Raises:
        Unavailable: There is none.
        StoreError: The file is not the one that the trial wrote, or cannot be read.
    """
    from mritk.files.digests import sha256_of
    from mritk.files.regular_file import is_regular_file

    path, kept = model_path(results, record.id), kept_digest(record)
    if why := record.without_model:
        raise Unavailable(
            f"the model of trial {record.id[:8]} could not be stored when it was trained: {why}; "
            "repeat its command as 'mritk run … --keep-models --rerun'"
        )
    if not kept and KEEP in record.provenance.get("command", ()):
        raise Unavailable(
            f"trial {record.id[:8]} was trained with {KEEP}, but method {record.method} has no "
            "network that can be stored"
        )
    if not kept or not is_regular_file(path):
        raise Unavailable(
            f"trial {record.id[:8]} has no stored model in {path.parent}; repeat its command as "
            "'mritk run … --keep-models --rerun'"
        )
    if sha256_of(path) != kept:
        raise StoreError(
            f"{path} is not the file written by trial {record.id[:8]} (different SHA-256) and may "
            "not reproduce the stored predictions; repeat 'mritk run … --keep-models --rerun'"
        )
    return path
