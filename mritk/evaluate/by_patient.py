"""From images to patients: one score per patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mritk.evaluate.calibration import probabilities_of
from mritk.evaluate.metric import Undefined


@dataclass(frozen=True, eq=False)
class PatientScores:
    """P patients as samples.

    Attributes:
        target: (P,) class indices or values.
        score: (P, classes) float64 log probabilities, or (P,) values.
        patient: P patient ids.
    """

    target: np.ndarray
    score: np.ndarray
    patient: list[str]


def by_patient(
    target: np.ndarray, score: np.ndarray, patient: Sequence[str], *, cases: bool = False
) -> PatientScores:
    """Return the mean of the probabilities (or values) of each patient's images.

    Args:
        target: (N,) class indices or values.
        score: (N, classes) logits, or (N,) values; or with ``cases`` (N, columns) scores of cases,
            whose means leave out what is NaN.
        patient: N patient ids.
        cases: Whether the scores are of cases.

    Raises:
        Undefined: Some samples have no patient, or some patients several targets.
    """
    if not all(patient):
        raise Undefined("patient-level scores require patient ids")
    names, first, number = np.unique(
        np.asarray(patient, dtype=str), return_index=True, return_inverse=True
    )
    several = int(np.unique(number[target != target[first][number]]).size)
    if several:
        raise Undefined(f"{several} patients have conflicting targets")
    images = np.bincount(number)
    if score.ndim == 1:
        mean = np.bincount(number, score.astype(np.float64)) / images
        return PatientScores(target[first], mean, names.tolist())
    totals = np.zeros((len(names), score.shape[1]))
    if cases:
        known = np.isfinite(score)
        counts = np.zeros_like(totals)
        np.add.at(counts, number, known)
        np.add.at(totals, number, np.where(known, score, 0.0))
        with np.errstate(invalid="ignore"):
            return PatientScores(target[first], totals / counts, names.tolist())
    np.add.at(totals, number, probabilities_of(score))
    with np.errstate(divide="ignore"):
        logs = np.log(totals / images[:, None])
    # A probability that rounds to 0 is the smallest there is, not none: metrics need numbers.
    return PatientScores(target[first], np.maximum(logs, -745.0), names.tolist())
