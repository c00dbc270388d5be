"""Ensembles of stored predictions: rows of a table made of its other rows, without training."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mritk.evaluate.greedy_selection import greedy_weights
from mritk.evaluate.metric import Undefined
from mritk.evaluate.mixture import equal_weights
from mritk.evaluate.paired_runs import POOLED
from mritk.results.ensemble_record import Mixture, common_part, record_of
from mritk.results.table_trial import TableTrial
from mritk.results.trial_facts import TrialFacts
from mritk.text.listed import listed

Rows = Mapping[str, Sequence[TableTrial]]
# Ensembles of one kind, and what a reader must know of them.
Made = tuple[list[Mixture], str]
GREEDY = "greedy ensemble"


@dataclass(frozen=True)
class Ensembles:
    """Trials that are made of others, as a table takes them.

    Attributes:
        trials: The trials.
        members: By their id, what they are made of.
        notes: What a reader must know of them, and which could not be made and why.
    """

    trials: list[TableTrial] = field(default_factory=list)
    members: dict[str, list[TrialFacts]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def ensembles_of(rows: Rows, kinds: Sequence[str]) -> Ensembles:
    """Return the ensembles of the rows of a table.

    Nothing but validation predictions decides on members and weights.

    Args:
        rows: By name, the trials of each row that are evaluated, with all that is stored of them.
        kinds: Of :data:`KINDS`.
    """
    made = Ensembles()
    there = {name: trials for name, trials in sorted(rows.items()) if trials}
    for kind in dict.fromkeys(kinds):
        try:
            _require_one_of_each(there)
            mixtures, note = KINDS[kind](there)
            records = [mixture.record() for mixture in mixtures]
        except Undefined as why:
            made.notes.append(f"No ensemble of {kind}: {why}.")
            continue
        for mixture, record in zip(mixtures, records, strict=True):
            made.trials.append(TableTrial.of(record))
            made.members[record.id] = [trial.facts for trial, _ in mixture.chosen]
        made.notes.append(note)
    return made


def _require_one_of_each(rows: Rows) -> None:
    """Refuse rows that would count a seed and fold twice.

    Raises:
        Undefined: One has several trials of a seed and fold.
    """
    for name, trials in rows.items():
        ((seed, fold), count), *_ = Counter(
            (trial.facts.seed, trial.facts.fold) for trial in trials
        ).most_common(1)
        if count > 1:
            raise Undefined(f"{name} has {count} trials of seed {seed} and fold {fold}")


def _of_seeds(rows: Rows) -> Made:
    """Return, for each row and fold, the mixture of all its seeds."""
    seeds = {name: len({trial.facts.seed for trial in trials}) for name, trials in rows.items()}
    mixtures = [
        _plain(f"×{seeds[row]} seeds", POOLED, fold, members)
        for row, fold, members in _several(rows, lambda facts: facts.fold)
    ]
    if not mixtures:
        raise Undefined("no row has two seeds")
    return mixtures, (
        "× seeds: mean prediction of the networks of all seeds of a row, which counts as one run; "
        "its cost is theirs together."
    )


def _of_folds(rows: Rows) -> Made:
    """Return, for each row and seed, the mixture of all its folds."""
    mixtures = []
    for _, seed, members in _several(rows, lambda facts: facts.seed):
        if len({trial.facts.test.members for trial in members if trial.facts.test}) > 1:
            raise Undefined(
                "folds were tested on different samples; it requires an official test set and "
                "repeated draws of the training samples (split.repeats)"
            )
        mixtures.append(_plain(f"×{len(members)} folds", seed, POOLED, members))
    if not mixtures:
        raise Undefined("no row has two folds")
    note = "× folds: mean prediction of the networks of all draws; its cost is theirs together."
    return mixtures, note


def _of_rows(rows: Rows) -> Made:
    """Return, for each seed and fold that all rows have, the mixture of the rows."""
    name = f"ensemble of {len(rows)} rows"
    mixtures = [
        Mixture(name, seed, fold, members, equal_weights(len(members)))
        for (seed, fold), members in _of_all(rows).items()
    ]
    return mixtures, (
        f"{name}: mean prediction of {listed(list(rows))}, seed by seed. Its cost is theirs "
        "together."
    )


def _greedy(rows: Rows) -> Made:
    """Return, for each seed and fold that all rows have, the mixture that validation chose."""
    mixtures = []
    for (seed, fold), members in _of_all(rows).items():
        records = [record_of(trial) for trial in members]
        if any(record.stored_protocol.validates_on_test for record in records):
            raise Undefined("the validation set is the test set, which must not choose its members")
        if any(record.predictions["test"].cases for record in records):
            raise Undefined("label maps are not averaged")
        parts = common_part(records, "val")
        if not parts:
            raise Undefined("there is no validation sample that all rows have")
        weights = greedy_weights(parts[0].target, [part.score for part in parts])
        mixtures.append(Mixture(GREEDY, seed, fold, members, weights))
    means = np.mean([mixture.weights for mixture in mixtures], axis=0)
    chosen = sorted(zip(-means, rows, strict=True))
    told = listed([f"{name} {-weight:.2f}" for weight, name in chosen if weight < 0])
    many = f" (mean weights over {len(mixtures)} trials)" if len(mixtures) > 1 else ""
    return mixtures, f"{GREEDY}: selected by the loss on the validation set{many}: {told}."


def _of_all(rows: Rows) -> dict[tuple[int, int], list[TableTrial]]:
    """Return a trial of each row for each seed and fold that all have."""
    if len(rows) < 2:
        raise Undefined("the table has one row")
    of_rows = [{(t.facts.seed, t.facts.fold): t for t in trials} for trials in rows.values()]
    keys = set.intersection(*(set(found) for found in of_rows))
    if not keys:
        raise Undefined("the rows have no seed and fold in common")
    return {key: [found[key] for found in of_rows] for key in sorted(keys)}


def _several(
    rows: Rows, key: Callable[[TrialFacts], int]
) -> Iterator[tuple[str, int, list[TableTrial]]]:
    """Yield row, key and trials wherever a row has several trials of one key, in order of keys."""
    for name, trials in rows.items():
        found: dict[int, list[TableTrial]] = defaultdict(list)
        for trial in trials:
            found[key(trial.facts)].append(trial)
        yield from ((name, value, found[value]) for value in sorted(found) if len(found[value]) > 1)


def _plain(of: str, seed: int, fold: int, members: Sequence[TableTrial]) -> Mixture:
    name = f"{members[0].facts.backbone} {of}"
    return Mixture(name, seed, fold, members, equal_weights(len(members)))


KINDS: Mapping[str, Callable[[Rows], Made]] = {
    "seeds": _of_seeds,
    "folds": _of_folds,
    "backbones": _of_rows,
    "greedy": _greedy,
}
