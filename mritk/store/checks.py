"""What must hold in a trial file, each as a named check; and the numbers it gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mritk.errors import DataError
from mritk.evaluate.cases import case_scores
from mritk.evaluate.metric import Value
from mritk.evaluate.metrics import metrics_of
from mritk.reading.parts import SPLITS
from mritk.store.trial_file import Predictions, TrialRecord
from mritk.tasks.task import Task


@dataclass(frozen=True)
class Check:
    """One thing that must hold.

    Attributes:
        name: What.
        wrong: What does not hold, or empty.
    """

    name: str
    wrong: str = ""

    @property
    def ok(self) -> bool:
        """Whether it holds."""
        return not self.wrong


def checks_of(record: TrialRecord, name: str) -> list[Check]:
    """Return the checks of a trial that could be read, which has proven its digest.

    Args:
        record: The trial.
        name: The name of its file, without ending.
    """
    named = "" if name == record.id else f"the file of {record.id} is named {name}"
    found = [Check("name", named), Check("fingerprint", _fingerprint(record))]
    if not record.finished:
        return found
    return [*found, Check("split", _split(record)), *_predictions(record)]


def _fingerprint(record: TrialRecord) -> str:
    computed = hashlib.sha256(record.protocol_json.encode()).hexdigest()
    if computed == record.fingerprint:
        return ""
    return f"the protocol has fingerprint {computed[:8]}, not {record.fingerprint[:8]}"


def _split(record: TrialRecord) -> str:
    parts = {name: record.splits.get(name, []) for name in SPLITS}
    apart = dict(parts)
    if record.stored_protocol.validates_on_test:
        apart.pop("val")  # it is the test part, and every table says so
    every = [id_ for ids in apart.values() for id_ in ids]
    if len(every) != len(set(every)):
        return "a sample is in two splits"
    stored = record.audit.get("split")
    content = json.dumps({name: sorted(ids) for name, ids in parts.items()}, sort_keys=True)
    computed = hashlib.sha256(content.encode()).hexdigest()
    if stored and computed != stored:
        return f"the split has digest {computed[:8]}, not {stored[:8]}"
    return ""


def _predictions(record: TrialRecord) -> Iterator[Check]:
    for part, predictions in record.predictions.items():
        wrong = []
        if sorted(predictions.id) != sorted(record.splits.get(part, [])):
            wrong.append("its samples are not those of the split")
        classes, targets = len(record.task.classes), predictions.target
        if classes and len(targets) and (targets.min() < 0 or targets.max() >= classes):
            wrong.append(f"targets are outside 0 to {classes - 1}")
        shape = record.task.score_shape(len(predictions.id))
        if predictions.score.shape != shape:
            wrong.append(f"scores have shape {predictions.score.shape}, not {shape}")
        elif tuple(predictions.cases) != tuple(record.task.columns):
            wrong.append(f"scores of cases are {', '.join(predictions.cases) or 'not named'}")
        elif not predictions.cases and not np.isfinite(predictions.score).all():
            wrong.append("some scores are NaN or infinite")
        elif predictions.masks is not None and predictions.references is not None:
            wrong += _cases(record.task, predictions)
        yield Check(f"predictions of {part}", "; ".join(wrong))


def _cases(task: Task, predictions: Predictions) -> Iterator[str]:
    """Compare the scores of cases to those of the label maps that are stored."""
    maps, references = predictions.masks, predictions.references
    assert maps is not None
    assert references is not None
    if not len(maps) == len(references) == len(predictions.id):
        yield f"{len(maps)} predicted and {len(references)} true label maps are stored"
        return
    for row, name in enumerate(predictions.id):
        try:
            found = case_scores(task, maps[row], references[row], references.spacing_of(row))
        except DataError as error:
            yield f"the label maps of {name} do not fit: {error}"
            return
        if not np.allclose(found, predictions.score[row], rtol=0, atol=1e-9, equal_nan=True):
            yield f"the scores of {name} are not those of its label maps"
            return


def scores_of(record: TrialRecord, predictions: Predictions) -> dict[str, Value]:
    """Return every metric of the task, computed from predictions."""
    return {
        metric.name: metric.compute(predictions.target, predictions.score)
        for metric in metrics_of(record.task, shown=False)
    }
