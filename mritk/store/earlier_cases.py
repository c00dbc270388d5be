"""Case scores of trial files that measured label maps by an earlier definition.

Definition 1, of files that state none: every voxel of a single slice is at the surface. Since 2
(:data:`mritk.evaluate.cases.DEFINITION`) axes of one voxel do not count, and the surface is the
outline within the slice.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from mritk.errors import DataError
from mritk.evaluate.cases import case_scores
from mritk.store.record import TrialRecord

DISTANCE = "hd95["


def measure_anew(record: TrialRecord) -> None:
    """Measure the distances of single slices by the definition of today.

    Only the test part has its label maps. Where it has single slices, those of validation are
    likely some too: their distances are unknown, so NaN. Other scores are the same by both.
    """
    test, task = record.predictions.get("test"), record.task
    if test is None or test.masks is None or test.references is None:
        return
    single = [row for row, shape in enumerate(test.references.shapes) if 1 in shape]
    whole = len(test.masks) == len(test.references) == len(test.score)
    if not single or not whole or not test.cases or test.cases != task.columns:
        return  # 'mritk verify' says what does not fit
    distances = np.asarray([name.startswith(DISTANCE) for name in test.cases])
    for row in single:
        maps, spacing = (test.masks[row], test.references[row]), test.references.spacing_of(row)
        with suppress(DataError):  # likewise
            test.score[row, distances] = case_scores(task, *maps, spacing)[distances]
    for part in record.predictions.values():
        if part.masks is None and part.cases == test.cases:
            part.score[:, distances] = np.nan
            part.unknown = tuple(np.asarray(part.cases)[distances].tolist())
