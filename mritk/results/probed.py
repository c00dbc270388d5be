"""Trials as a probe sees them: how well a covariate can be predicted from their embeddings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from mritk.errors import StoreError, UsageError
from mritk.evaluate.covariate_probe import FOLDS, probe_scores
from mritk.evaluate.metric import Undefined
from mritk.evaluate.resampling import numbered
from mritk.results.covariate import UNKNOWN, Covariate
from mritk.store.trial_file import TrialRecord
from mritk.tasks.classification import Classification


def probed(
    trials: Iterable[TrialRecord | StoreError], covariate: Covariate
) -> list[TrialRecord | StoreError]:
    """Return trials whose task is to tell a covariate, scored by probes of their embeddings.

    Samples whose group is unknown are left out. Tables, intervals, ties and differences are then
    those of any classification, of all groups that trials on the same data were tested on.

    Args:
        trials: Trials; those without scores, and errors, are returned as they are.
        covariate: What is told.

    Raises:
        UsageError: A trial has no embeddings, or its samples do not tell their group, or there
            are too few patients of some group.
    """
    given = [(record, _groups(record, covariate)) for record in trials]
    names: dict[str, set[str]] = defaultdict(set)
    for record, groups in given:
        if groups is not None and not isinstance(record, StoreError):
            names[record.dataset_fingerprint].update(groups.tolist())
    return [
        record
        if groups is None or isinstance(record, StoreError)
        else _probed(record, covariate, groups, names[record.dataset_fingerprint] - {UNKNOWN})
        for record, groups in given
    ]


def _probed(
    record: TrialRecord, covariate: Covariate, groups: np.ndarray, names: Collection[str]
) -> TrialRecord:
    test = record.predictions["test"]
    embedding = test.embedding
    if embedding is None:
        raise UsageError(
            f"trial {record.id} has no embeddings; train it with 'mritk run --keep-embeddings'"
        )
    known = groups != UNKNOWN
    test, groups, embedding = test.only(known), groups[known], np.asarray(embedding)[known]
    classes = covariate.in_order(list(names))
    _require_patients(record, covariate, {c: set(test.only(groups == c).unit) for c in classes})
    target = np.asarray([classes.index(group) for group in groups], dtype=np.int64)
    try:
        score = probe_scores(embedding, target, numbered(test.unit))
    except Undefined as why:
        raise UsageError(
            f"{covariate.called} cannot be predicted for trial {record.id}: {why}"
        ) from why
    told = replace(test, target=target, score=score.astype(np.float32), clean=None)
    return replace(
        record,
        dataset=f"{record.dataset}, {covariate.called} predicted from embeddings",
        task=Classification(tuple(classes)),
        predictions={"test": told},
    )


def _groups(record: TrialRecord | StoreError, covariate: Covariate) -> np.ndarray | None:
    """Return the group of each test sample; None for what has no scores."""
    if isinstance(record, StoreError) or not record.scored:
        return None
    return covariate.groups_of(record.predictions["test"], record.dataset, record.task.classes)


def _require_patients(
    record: TrialRecord, covariate: Covariate, units: Mapping[str, Collection[str]]
) -> None:
    for group, found in units.items():
        if len(found) < FOLDS:
            patients = "patient" if len(found) == 1 else "patients"
            raise UsageError(
                f"{covariate.called} cannot be predicted for trial {record.id}: {group!r} has "
                f"{len(found)} {patients} in its test set, and the probe needs {FOLDS} of each "
                "group; test on more patients, or choose another covariate"
            )
