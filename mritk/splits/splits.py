"""Divide samples into training, validation and test parts that share no patient and no copy.

Each scheme says here what the parts are; :mod:`mritk.splits.draw` draws at random, and
:mod:`mritk.splits.cleaning` drops what would leak.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from mritk.data.samples import Samples
from mritk.errors import DataError
from mritk.reading.parts import SPLITS
from mritk.splits.cleaning import NO_ROWS, Bound, ClassAbsent, Parts, finished
from mritk.splits.draw import DRAWS, draw_parts, draw_share, seed_of
from mritk.splits.fold import Fold, fold_digest
from mritk.splits.made import folds_with_made
from mritk.splits.split_rule import SplitRule, resolved_scheme
from mritk.splits.units import units
from mritk.text.listed import many

__all__ = ["Fold", "SplitRule", "fold_digest", "make_folds", "resolved_scheme"]


def make_folds(
    samples: Samples, rule: SplitRule, copies: np.ndarray | None = None
) -> tuple[Fold, ...]:
    """Return the folds of ``rule``: one, ``rule.folds`` or one per site, times ``rule.repeats``.

    Args:
        samples: N samples.
        rule: How they are divided.
        copies: (N,) int64; equal numbers are copies of each other, as an audit finds them. None:
            nothing is known of copies.

    Raises:
        DataError: No official test part, or no sites; too few patients; a class that is absent
            from a part, or has fewer training samples than shots; fewer patients than
            ``train_patients``; repeats that draw nothing.
    """
    if len(samples.originals) < len(samples):
        return folds_with_made(samples, partial(make_folds, rule=rule), copies)
    linked = units(samples, copies)
    groups = linked if rule.copies == "drop" else units(samples)
    bound = Bound(samples, rule, linked, groups)
    _require_spread(bound)
    seeds = (seed_of("repeat", rule.seed, repeat) for repeat in range(rule.repeats))
    return tuple(fold for seed in seeds for fold in _with_every_class(bound, seed))


def _with_every_class(bound: Bound, seed: int) -> list[Fold]:
    """Return the folds of the first draw in which every part has every class."""
    absences = []
    for attempt in range(DRAWS):
        drawn = seed_of("split", seed, attempt)
        try:
            return [finished(bound, parts, drawn, seed) for parts in _parts(bound, drawn)]
        except ClassAbsent as error:
            absences.append(error)
    raise absences[0]


def _parts(bound: Bound, seed: int) -> Iterator[Parts]:
    samples, rule = bound.samples, bound.rule
    scheme = resolved_scheme(samples, rule)
    if rule.validation == "test" and scheme in ("official", "site"):
        _require_draws(rule, 'split, because validation = "test" leaves nothing to draw')
    if scheme == "official":
        yield _official(samples, rule)
    elif scheme == "site":
        yield from _sites(samples)
    else:
        rows = np.arange(len(samples))
        if scheme == "kfold":
            tests = draw_parts(samples, rows, bound.groups, rule.folds, seed)
        else:
            tests = [draw_share(samples, rows, bound.groups, rule.test_fraction, seed)]
        for test in tests:
            yield Parts(np.setdiff1d(rows, test), NO_ROWS, test)


def _official(samples: Samples, rule: SplitRule) -> Parts:
    names = np.asarray(samples.splits if samples.splits is not None else ())
    if "test" not in names or "train" not in names:
        raise DataError(
            "this dataset has no official training and test sets; use the split scheme 'holdout' "
            "or 'kfold'"
        )
    train, val, test = (np.flatnonzero(names == part) for part in SPLITS)
    if len(val):
        _require_draws(rule, "official split, because the dataset has a validation set too")
    return Parts(train, val, test)


def _require_draws(rule: SplitRule, what: str) -> None:
    """Refuse repeats of what is given, of which each would be the same."""
    if rule.repeats > 1 and not rule.limits_training:
        raise DataError(
            f"repeats = {rule.repeats} would repeat the same {what}; use more seeds, or the split "
            "scheme 'kfold'"
        )


def _sites(samples: Samples) -> Iterator[Parts]:
    sites = np.asarray(samples.sites if samples.sites is not None else ())
    names = np.unique(sites)
    without = np.count_nonzero(sites == "")
    if len(names) < 2 or without == len(sites):
        known = f"only one site, {names[0]}" if without < len(sites) else "no site"
        raise DataError(
            f"this dataset has {known}, but the split scheme 'site' tests on one site at a time; "
            "add a column site to --patients FILE.csv, or use 'holdout' or 'kfold'"
        )
    if without:
        raise DataError(
            f"{without} of {len(sites)} samples have no site, and could be of the one that is "
            "tested; add it in a column site of --patients FILE.csv, or use 'holdout' or 'kfold'"
        )
    for name in names:
        here = sites == name
        yield Parts(np.flatnonzero(~here), NO_ROWS, np.flatnonzero(here), str(name))


def _require_spread(bound: Bound) -> None:
    """Refuse classes of so few patients that no draw could put one into every part."""
    samples, rule = bound.samples, bound.rule
    scheme = resolved_scheme(samples, rule)
    if scheme not in ("holdout", "kfold"):
        return
    needed = max(3, rule.folds) if scheme == "kfold" else 3  # training, validation and test
    for label, name in enumerate(samples.task.classes):
        rows = np.flatnonzero(samples.targets == label)
        found = len(np.unique(bound.groups[rows]))
        if found < needed and len(np.unique(bound.groups)) >= needed:
            owners = "" if samples.patients is None else f" of {many(found, 'patient')}"
            held = f"{many(len(rows), 'sample')}{owners}" if len(rows) else "no sample"
            raise DataError(
                f"class {name!r} has {held}, but {needed} independent ones are needed to have "
                "some in every split; add samples of it, merge it with another class (--rename "
                f"{name}=OTHER), or use fewer folds"
            )
