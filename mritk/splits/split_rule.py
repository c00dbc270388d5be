"""How samples are divided: the ``[split]`` table of a protocol."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from mritk.data.samples import Samples

Scheme = Literal["auto", "official", "holdout", "kfold", "site"]


@dataclass(frozen=True)
class SplitRule:
    """How samples are divided; part of the protocol.

    Patients are never divided where their ids are known, and neither are known copies of one
    image. Classes (or quantiles of a regression target) are spread as evenly as these allow.

    Attributes:
        scheme: ``official`` takes the dataset's own test part; ``holdout`` draws one; ``kfold``
            makes each of ``folds`` parts the test part once; ``site`` makes each acquisition site
            the test part once; ``auto`` is ``official`` where the dataset has an official test
            part, else ``holdout``.
        test_fraction: Share of the test part in ``holdout``, realised as m of n equal parts.
        val_fraction: Share of the validation part in what is left of the test part, likewise.
        folds: Number of folds of ``kfold``.
        repeats: How often everything that is drawn is drawn anew; folds are numbered repeat by
            repeat.
        shots: Training samples per class; 0: all. The set for k is a part of that for k + 1.
        copies: ``drop`` keeps copies on one side of a drawn split, and leaves out what in training
            or validation is of a patient or a copy in an official test part or a site; ``keep``
            lets copies fall anywhere and official parts as they are. Either way a fold tells
            which test samples are clean.
        seed: Seed of the draw. It is not the seed of a trial: all seeds see the same split.
        validation: ``drawn`` from the training part, unless the dataset has one of its own; or
            ``test``, to repeat published work that chose its state on the test part: the test
            samples are then the validation part too, nothing is held out for selection, and every
            cell that comes of it is marked.
    """

    scheme: Scheme = "auto"
    test_fraction: float = 0.2
    val_fraction: float = 0.2
    folds: int = 5
    repeats: int = 1
    shots: int = 0
    copies: Literal["drop", "keep"] = "drop"
    seed: int = 0
    # It came later: at its default it leaves the fingerprints of before as they are.
    validation: Literal["drawn", "test"] = field(
        default="drawn", metadata={"fingerprint": "unless default"}
    )

    def __post_init__(self) -> None:
        for name in ("test_fraction", "val_fraction"):
            if not 0 < getattr(self, name) <= 0.5:
                raise ValueError(f"{name} must be in (0, 0.5]")
        for name, least in (("folds", 2), ("repeats", 1), ("shots", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}")
        if not 0 <= self.seed < 2**32:
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
