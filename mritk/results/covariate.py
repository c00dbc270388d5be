"""What test samples are divided by: site, source, class, or any covariate of the dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from mritk.errors import UsageError
from mritk.store.record import Predictions, TrialRecord
from mritk.text.natural_order import natural

COLUMNS = ("site", "source")
# Whether a test sample has a duplicate, or another image of its patient, in training or validation
# as they were before anything was dropped; the names of both groups.
DUPLICATE = "duplicate"
LEAKING, CLEAN = "in training", "none"
CLASS = "class"
RECALL = "accuracy"  # is the recall, among samples of one class
UNKNOWN = "unknown"
BETWEEN = ", "  # the names of groups by two covariates


@dataclass(frozen=True)
class Covariate:
    """A column of the samples, and what divides it if it is a number.

    Attributes:
        name: ``site``, ``source``, ``duplicate``, ``class``, or the name of a covariate.
        edges: Where a number is divided: ``(40, 60)`` gives < 40, 40 to 60 and ≥ 60.
        within: What each of its groups is divided by in turn.
    """

    name: str
    edges: tuple[float, ...] = ()
    within: Covariate | None = None

    @classmethod
    def parse(cls, text: str) -> Covariate:
        """Return the covariate of ``NAME`` or ``NAME:EDGE,EDGE…``, or of several joined by ``+``.

        Raises:
            UsageError: The edges are no rising numbers, or a name is empty.
        """
        one, joined, rest = text.partition("+")
        name, _, given = one.partition(":")
        if joined and not (name and rest):
            raise UsageError(f"{text!r} joins no two covariates; use NAME+NAME")
        if not name:
            raise UsageError(f"{text!r} names no covariate; use NAME, or NAME:EDGE,EDGE")
        try:
            edges = tuple(float(edge) for edge in given.split(",") if edge.strip())
        except ValueError as error:
            raise UsageError(f"the edges of {name} must be numbers, not {given!r}") from error
        if not all(map(math.isfinite, edges)):
            raise UsageError(f"the edges of {name} must be finite numbers, not {given!r}")
        if any(low >= high for low, high in pairwise(edges)):
            raise UsageError(f"the edges of {name} must rise: {given}")
        return cls(name, edges, cls.parse(rest) if joined else None)

    def __str__(self) -> str:
        own = f"{self.name}:{','.join(map(_text, self.edges))}".rstrip(":")
        return own if self.within is None else f"{own}+{self.within}"

    @property
    def called(self) -> str:
        """Its name, or the names of all that samples are divided by."""
        return self.name if self.within is None else f"{self.name} and {self.within.called}"

    @property
    def by_class(self) -> bool:
        """Whether all samples of a group are of one class."""
        return self.name == CLASS or (self.within is not None and self.within.by_class)

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the bands of a number, in order."""
        if not self.edges:
            return ()
        edges = [_text(edge) for edge in self.edges]
        inner = (f"{low} to {high}" for low, high in pairwise(edges))
        return (f"< {edges[0]}", *inner, f"≥ {edges[-1]}")

    def groups_of(
        self, predictions: Predictions, dataset: str, classes: Sequence[str] = ()
    ) -> np.ndarray:
        """Return the group of each sample, (N,) texts.

        Args:
            predictions: What is stored of the samples.
            dataset: Name of the dataset.
            classes: Names of its classes; none: it has none.

        Raises:
            UsageError: The samples do not tell, or tell numbers and there are no edges.
        """
        own = self._own_groups(predictions, dataset, classes)
        if self.within is None:
            return own
        inner = self.within.groups_of(predictions, dataset, classes)
        joined = np.char.add(np.char.add(own, BETWEEN), inner)
        return np.where((own == UNKNOWN) | (inner == UNKNOWN), UNKNOWN, joined)

    def _own_groups(
        self, predictions: Predictions, dataset: str, classes: Sequence[str]
    ) -> np.ndarray:
        if self.name == CLASS and CLASS not in predictions.covariates:
            if not classes:
                raise UsageError(f"the samples of {dataset} have no class")
            names: np.ndarray = np.asarray(classes, dtype=np.str_)[predictions.target]
            return names
        column = self._column(predictions, dataset)
        if column.dtype.kind != "f":
            if self.edges:
                raise UsageError(f"{self.name} is text and has no edges: use '{self.name}' alone")
            return np.where(column == "", UNKNOWN, column)
        if not self.edges:
            raise UsageError(
                f"{self.name} is a number: say where to divide it, such as "
                f"{self.name}:{_text(_middle(column))}"
            )
        names = np.asarray([*self.bands, UNKNOWN])
        band = np.searchsorted(self.edges, column, side="right")
        return np.asarray(names[np.where(np.isnan(column), len(self.bands), band)])

    def divided(self, record: TrialRecord) -> dict[str, TrialRecord]:
        """Return the trial with the test samples of each group, in the order of a table.

        Raises:
            UsageError: See :meth:`groups_of`.
        """
        test = record.predictions["test"]
        groups = self.groups_of(test, record.dataset, record.task.classes)
        return {
            group: replace(
                record, predictions=record.predictions | {"test": test.only(groups == group)}
            )
            for group in self.in_order(groups.tolist())
        }

    def _column(self, predictions: Predictions, dataset: str) -> np.ndarray:
        covariates = predictions.covariates
        if self.name in COLUMNS:
            texts = np.asarray(getattr(predictions, self.name), dtype=np.str_)
            if any(texts):
                return texts
        if self.name == DUPLICATE and self.name not in covariates:
            if predictions.clean is None:
                raise UsageError(f"duplicates of the samples of {dataset} are unknown")
            return np.where(predictions.clean, CLEAN, LEAKING)
        if self.name not in covariates:
            known = [*(name for name in COLUMNS if any(getattr(predictions, name))), *covariates]
            lacking = self.name if self.name in COLUMNS else f"covariate {self.name!r}"
            raise UsageError(
                f"the samples of {dataset} have no {lacking}; available: "
                f"{', '.join(known) or 'none'}; --dataset chooses data that have it"
            )
        return np.asarray(covariates[self.name])

    def in_order(self, groups: Sequence[str]) -> list[str]:
        """Return groups in the order of a table: bands as they rise, then names, then unknown."""
        return sorted(set(groups), key=self.place)

    def place(self, group: str) -> tuple[object, ...]:
        """Return what groups are sorted by."""
        own, _, rest = (group, "", "") if self.within is None else group.partition(BETWEEN)
        bands = self.bands
        place = (
            group == UNKNOWN,
            bands.index(own) if own in bands else len(bands),
            natural(own),
            own,
        )
        return place if self.within is None else (*place, *self.within.place(rest))


def _text(edge: float) -> str:
    """Return an edge with all its digits, so that no two bands are called alike."""
    return f"{edge:.12g}"


def _middle(column: np.ndarray) -> float:
    """Return the middle between two values, such that about half of the samples lie below it."""
    known = np.unique(column[np.isfinite(column)])
    if len(known) < 2:
        return float(known[0]) if len(known) else 0.0
    at = int(np.clip(np.searchsorted(known, np.nanmedian(column)), 1, len(known) - 1))
    return float(known[at - 1] + known[at]) / 2
