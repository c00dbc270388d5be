"""Trials as a probe sees them: how well a covariate can be told from their embeddings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mritk.errors import UsageError
from mritk.evaluate.covariate_probe import probe_scores
from mritk.evaluate.metric import Undefined
from mritk.evaluate.resampling import numbered
from mritk.results.covariate import UNKNOWN, Covariate
from mritk.store.trial_file import TrialRecord
from mritk.tasks.classification import Classification


def probed(record: TrialRecord, covariate: Covariate) -> TrialRecord:
    """Return a trial whose task is to tell a covariate, scored by probes of its embeddings.

    Samples whose group is unknown are left out. Tables, intervals, ties and differences are then
    those of any classification.

    Raises:
        UsageError: The trial has no embeddings, or its samples do not tell their group, or there
            are too few patients of some group.
    """
    if not record.scored:
        return record
    test = record.predictions["test"]
    embedding = test.embedding
    if embedding is None:
        raise UsageError(
            f"trial {record.id} has no embeddings; train it with 'mritk run --keep-embeddings'"
        )
    groups = covariate.groups_of(test, record.dataset, record.task.classes)
    known = groups != UNKNOWN
    test, groups, embedding = test.only(known), groups[known], np.asarray(embedding)[known]
    classes = covariate.in_order(groups.tolist())
    target = np.asarray([classes.index(group) for group in groups], dtype=np.int64)
    unit, _ = numbered(test.unit)
    try:
        score = probe_scores(embedding, target, unit)
    except Undefined as why:
        raise UsageError(f"{covariate.called} cannot be told of trial {record.id}: {why}") from why
    told = replace(test, target=target, score=score.astype(np.float32), clean=None)
    return replace(
        record,
        dataset=f"{record.dataset}, {covariate.called} told from embeddings",
        task=Classification(tuple(classes)),
        predictions={"test": told},
    )
