"""What tables need of a trial beside its scores: small, and plain data for the index."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from mritk.results.absent_regions import undefined_cases
from mritk.results.clean_support import Counts, counts_of
from mritk.results.doubts import never_selected
from mritk.store.layout import ATTRIBUTES
from mritk.store.record import Predictions, TrialIdentity, TrialRecord
from mritk.tasks.kinds import task_from_dict
from mritk.tasks.task import Task

# What tells one trial of a row from another.
OWN = ("status", "id", "fold", "seed")
# What many trials have in common, in the order in which it is kept.
SETTING = (*(name for name in ATTRIBUTES if name not in OWN), "protocol_json")


@dataclass(frozen=True)
class Tested:
    """Which samples a trial was tested on.

    Attributes:
        ids: Their ids, sorted.
        patients: The patients among them, sorted, as far as they are known.
        clean: Ids of those without a copy in training, sorted; None where unknown.
        classes: Classes that the clean ones have, or all where that is unknown; sorted.
        support: How many of each class are clean (:func:`mritk.results.clean_support.counts_of`).
    """

    ids: tuple[str, ...]
    patients: tuple[str, ...]
    clean: tuple[str, ...] | None
    classes: tuple[int, ...]
    support: Counts

    @classmethod
    def of(cls, test: Predictions, task: Task) -> Tested:
        """Return that of stored predictions."""
        kept = test.known_clean
        classes = np.unique(test.target[kept]) if task.classes else ()
        return cls(
            tuple(sorted(test.id)),
            tuple(sorted(set(test.patient) - {""})),
            None if test.clean is None else tuple(sorted(np.asarray(test.id)[kept].tolist())),
            tuple(int(k) for k in classes),
            counts_of(test, task),
        )

    @property
    def leaks(self) -> bool:
        """Whether some of the samples are known not to be clean."""
        return self.clean is not None and len(self.clean) < len(self.ids)

    @property
    def clean_ids(self) -> tuple[str, ...]:
        """Ids of those without a copy in training; of all where that is unknown."""
        return self.ids if self.clean is None else self.clean

    @cached_property
    def members(self) -> frozenset[str]:
        """The ids as a set."""
        return frozenset(self.ids)


@dataclass(eq=False, kw_only=True, slots=True)
class TrialFacts(TrialIdentity):
    """A trial without predictions, splits, history and provenance.

    Attributes:
        skipped: Number of samples that were left out as unreadable.
        cost: What is stored of its cost, with the number of parameters.
        unselected: Why no epoch could be selected; empty if one was.
        undefined: Test cases without a value, by column of a segmentation's scores.
        in_voxels: Whether distances count voxels, because the data do not state those in mm.
        test: What it was tested on; None if it failed.
        made_by: What made more of its training samples, such as ``augmented,copies=2``; else empty.
    """

    skipped: int
    cost: dict[str, float]
    unselected: str
    undefined: dict[str, int]
    in_voxels: bool
    test: Tested | None
    made_by: str = ""

    @classmethod
    def of(cls, record: TrialRecord) -> TrialFacts:
        """Return the facts of a stored trial."""
        test = record.predictions.get("test")
        cost = dict(record.cost)
        if count := record.note("parameters", (int, float)):  # where older files have it
            cost.setdefault("parameters", float(count))
        return cls(
            **{column.name: getattr(record, column.name) for column in fields(TrialIdentity)}
            | _of_originals(record),
            skipped=len(record.skipped),
            cost=cost,
            unselected=never_selected(record) if record.finished else "",
            undefined={} if test is None else undefined_cases(test),
            in_voxels=bool(test and test.references and not test.references.spacing),
            test=None if test is None else Tested.of(test, record.task),
        )

    @property
    def clean_is_all(self) -> bool:
        """Whether metrics over clean samples are those over all: no leak, and no class absent."""
        if self.test is None or self.test.leaks:
            return False
        return len(self.test.classes) == len(self.task.classes)


def _of_originals(record: TrialRecord) -> dict[str, str]:
    """Return what a trial was tested on, and how its training samples became more.

    Samples made from others are never tested, so trials with and without them stand in one table.
    """
    made = record.provenance.get("made_from")
    if not made:
        return {}
    others = [] if record.augmentation == "none" else [record.augmentation]
    return {
        "dataset": made["dataset"],
        "dataset_fingerprint": made["fingerprint"],
        "augmentation": " + ".join([*others, made["by"]]),
        "made_by": made["by"],
    }


def setting_as_json(facts: TrialFacts) -> str:
    """Return what trials of one setting have in common."""
    shared = [getattr(facts, name) for name in SETTING]
    return json.dumps([*shared, facts.task.as_dict()])


def setting_from_json(text: str | bytes) -> dict[str, Any]:
    """Return the fields of :class:`TrialFacts` in :func:`setting_as_json`."""
    *shared, task = json.loads(text)
    return {**dict(zip(SETTING, shared, strict=True)), "task": task_from_dict(task)}


def tested_as_json(test: Tested) -> str:
    """Return a test part as JSON."""
    return json.dumps([test.ids, test.patients, test.clean, test.classes, test.support])


def tested_from_json(text: str | bytes) -> Tested:
    """Return the test part of :func:`tested_as_json`."""
    ids, patients, clean, classes, support = json.loads(text)
    return Tested(
        tuple(ids),
        tuple(patients),
        None if clean is None else tuple(clean),
        tuple(classes),
        tuple((k, samples, units) for k, samples, units in support),
    )
