"""The trial that an ensemble would be: mixed predictions, and what its members have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mritk.errors import UsageError
from mritk.evaluate.metric import Undefined
from mritk.evaluate.mixture import mixed_scores, mixed_spread
from mritk.protocol.evaluation import SPLIT
from mritk.protocol.stored import StoredProtocol
from mritk.results.cost import cost_together
from mritk.results.table_trial import TableTrial
from mritk.store.record import Predictions, TrialRecord

MANY = 3  # names of so many protocols are listed


@dataclass(frozen=True, eq=False)
class Mixture:
    """What an ensemble of one seed and fold is made of.

    Attributes:
        name: What its row is called in place of a backbone.
        seed: Its seed; :data:`mritk.evaluate.paired_runs.POOLED` if it is made of all.
        fold: Its fold; likewise.
        members: Its M finished trials, with all that is stored of them.
        weights: (M,) float64 weights with sum 1.
    """

    name: str
    seed: int
    fold: int
    members: Sequence[TableTrial]
    weights: np.ndarray

    @property
    def chosen(self) -> list[tuple[TableTrial, float]]:
        """The members that have a weight, with it."""
        pairs = zip(self.members, self.weights.tolist(), strict=True)
        return [(trial, weight) for trial, weight in pairs if weight > 0]

    def record(self) -> TrialRecord:
        """Return it as a trial.

        Its recipe is what all have that could be members, so that it is the same whichever were
        chosen for a seed.

        Raises:
            Undefined: Its members were tested on different samples, or predict no classes or
                numbers.
        """
        candidates = [record_of(trial) for trial in self.members]
        records = [record_of(trial) for trial, _ in self.chosen]
        weights = np.asarray([weight for _, weight in self.chosen])
        first = records[0]
        names = [record.id for record in records]
        digest = hashlib.sha256(f"{self.name} {names} {self.seed} {self.fold}".encode()).hexdigest()
        predictions = {"test": _mixed([r.predictions["test"] for r in records], weights)}
        if validation := common_part(records, "val"):
            predictions["val"] = _mixed(validation, weights)
        return replace(
            first,
            id=digest[:16],
            backbone=self.name,
            seed=self.seed,
            fold=self.fold,
            augmentation=_joined(record.augmentation for record in candidates),
            method=_joined(record.method for record in candidates),
            **_recipe(candidates),
            history=[],
            notes={},
            predictions=predictions,
            cost=cost_together([trial.facts.cost for trial, _ in self.chosen]),
        )


def record_of(trial: TableTrial) -> TrialRecord:
    """Return all that is stored of a trial.

    Raises:
        UsageError: It was not read.
    """
    if trial.held is None:
        raise UsageError("ensembles require the records of their members")
    return trial.held


def common_part(records: Sequence[TrialRecord], part: str) -> list[Predictions]:
    """Return the predictions of each for those samples of a part that all have, in one order.

    A sample that only some have may be one that others were trained on. Nothing if there is none.
    """
    if not all(part in record.predictions for record in records):
        return []
    there = [record.predictions[part] for record in records]
    shared = set.intersection(*(set(found.id) for found in there))
    wanted = [name for name in there[0].id if name in shared]
    return [_in_order(found, wanted) for found in there] if wanted else []


def _in_order(part: Predictions, ids: Sequence[str]) -> Predictions:
    """Return the predictions of some samples in this order, without what mixtures do not have."""
    at = {name: number for number, name in enumerate(part.id)}
    found = part.only(np.asarray([at[name] for name in ids], dtype=np.int64))
    return replace(found, cases=(), masks=None, references=None, embedding=None)


def _mixed(parts: Sequence[Predictions], weights: np.ndarray) -> Predictions:
    first = parts[0]
    if first.cases:
        raise Undefined("label maps are not averaged")
    if any(sorted(part.id) != sorted(first.id) for part in parts):
        raise Undefined("their members were tested on different samples")
    parts = [_in_order(part, first.id) for part in parts]
    if any(not np.array_equal(part.target, first.target) for part in parts):
        raise Undefined("their members have different targets")
    scores = [part.score for part in parts]
    spreads = [part.spread for part in parts if part.spread is not None]
    whole = len(spreads) == len(parts) and first.score.ndim == 1
    clean = [part.clean for part in parts if part.clean is not None]
    return replace(
        first,
        score=mixed_scores(scores, weights),
        spread=mixed_spread(scores, spreads, weights) if whole else None,
        clean=np.all(clean, axis=0) if len(clean) == len(parts) else None,
    )


def _joined(names: Any) -> str:
    found = sorted(set(names))
    return found[0] if len(found) == 1 else "mixed"


def _recipe(records: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return protocol, fingerprint and protocol_json: those that all have, or what they share."""
    prints = sorted({record.fingerprint for record in records})
    if len(prints) == 1:
        return {}
    names = sorted({record.protocol for record in records})
    together = " + ".join(names) if len(names) <= MANY else f"{len(names)} protocols"
    shared = _shared([record.stored_protocol for record in records])
    return {
        "protocol": together,
        "fingerprint": hashlib.sha256("".join(prints).encode()).hexdigest(),
        "protocol_json": json.dumps(shared, sort_keys=True, separators=(",", ":")),
    }


def _shared(protocols: Sequence[StoredProtocol]) -> dict[str, Any]:
    """Return the fields that all have, which are those of the evaluation at least."""
    first, *others = (protocol.data for protocol in protocols)
    shared = _equal(first, others)
    split = first.get(SPLIT)
    if isinstance(split, Mapping):
        shared[SPLIT] = _equal(split, [protocol.split for protocol in protocols[1:]])
        if any(protocol.validates_on_test for protocol in protocols):
            shared[SPLIT]["validation"] = "test"
    return shared


def _equal(first: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    absent = object()
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name, absent) == value for other in others)
    }
