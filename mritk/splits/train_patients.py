"""Smaller training sets: N patients, each set within the next larger one."""

from __future__ import annotations

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.seeds import derive
from mritk.text.listed import many


def draw_train_patients(samples: Samples, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return the rows of ``count`` patients of a training set.

    Patients are taken in an order drawn once: classes take turns in proportion to their patients,
    and each comes first once. What is drawn for N is therefore a part of what is drawn for N + 1,
    and neither depends on the order of the samples. Without patient ids each scan is a patient.

    Args:
        samples: N samples.
        rows: The training set.
        count: Patients, at least 1.
        seed: Seed of the draw.

    Returns:
        Rows, sorted: all of the chosen patients.

    Raises:
        DataError: There are fewer patients, or a class has no sample of those that are drawn.
    """
    names, owner = np.unique(np.asarray(samples.owners, dtype=str)[rows], return_inverse=True)
    if len(names) < count:
        raise DataError(
            f"train_patients = {count}, but the training set has "
            f"{many(len(names), samples.owner_noun[:-1])}; lower it in the protocol's [split]"
        )
    chosen = rows[np.isin(owner, _in_order(_strata(samples, rows, owner), seed)[:count])]
    classes = samples.task.classes
    absent = np.setdiff1d(np.arange(len(classes)), samples.targets[chosen])
    if len(absent):
        raise DataError(
            f"train_patients = {count} leaves no training sample of class "
            f"{classes[absent[0]]!r}; raise it in the protocol's [split]"
        )
    return np.sort(chosen)


def _strata(samples: Samples, rows: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Return the class of each patient, that of most of its samples; 0 for all without classes."""
    held = np.zeros((owner.max() + 1, max(1, len(samples.task.classes))))
    labels = samples.targets[rows] if samples.task.classes else np.zeros(len(rows), np.int64)
    np.add.at(held, (owner, labels), 1)
    stratum: np.ndarray = held.argmax(axis=1)
    return stratum


def _in_order(stratum: np.ndarray, seed: int) -> np.ndarray:
    """Return all patients in an order of which each beginning is stratified."""
    # The same stream in every version of numpy.
    rng = np.random.RandomState(derive("train patients", seed) % 2**32)
    rank = rng.permutation(len(stratum))
    place = np.empty(len(stratum))
    for label in np.unique(stratum):
        own = np.flatnonzero(stratum == label)
        place[own[np.argsort(rank[own])]] = np.arange(len(own)) / len(own)
    return np.lexsort((rank, place))
