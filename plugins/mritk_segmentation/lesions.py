"""Lesion by lesion: which are found, and how well each is outlined.

A lesion is a connected component of a region; voxels that share a face, an edge or a corner are
connected. A predicted lesion belongs to every true one that it touches with at least one voxel.
What challenges add (dilation that joins lesions, a smallest volume) is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Matches:
    """True and predicted lesions of one case.

    Attributes:
        dice: Of each true lesion, with all predicted lesions that touch it; 0 where none does.
        invented: Number of predicted lesions that touch no true one.
    """

    dice: tuple[float, ...]
    invented: int

    @property
    def found(self) -> int:
        """Number of true lesions that a predicted one touches."""
        return sum(value > 0 for value in self.dice)


def matches(predicted: np.ndarray, reference: np.ndarray) -> Matches:
    """Return how the lesions of two bool arrays of one shape belong together."""
    connected = np.ones((3,) * reference.ndim)
    given, predictions = ndimage.label(predicted, connected)
    true, lesions = ndimage.label(reference, connected)
    # Of each pair that shares voxels, their number; a table of all pairs may have gigabytes.
    some = (true > 0) | (given > 0)
    pairs = true[some].astype(np.int64) * (predictions + 1) + given[some]
    pairs, shared = np.unique(pairs, return_counts=True)
    lesion, prediction = np.divmod(pairs, predictions + 1)
    sizes = np.bincount(lesion, shared, lesions + 1)
    sizes_given = np.bincount(prediction, shared, predictions + 1)
    touch = (lesion > 0) & (prediction > 0)
    lesion, prediction, shared = lesion[touch], prediction[touch], shared[touch]
    common = np.bincount(lesion, shared, lesions + 1)
    sizes_touching = np.bincount(lesion, sizes_given[prediction], lesions + 1)
    dice = 2 * common[1:] / (sizes + sizes_touching)[1:]
    return Matches(tuple(dice.tolist()), predictions - len(np.unique(prediction)))


def lesion_dice(predicted: np.ndarray, reference: np.ndarray, spacing: Sequence[float]) -> float:
    """Return the mean Dice of the true lesions and, with 0 each, of the invented ones.

    After the lesion-wise score of BraTS 2023 (arXiv:2305.17033). Between 0 and 1; NaN if both
    regions are empty.

    Args:
        predicted: bool, (*spatial).
        reference: bool, likewise.
        spacing: Distance of voxels in mm along each axis; of no account here.
    """
    found = matches(predicted, reference)
    count = len(found.dice) + found.invented
    return sum(found.dice) / count if count else math.nan


def lesion_f1(predicted: np.ndarray, reference: np.ndarray, spacing: Sequence[float]) -> float:
    """Return 2 TP / (2 TP + FN + FP) of lesions; NaN if both regions are empty.

    TP are true lesions that a predicted one touches, FN the others, FP predicted lesions that touch
    no true one. Arguments as of :func:`lesion_dice`.
    """
    found = matches(predicted, reference)
    hits = found.found
    count = hits + len(found.dice) + found.invented
    return 2 * hits / count if count else math.nan


def lesion_sensitivity(
    predicted: np.ndarray, reference: np.ndarray, spacing: Sequence[float]
) -> float:
    """Return TP / (TP + FN) of lesions, see :func:`lesion_f1`; NaN without a true lesion."""
    found = matches(predicted, reference)
    return found.found / len(found.dice) if found.dice else math.nan
