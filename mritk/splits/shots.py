"""Few-shot training sets: k samples per class, each set within the next larger one."""

from __future__ import annotations

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.seeds import derive


def draw_shots(
    samples: Samples, rows: np.ndarray, groups: np.ndarray, shots: int, seed: int
) -> np.ndarray:
    """Return ``shots`` of ``rows`` per class, from as many groups as there are.

    Each group gives one sample in turn, in an order drawn once per class. What is drawn for k is
    therefore a part of what is drawn for k + 1, and neither depends on the order of the samples.

    Args:
        samples: N samples.
        rows: The training part.
        groups: (N,) int64, as from :func:`mritk.splits.units.units`.
        shots: Samples per class, at least 1.
        seed: Seed of the draw.

    Returns:
        Rows, sorted.

    Raises:
        DataError: A class has fewer samples; or the targets are no classes.
    """
    task = samples.task
    if not task.classes:
        raise DataError(
            f"shots = {shots} is per class, but {task.kind} has no classes; remove shots from the "
            "protocol's [split]"
        )
    ordered = rows[np.argsort(np.asarray(samples.ids)[rows])]
    chosen = []
    for label, name in enumerate(task.classes):
        own = ordered[samples.targets[ordered] == label]
        if len(own) < shots:
            raise DataError(
                f"class {name!r} has {len(own)} training samples, fewer than the {shots} shots "
                "requested; lower shots in the protocol's [split]"
            )
        chosen.append(_in_turn(own, groups[own], derive("shots", seed, name))[:shots])
    return np.sort(np.concatenate(chosen))


def _in_turn(rows: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return all rows in an order in which each group gives one of its rows in turn."""
    rng = np.random.RandomState(seed % 2**32)  # the same stream in every version of numpy
    _, group = np.unique(groups, return_inverse=True)
    place = rng.permutation(group.max() + 1)[group]
    rank = rng.permutation(len(rows))
    by_group = np.lexsort((rank, place))
    starts = np.flatnonzero(np.diff(place[by_group], prepend=-1))
    turn = np.empty(len(rows), dtype=np.int64)
    turn[by_group] = np.arange(len(rows)) - np.repeat(starts, np.diff([*starts, len(rows)]))
    return rows[np.lexsort((place, turn))]
