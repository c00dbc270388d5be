"""Samples that were made from others follow these into training, and into no other part."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mritk.data.samples import Samples
from mritk.splits.fold import Fold
from mritk.splits.units import units


def folds_with_made(
    samples: Samples,
    make: Callable[..., tuple[Fold, ...]],
    copies: np.ndarray | None,
) -> tuple[Fold, ...]:
    """Return the folds of the samples that were not made, and with them the made ones.

    The draw is that without made samples, so what is tested is the same. A made sample is in the
    part of its origin if that is training, and dropped if its origin is validated or tested.

    Args:
        samples: N samples.
        make: Takes samples and ``copies``; returns their folds.
        copies: See :func:`mritk.splits.splits.make_folds`. A sample is linked to whatever those
            made from it are copies of.
    """
    originals = samples.originals
    linked = None if copies is None else units(samples, copies)[originals]
    folds = make(samples.only(originals), copies=linked)
    assert samples.made_from is not None
    at = {samples.ids[row]: row for row in originals.tolist()}
    made = np.setdiff1d(np.arange(len(samples)), originals)
    parent = np.asarray([at.get(samples.made_from[row], -1) for row in made.tolist()])
    return tuple(_with_made(fold, originals, made, parent) for fold in folds)


def _with_made(fold: Fold, originals: np.ndarray, made: np.ndarray, parent: np.ndarray) -> Fold:
    train, val, test, dropped, unused = (
        originals[rows] for rows in (fold.train, fold.val, fold.test, fold.dropped, fold.unused)
    )
    held = np.concatenate([val, test])
    follows, spare = (np.isin(parent, rows) & ~np.isin(parent, held) for rows in (train, unused))
    return Fold(
        train=np.union1d(train, made[follows]),
        val=val,
        test=test,
        dropped=np.union1d(dropped, made[~follows & ~spare]),
        unused=np.union1d(unused, made[spare]),
        clean=fold.clean,
    )
