"""From raw parts to a fold: drop what leaks, draw what is missing, refuse what is of no use."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.splits.draw import draw_share
from mritk.splits.fold import Fold
from mritk.splits.shots import draw_shots
from mritk.splits.split_rule import SplitRule
from mritk.splits.train_patients import draw_train_patients

NO_ROWS = np.empty(0, dtype=np.int64)
REMEDY = "add samples of it, or choose another split scheme"


class ClassAbsent(DataError):
    """A part lacks a class; another draw may not."""


@dataclass(frozen=True, eq=False)
class Parts:
    """What a scheme says of the parts, before anything is dropped.

    Attributes:
        train: Rows.
        val: Rows; empty: to be drawn from ``train``.
        test: Rows.
        site: The site that is the test part, which then need not hold every class.
    """

    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    site: str = ""


@dataclass(frozen=True, eq=False)
class Bound:
    """Samples, and what binds them.

    Attributes:
        samples: N samples.
        rule: How they are divided.
        linked: (N,) int64, the units of patients and copies.
        groups: (N,) int64, the units that a draw keeps whole.
    """

    samples: Samples
    rule: SplitRule
    linked: np.ndarray
    groups: np.ndarray


def finished(bound: Bound, parts: Parts, drawn: int, seed: int) -> Fold:
    """Return the fold that raw parts come to.

    Args:
        bound: The samples.
        parts: Rows of each part.
        drawn: Seed of the validation part.
        seed: Seed of the shots, or of the patients to train on.

    Raises:
        ClassAbsent: A class has no sample in a part.
        DataError: A part is empty, or the shots or patients cannot be had.
    """
    rule, linked = bound.rule, bound.linked
    train, val, test = parts.train, parts.val, parts.test
    if rule.copies == "drop":
        val = val[~np.isin(linked[val], linked[test])]
        # An official validation set that is trained on leaks into nothing but the test set.
        held_out = test if rule.validation == "test" else np.concatenate([parts.val, test])
        train = train[~np.isin(linked[train], linked[held_out])]
    left = Parts(train, val, test, parts.site)
    if rule.validation == "test":
        train, val = np.union1d(train, val), test
        left = Parts(train, val, test, parts.site)
    elif not len(parts.val) and len(train):
        val = draw_share(bound.samples, train, bound.groups, rule.val_fraction, drawn)
        train = np.setdiff1d(train, val)
    _require_parts(bound.samples, parts, left, Parts(train, val, test, parts.site))
    chosen = train
    if rule.shots:
        chosen = draw_shots(bound.samples, train, bound.groups, rule.shots, seed)
    elif rule.train_patients:
        chosen = draw_train_patients(bound.samples, train, rule.train_patients, seed)
    before = np.concatenate([parts.train, parts.val])
    kept = chosen if rule.validation == "test" else np.concatenate([chosen, val])
    seen = before if rule.copies == "drop" else kept
    return Fold(
        train=np.sort(chosen),
        val=np.sort(val),
        test=np.sort(test),
        dropped=np.setdiff1d(before, np.concatenate([train, val])),
        unused=np.setdiff1d(train, chosen),
        clean=~np.isin(linked[np.sort(test)], linked[seen]),
    )


def _require_parts(samples: Samples, before: Parts, left: Parts, final: Parts) -> None:
    """Refuse a fold with an empty part, or one that lacks a class.

    Args:
        samples: The samples.
        before: The parts as the scheme has them.
        left: The parts without what was dropped.
        final: The parts with a validation part.
    """
    place = f"with site {before.site!r} as the test set: " if before.site else ""
    for name in ("train", "val", "test"):
        rows: np.ndarray = getattr(final, name)
        held, kept = getattr(before, name), getattr(left, name)
        if not len(rows):
            raise DataError(f"{place}the {name} set is empty{_lost(held, kept)}")
        if not samples.task.classes or (before.site and name == "test"):
            continue
        absent = np.setdiff1d(np.arange(samples.task.outputs), samples.targets[rows])
        if len(absent):
            of_class = samples.targets == absent[0]
            lost = _lost(held[of_class[held]], kept[of_class[kept]])
            raise ClassAbsent(
                f"{place}class {samples.task.classes[absent[0]]!r} has no sample in the {name} "
                f"set ({of_class.sum()} in total){lost or f'; {REMEDY}'}"
            )


def _lost(held: np.ndarray, kept: np.ndarray) -> str:
    """Return what to say of samples that were dropped; nothing if none was."""
    count = len(held) - len(kept)
    if not count:
        return ""
    return (
        f": of its {len(held)} there, {count} were dropped because of duplicates or patients in "
        "another split; use the split scheme 'holdout' or 'kfold', or keep them with copies = "
        '"keep" in [split] and trust only the clean test samples'
    )
