"""What a program has predicted, read back and checked against what it was asked."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mritk.data.sample_files import label_map_file
from mritk.data.sample_files import read_label_map as _read
from mritk.errors import DataError
from mritk.external.cases import Case
from mritk.external.program import ProgramFailed
from mritk.tasks.task import Task
from mritk.text.listed import listed

PREDICTIONS = "predictions.json"
# Of probabilities, which programs write with few digits.
SUM_ERROR, LEAST = 1e-2, 1e-7


def read_label_maps(folder: Path, cases: Sequence[Case], name: str) -> list[np.ndarray]:
    """Return the label maps of cases, each as :func:`read_label_map` does.

    Raises:
        ProgramFailed: One is missing, is of no case, is no label map, or lies on another grid than
            its image.
    """
    paths = [label_map_file(folder, case.name, len(case.shape)) for case in cases]
    both = list(zip(cases, paths, strict=True))
    endings = tuple({path.name.removeprefix(case.name) for case, path in both})
    unknown = {path.name for path in folder.iterdir() if path.name.endswith(endings)}
    unknown -= {path.name for path in paths}
    _require_all(cases, [case for case, path in both if path.is_file()], name, unknown)
    return [read_label_map(path, case, name) for case, path in both]


def read_label_map(path: Path, case: Case, name: str) -> np.ndarray:
    """Return the label map of a case, whole numbers of the shape of its sample.

    Args:
        path: NIfTI, whose axes may be in any order, or an image.
        case: What it was predicted for.
        name: What errors call whoever wrote it.

    Raises:
        ProgramFailed: It is no label map, or lies on another grid than its image.
    """
    try:
        labels = _read(path, case.space)
    except DataError as error:
        raise ProgramFailed(f"{name}, case {case.id}: {error}") from error
    if case.space is None and labels.shape != case.shape:
        raise ProgramFailed(
            f"{name}, case {case.id}: the label map has shape {labels.shape}, its image "
            f"{case.shape}"
        )
    return labels


def read_scores(folder: Path, cases: Sequence[Case], task: Task, name: str) -> np.ndarray:
    """Return the scores of cases from ``predictions.json``: logits (N, classes), or values (N,).

    The file has one of the keys ``probabilities``, ``logits`` and ``values``, with an entry for the
    id of each case that the program was told.

    Raises:
        ProgramFailed: It is missing or no such file, lacks a case, or has what is no score.
    """
    path, form = folder / PREDICTIONS, "values"
    try:
        text = path.read_text(encoding="utf-8")
        told: dict[str, Any] = json.loads(text, object_pairs_hook=_each_once)
        forms = ("probabilities", "logits") if task.classes else ("values",)
        form = next(form for form in forms if form in told)
        by_id = dict(told[form])
    except FileNotFoundError as error:
        raise ProgramFailed(f"{name} wrote no {PREDICTIONS}") from error
    except StopIteration as error:
        raise ProgramFailed(
            f"{name}: {PREDICTIONS} must have the key {' or '.join(forms)}"
        ) from error
    except (ValueError, TypeError, OSError, RecursionError) as error:
        raise ProgramFailed(f"{name}: {PREDICTIONS} cannot be read: {error}") from error
    asked = {case.told_id for case in cases}
    _require_all(cases, [case for case in cases if case.told_id in by_id], name, set(by_id) - asked)
    return scores_of([by_id[case.told_id] for case in cases], cases, task, name, form)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, unless one of its keys comes twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def scores_of(
    rows: Sequence[Any], cases: Sequence[Case], task: Task, name: str, form: str
) -> np.ndarray:
    """Return what a program wrote of each case as scores, float32.

    Args:
        rows: One entry per case.
        cases: The cases.
        task: Classes or a value.
        name: What errors call the program.
        form: ``probabilities``, of which logarithms are taken, ``logits`` or ``values``.

    Raises:
        ProgramFailed: An entry is no score.
    """
    shape = task.score_shape(1)[1:]
    scores = np.empty((len(cases), *shape))
    for number, (case, row) in enumerate(zip(cases, rows, strict=True)):
        try:
            values = np.asarray(row, dtype=np.float64)
        except (ValueError, TypeError, OverflowError):
            values = np.asarray(np.nan)
        with np.errstate(over="ignore"):
            stored = values.astype(np.float32)
        if values.shape != shape or not np.isfinite(stored).all():
            wanted = f"{shape[0]} finite numbers" if shape else "one finite number"
            raise ProgramFailed(f"{name}, case {case.id}: {form} must be {wanted}; got {row}")
        if form == "probabilities" and (values.min() < 0 or abs(values.sum() - 1) > SUM_ERROR):
            raise ProgramFailed(
                f"{name}, case {case.id}: probabilities must not be negative and add up to 1; "
                f"got {row}"
            )
        scores[number] = values
    if form == "probabilities":
        scores = np.log(np.maximum(scores, LEAST))
    return scores.astype(np.float32)


def _require_all(
    cases: Sequence[Case], answered: Sequence[Case], name: str, unknown: Collection[str] = ()
) -> None:
    """Refuse answers to fewer cases than were asked, or to others, whose ids are ``unknown``."""
    known = {case.id for case in answered}
    missing = [case.id for case in cases if case.id not in known]
    if missing:
        raise ProgramFailed(
            f"{name} predicted {len(answered)} of {len(cases)} cases; missing: "
            f"{listed(missing[:3])}"
        )
    if unknown:
        raise ProgramFailed(
            f"{name} predicted {len(answered) + len(unknown)} cases, but was asked {len(cases)}; "
            f"unknown: {listed(sorted(unknown)[:3])}"
        )
