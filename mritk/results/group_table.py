"""A table by group, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mritk.evaluate.interval import Interval
from mritk.evaluate.metric import Metric
from mritk.results.covariate import Covariate

# Of fewer patients, the score of a group may point to a person.
LEAST_OF_GROUP = 10
# Of fewer patients in any group, or of more groups, simulated intervals of worst group and gap do
# not cover 93 to 97 % (docs/statistics.md).
LEAST_FOR_GAP = 40
MOST_FOR_GAP = 4
# What stands below scores of groups that several folds test.
OVER_FOLDS = (
    "The score of a group is the mean over the folds that test it; each counts alike, however many "
    "samples of the group it tests."
)


@dataclass(frozen=True)
class GroupCell:
    """A score with its interval.

    Attributes:
        value: The score; NaN with a reason in the interval.
        interval: Its interval; None if none was asked for.
        group: The group that it is of, where that is not said elsewhere.
    """

    value: float
    interval: Interval | None = None
    group: str = ""


@dataclass(frozen=True)
class GroupRow:
    """The scores of one row of a table by group.

    Attributes:
        name: Of the row.
        scores: By group.
        worst: The lowest (or for errors the highest) of them.
        gap: The difference between the best and the worst.
    """

    name: str
    scores: Mapping[str, GroupCell]
    worst: GroupCell
    gap: GroupCell


@dataclass(frozen=True)
class GroupTable:
    """The rows of a table by one covariate.

    Attributes:
        covariate: What samples are divided by.
        metric: What is computed: that which sorts the table.
        units: By group: number of patients; of duplicate groups, where patients are unknown.
        rows: In the order of the table.
        small: Groups that are not shown, and their number of patients.
        shared: Number of patients in several of the groups that are shown.
        unit: What is counted: ``patients``, or ``duplicate groups``.
        over_folds: Whether the score of a group that is shown is a mean over several folds.
        over: Over which trials means are, by group in some of whose trials no case has a value.
    """

    covariate: Covariate
    metric: Metric
    units: Mapping[str, int]
    rows: Sequence[GroupRow]
    small: Mapping[str, int]
    shared: int = 0
    unit: str = "patients"
    over_folds: bool = False
    over: Mapping[str, str] = field(default_factory=dict)
