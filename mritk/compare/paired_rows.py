"""Pairs of rows: the trials that both have, as a test of two models or of folds wants them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mritk.evaluate.comparison import Comparison
from mritk.evaluate.interval import Interval
from mritk.evaluate.mcnemar import clustered
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.paired_runs import runs_agree
from mritk.evaluate.run_values import Scored
from mritk.evaluate.same_samples import other_samples
from mritk.results.analysis import HOLDOUT
from mritk.results.table import Table

Key = tuple[tuple[int, int], int]
REDRAWN = ("kfold", HOLDOUT)


@dataclass(frozen=True, eq=False)
class PairedRows:
    """The finished trials of the rows of a table, evaluated as the table is.

    Attributes:
        table: The table.
        metric: What is compared.
        rope: Half the width of the region of practical equivalence, in the unit of the metric.
    """

    table: Table
    metric: Metric
    rope: float = 0.0

    @property
    def names(self) -> list[str]:
        """Names of the rows that have finished trials, best first."""
        return [row.name for row in self.table.rows if row.trials]

    @cached_property
    def _scored(self) -> dict[str, dict[Key, tuple[Scored, list[str]]]]:
        """By row and key: what is evaluated of each trial, and the ids of its samples."""
        found: dict[str, dict[Key, tuple[Scored, list[str]]]] = {}
        for name in self.names:
            found[name] = {}
            for record in self.table.records[name]:
                scored = self.table.analysis.scored(record)
                found[name][scored.key] = scored, record.predictions["test"].id
        return found

    @cached_property
    def _values(self) -> dict[str, dict[Key, float]]:
        return {
            name: {
                key: self.metric.compute(scored.target, scored.scores_for(self.metric)).value
                for key, (scored, _) in trials.items()
            }
            for name, trials in self._scored.items()
        }

    def undefined(self, first: str, second: str, reason: str) -> Comparison:
        """Return a comparison that says nothing but why."""
        none = Interval.undefined(reason)
        return self.comparison(first, second, math.nan, none, math.nan)

    def comparison(
        self, first: str, second: str, difference: float, interval: Interval, p: float
    ) -> Comparison:
        """Return a comparison before Holm's correction."""
        better = bool(self.metric.higher_is_better)
        return Comparison(
            first, second, self.metric.name, difference, interval, p, p, higher_is_better=better
        )

    @cached_property
    def can_join_patients(self) -> bool:
        """Whether ``--level patient`` would make independent samples: of all images of a patient
        one, and of no two patients with copies of each other's images."""
        joined = replace(self.table.analysis, level="patient")
        records = [record for name in self.names for record in self.table.records[name]]
        try:
            return not any(clustered(joined.scored(record).unit) for record in records)
        except Undefined:
            return False

    def two_models(
        self, first: str, second: str, *, independent: bool = False
    ) -> tuple[Scored, Scored]:
        """Return what one model of each row made of the same samples.

        ``independent``: the test takes no two samples of one patient, so what refuses several
        models says at once how to join those too.

        Raises:
            Undefined: There are several runs or folds, none in common, or other samples.
        """
        ones, others = self._scored[first], self._scored[second]
        keys = sorted(ones.keys() & others.keys())
        if not keys:
            raise Undefined("no trial of the same seed and fold")
        folds = len({fold for _, fold in keys})
        again = folds > 1 and self.table.keys["scheme"] == HOLDOUT
        if again or len({repeat for (_, repeat), _ in keys}) > 1:
            raise Undefined(
                "it requires each sample once, but repeated splits test samples several times; "
                "use --test corrected_t or --test bootstrap"
            )
        if any(ones[key][1] != others[key][1] for key in keys):
            raise Undefined("they were tested on different samples; use --test bootstrap")
        if len(keys) > 1:
            seeds = len({seed for (seed, _), _ in keys})
            shared = clustered(ones[keys[0]][0].unit) if independent else ""
            raise Undefined(self._several_models(seeds, folds, shared))
        one, other = ones[keys[0]][0], others[keys[0]][0]
        finite = all(np.isfinite(scored.score).all() for scored in (one, other))
        if self.table.task.classes and not finite:
            raise Undefined("some scores are NaN or infinite")
        return one, other

    def _several_models(self, seeds: int, folds: int, shared: str) -> str:
        """Say why several models per row are refused, and all that makes single ones of them.

        ``shared``: why samples are not independent, where they must be; else empty.
        """
        if shared and not self.can_join_patients:
            return f"{shared}; use --test bootstrap"
        models = f"{folds} models per row that share training samples and differ in scores"
        why = ["there are several seeds"] * (seeds > 1)
        why += [f"{folds} folds are {models}"] * (folds > 1) + [shared] * bool(shared)
        by = ",".join(["seed"] * (seeds > 1) + ["fold"] * (folds > 1))
        return (
            f"it compares two trained models, but {', and '.join(why)}; test "
            f"each with --group-by {by}{' --level patient' if shared else ''}, or all by "
            f"{'--test corrected_t or ' if folds > 1 else ''}--test bootstrap"
        )

    def per_fold(self, first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the metric of both rows in every fold, (folds,) each; means over seeds.

        Raises:
            Undefined: The split is drawn once, folds are missing, or the values are of different
                samples.
        """
        folds = self.table.folds
        if not self.redrawn:
            raise Undefined(
                'it requires folds: a protocol with scheme = "kfold", or a hold-out split with '
                "repeats; use --test bootstrap"
            )
        ones, others = self._values[first], self._values[second]
        of_fold: dict[int, list[tuple[float, float]]] = {fold: [] for fold in range(folds)}
        paired = [
            (one, other)
            for one in ones
            for other in others
            if one[1] == other[1] and runs_agree(one[0], other[0])
        ]
        for one, other in paired:
            of_fold[one[1]].append((ones[one], others[other]))
        trials = (
            (self._scored[first][one][0], self._scored[second][other][0]) for one, other in paired
        )
        if different := other_samples(self.metric, trials):
            raise Undefined(different)
        done = [fold for fold, values in of_fold.items() if values]
        if len(done) < folds:
            some = f"{len(done)} of {folds} folds"
            if self.table.analysis.by:  # no training brings samples of a group into other folds
                raise Undefined(f"both were tested on this group in {some}; use --test bootstrap")
            raise Undefined(f"both have {some}; 'mritk run' trains the rest")
        means = np.asarray([np.mean(values, axis=0) for values in of_fold.values()])
        return means[:, 0], means[:, 1]

    def other_cases(self, first: str, second: str) -> str:
        """Return why the means of two rows are of different cases, or nothing if they are not."""
        ones, others = self._scored[first], self._scored[second]
        pairs = [(key, key) for key in ones]
        if ones.keys() != others.keys():  # other seeds: each mean must be of the same cases
            pairs = [(one, other) for one in ones for other in others if one[1] == other[1]]
        return other_samples(
            self.metric, ((ones[one][0], others[other][0]) for one, other in pairs)
        )

    @property
    def redrawn(self) -> bool:
        """Whether samples are divided at random more than once, and folds are no tables."""
        keys = self.table.keys
        return keys["scheme"] in REDRAWN and self.table.folds > 1 and "fold" not in keys

    def test_to_train(self, row: str) -> float:
        """Return n_test / n_train over the folds; what validation held counts as training.

        Raises:
            Undefined: The trial files name no training samples.
        """
        tested = fitted = 0
        for record in self.table.records[row]:
            parts = {part: len(ids) for part, ids in record.splits.items()}
            tested += parts.get("test", 0)
            fitted += parts.get("train", 0) + parts.get("val", 0)
        if not fitted:
            raise Undefined("the trial files do not list training samples")
        return tested / fitted
