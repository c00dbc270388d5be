"""What trial files have in common that only the machine and the moment tell apart."""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import TrialRecord

# Where, when and how fast a trial was trained.
OF_THE_MOMENT = ("provenance", "cost")


def essence(folder: Path) -> dict[str, Any]:
    """Return all that the trial files of a folder say but times and provenance, by id.

    Arrays are bytes: equal means equal bit for bit.
    """
    return {trial.id: _of(trial) for trial in ResultsFolder(folder).trials()}


def _of(trial: TrialRecord) -> Any:
    assert isinstance(trial, TrialRecord), trial
    content = asdict(trial)
    for name in OF_THE_MOMENT:
        del content[name]
    for epoch in content["history"]:
        del epoch["seconds"]
    content["notes"].pop("images_per_second", None)
    return _plain(content)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if is_dataclass(value):
        return _plain(vars(value))
    # NaN equals itself here, as it must in equal files.
    return repr(value) if isinstance(value, float) else value
