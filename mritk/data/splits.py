"""Divide samples into training, validation and test parts that share no patient.

scikit-learn draws the folds; this module decides what is stratified, what is grouped, and refuses
a division that later numbers could not bear.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mritk.data.samples import SPLITS, Classification, Samples
from mritk.errors import DataError

Scheme = Literal["auto", "official", "holdout", "kfold"]

# Regression targets are stratified by this many quantiles.
QUANTILES = 5


@dataclass(frozen=True)
class SplitRule:
    """How samples are divided; part of the protocol.

    Patients are never divided where their ids are known. Classes (or quantiles of a regression
    target) are spread as evenly as the patients allow.

    Attributes:
        scheme: ``official`` takes the dataset's own test part; ``holdout`` draws one; ``kfold``
            makes each of ``folds`` parts the test part once; ``auto`` is ``official`` where the
            dataset has an official test part, else ``holdout``.
        test_fraction: Share of the test part in ``holdout``, rounded to one part in k.
        val_fraction: Share of the validation part in what is left of the test part, likewise.
        folds: Number of folds of ``kfold``.
        seed: Seed of the draw. It is not the seed of a trial: all seeds see the same split.
    """

    scheme: Scheme = "auto"
    test_fraction: float = 0.2
    val_fraction: float = 0.2
    folds: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("test_fraction", "val_fraction"):
            if not 0 < getattr(self, name) <= 0.5:
                raise ValueError(f"{name} must be above 0 and at most 0.5")
        if self.folds < 2:
            raise ValueError("folds must be at least 2")
        if not 0 <= self.seed < 2**32:
            raise ValueError("seed must lie between 0 and 2**32 - 1")


@dataclass(frozen=True, eq=False)
class Fold:
    """Row numbers of the three parts of one division."""

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray


def resolved_scheme(samples: Samples, rule: SplitRule) -> str:
    """Return the scheme that ``auto`` means for these samples."""
    if rule.scheme != "auto":
        return rule.scheme
    return "official" if samples.splits is not None and "test" in samples.splits else "holdout"


def make_folds(samples: Samples, rule: SplitRule) -> tuple[Fold, ...]:
    """Return the folds of ``rule``: one, or ``rule.folds`` for ``kfold``.

    Raises:
        DataError: No official test part; a patient in two official parts; a class that is absent
            from a part; too few patients.
    """
    scheme = resolved_scheme(samples, rule)
    folds: tuple[Fold, ...]
    if scheme == "official":
        folds = (_official(samples, rule),)
    else:
        parts = rule.folds if scheme == "kfold" else round(1 / rule.test_fraction)
        tests = _parts(samples, np.arange(len(samples)), parts, rule.seed)
        count = rule.folds if scheme == "kfold" else 1
        folds = tuple(_with_validation(samples, tests[i], rule) for i in range(count))
    for fold in folds:
        _check(samples, fold)
    return folds


def _official(samples: Samples, rule: SplitRule) -> Fold:
    names = np.asarray(samples.splits if samples.splits is not None else ())
    if "test" not in names or "train" not in names:
        raise DataError(
            "this dataset has no official training and test parts; use the split scheme 'holdout' "
            "or 'kfold'"
        )
    train, val, test = (np.flatnonzero(names == part) for part in SPLITS)
    if len(val):
        return Fold(train, val, test)
    return _with_validation(samples, test, rule)


def _with_validation(samples: Samples, test: np.ndarray, rule: SplitRule) -> Fold:
    rest = np.setdiff1d(np.arange(len(samples)), test)
    val = _parts(samples, rest, round(1 / rule.val_fraction), rule.seed)[0]
    return Fold(np.setdiff1d(rest, val), val, np.sort(test))


def _parts(samples: Samples, rows: np.ndarray, count: int, seed: int) -> list[np.ndarray]:
    """Divide ``rows`` into ``count`` parts, stratified, patients whole.

    The division depends on ids, targets and patients, not on the order of the rows.
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    rows = rows[np.argsort(np.asarray(samples.ids)[rows])]
    strata = _strata(samples, rows, count)
    patients = None if samples.patients is None else np.asarray(samples.patients)[rows]
    units = len(np.unique(patients)) if patients is not None else len(rows)
    if units < count or np.bincount(strata).max() < count:
        unit = "patients" if patients is not None else "samples"
        raise DataError(
            f"{units} {unit} cannot be divided into {count} parts; add data, or change the "
            f"fractions or folds in the protocol's [split]"
        )
    splitter = StratifiedKFold if patients is None else StratifiedGroupKFold
    folds = splitter(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class rarer than the parts is refused below, by name, if a part lacks it.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        return [np.sort(rows[part]) for _, part in folds.split(rows, strata, patients)]


def _strata(samples: Samples, rows: np.ndarray, parts: int) -> np.ndarray:
    """Return classes, or quantiles of the target with at least ``parts`` samples each."""
    targets = samples.targets[rows]
    if isinstance(samples.task, Classification):
        return targets
    quantiles = max(1, min(QUANTILES, len(rows) // parts))
    ranks = np.argsort(np.argsort(targets, kind="stable"), kind="stable")
    return ranks * quantiles // len(rows)


def _check(samples: Samples, fold: Fold) -> None:
    parts = {"train": fold.train, "val": fold.val, "test": fold.test}
    for name, rows in parts.items():
        if not len(rows):
            raise DataError(f"the {name} part of the split is empty")
        if isinstance(samples.task, Classification):
            absent = np.setdiff1d(np.arange(samples.task.outputs), samples.targets[rows])
            if len(absent):
                label = samples.task.classes[absent[0]]
                total = int((samples.targets == absent[0]).sum())
                raise DataError(
                    f"class {label!r} has no sample in the {name} part ({total} in all); add "
                    f"samples of it, or choose another split scheme"
                )
    if samples.patients is not None:
        _check_patients(np.asarray(samples.patients), parts)


def _check_patients(patients: np.ndarray, parts: dict[str, np.ndarray]) -> None:
    for one, other in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = np.intersect1d(patients[parts[one]], patients[parts[other]])
        if len(shared):
            raise DataError(
                f"patient {str(shared[0])!r} is in the {one} and in the {other} part "
                f"({len(shared)} such patients); a score would then measure memory of patients"
            )
