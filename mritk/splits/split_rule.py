"""How samples are divided: the ``[split]`` table of a protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral
from typing import Literal, get_args, get_type_hints

from mritk.data.samples import Samples

Scheme = Literal["auto", "official", "holdout", "kfold", "site"]


@dataclass(frozen=True)
class SplitRule:
    """How samples are split; part of the protocol.

    Patients are never split if their ids are known, and neither are known duplicates. Classes (or
    quantiles of a regression target) are stratified as evenly as these allow.

    Attributes:
        scheme: ``official`` uses the official test set; ``holdout`` draws one; ``kfold``
            uses each of ``folds`` folds as test set once; ``site`` uses each acquisition site
            as test set once; ``auto`` is ``official`` if the dataset has an official test
            set, else ``holdout``.
        test_fraction: Fraction of the test set in ``holdout``, realised as m of n equal parts:
            one of any n, or several of 20 at most. Fewer patients than n are n, where the share
            that they make comes within 0.05.
        val_fraction: Fraction of the validation set in the remaining samples, likewise.
        folds: Number of folds of ``kfold``.
        repeats: Number of repeated draws; folds are numbered repeat by repeat.
        shots: Training samples per class; 0: all. The set for k is a subset of that for k + 1.
        copies: ``drop`` keeps duplicates in one set of a drawn split, and drops training and
            validation samples that share a patient or duplicate with an official test set or a
            site; ``keep`` ignores duplicates and uses official splits as they are. In both cases
            a fold records which test samples are clean.
        seed: Seed of the draw. It is not the seed of a trial: all seeds share the same split.
        validation: ``drawn`` from the training set, unless there is an official one; or
            ``test``, to replicate published work that selected on the test set: the test
            samples are then also the validation set, nothing is held out for selection, and all
            resulting cells are marked.
        train_patients: Patients in the training set (samples, where there are no patient ids);
            0: all. The set for N is a subset of that for N + 1.
        unlabelled: Samples that a method is given without their targets. ``train``: the training
            set, with what ``shots`` or ``train_patients`` leave out of it; ``all``: every sample,
            the tested ones too, and all resulting cells are marked.
    """

    scheme: Scheme = "auto"
    test_fraction: float = 0.2
    val_fraction: float = 0.2
    folds: int = 5
    repeats: int = 1
    shots: int = 0
    copies: Literal["drop", "keep"] = "drop"
    seed: int = 0
    # These came later: at their default they leave the fingerprints of before as they are.
    validation: Literal["drawn", "test"] = field(
        default="drawn", metadata={"fingerprint": "unless default"}
    )
    train_patients: int = field(default=0, metadata={"fingerprint": "unless default"})
    unlabelled: Literal["none", "train", "all"] = field(
        default="none", metadata={"fingerprint": "unless default"}
    )

    @property
    def limits_training(self) -> bool:
        """Whether a part of the training set is drawn."""
        return self.shots > 0 or self.train_patients > 0

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(type(self)).items():
            words = get_args(kind)
            if words and getattr(self, name) not in words:
                raise ValueError(f"{name} must be one of {', '.join(words)}")
        for name in ("test_fraction", "val_fraction"):
            if not 0 < getattr(self, name) <= 0.5:
                raise ValueError(f"{name} must be in (0, 0.5]")
        least_of = {"folds": 2, "repeats": 1, "shots": 0, "train_patients": 0, "seed": 0}
        for name, least in least_of.items():
            if not isinstance(getattr(self, name), Integral):
                raise ValueError(f"{name} must be a whole number")
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        if self.shots and self.train_patients:
            raise ValueError(
                "shots and train_patients both limit the training set; set one of them to 0"
            )
        if self.seed >= 2**32:
            raise ValueError("seed must be between 0 and 2**32 - 1")


def fold_count(samples: Samples, rule: SplitRule) -> int:
    """Return how many folds :func:`mritk.splits.splits.make_folds` makes of these samples."""
    known = known_fold_count(rule)
    return len(set(samples.sites or ())) * rule.repeats if known is None else known


def known_fold_count(rule: SplitRule) -> int | None:
    """Return how many folds a rule makes of any data; None where that depends on their sites."""
    if rule.scheme == "site":
        return None
    return (rule.folds if rule.scheme == "kfold" else 1) * rule.repeats


def resolved_scheme(samples: Samples, rule: SplitRule) -> str:
    """Return the scheme that ``auto`` means for these samples."""
    if rule.scheme != "auto":
        return rule.scheme
    return "official" if samples.splits is not None and "test" in samples.splits else "holdout"
