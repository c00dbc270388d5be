"""The values of the rows of one table: every metric of every run, as it is and in all resamples.

All rows are resampled together: one draw of units serves every row, run and metric, so that
differences between rows are paired.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mritk.evaluate.by_patient import by_patient
from mritk.evaluate.measured import MeasuredCases
from mritk.evaluate.metric import Metric
from mritk.evaluate.over_folds import FoldClasses, fold_classes, over_folds, run_value
from mritk.evaluate.ratio import linearised
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.resampling import Units, strata_of, strata_of_folds
from mritk.evaluate.rounding import SINGLE_PRECISION
from mritk.evaluate.values import Values, defined, mean_of, settled
from mritk.machine.in_threads import made_in_threads

RESAMPLES = 2000


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of one trial as they are evaluated.

    Attributes:
        run: What is repeated to see what retraining does: seed and number of the repeat.
        fold: Number of the fold.
        target: (N,) class indices or values.
        score: (N, classes) logits, or (N,) values.
        unit: Names of the units that the samples belong to, N.
        cases: (M, columns) scores of the cases whose means the scores are; None: these themselves.
        measured: Measures the label maps of M cases for a metric; None where there are none.
        patient: Patient of each of the M cases, if the scores are those of patients.
    """

    run: tuple[int, int]
    fold: int
    target: np.ndarray
    score: np.ndarray
    unit: Sequence[str]
    cases: np.ndarray | None = None
    measured: MeasuredCases | None = None
    patient: Sequence[str] = ()

    def scores_for(self, metric: Metric) -> np.ndarray:
        """Return the scores that a metric takes: those stored, or what it measures, (N, ...)."""
        if metric.measure is None:
            return self.score
        cases = self.cases_for(metric)
        if not self.patient:
            return cases
        alike = np.zeros(len(cases))  # targets, which label maps have none of
        return by_patient(alike, cases, self.patient, cases=True).score

    def cases_for(self, metric: Metric) -> np.ndarray:
        """Return the same for each case, (M, columns)."""
        if metric.measure is None:
            return self.score if self.cases is None else self.cases
        if self.measured is None:
            return np.full((len(self.target), 1), math.nan)
        return self.measured(metric)

    @property
    def key(self) -> tuple[tuple[int, int], int]:
        """What a trial of another row must share to be compared with this one."""
        return self.run, self.fold


@dataclass(frozen=True, eq=False)
class RunValues:
    """Rows that were tested on the same samples, in the same resamples.

    Attributes:
        rows: The trials of each row, by its name; rows without trials are left out.
        metrics: What is computed.
        resamples: Number R of resamples.
        method: ``student``, ``percentile`` or ``bca``.
        partial: Whether means over classes are over the classes that there are.
    """

    rows: Mapping[str, Sequence[Scored]]
    metrics: Sequence[Metric]
    resamples: int = RESAMPLES
    method: str = "student"
    partial: bool = False
    _kept: dict[tuple[str, tuple[int, ...], str], Values] = field(default_factory=dict, repr=False)

    # -- units and resamples -------------------------------------------------------------------

    @cached_property
    def names(self) -> dict[str, int]:
        units = {name for trials in self.rows.values() for t in trials for name in t.unit}
        return {name: number for number, name in enumerate(sorted(units))}

    @cached_property
    def units(self) -> Units:
        """All units of all rows, in strata: by class, and by fold where each unit is in one."""
        trials = [trial for row in self.rows.values() for trial in row]
        unit = np.concatenate([self.numbers(trial) for trial in trials])
        label = np.concatenate([_classes(trial.target) for trial in trials])
        fold = np.concatenate([np.full(len(trial.target), trial.fold) for trial in trials])
        if len(np.unique(np.stack([unit, fold]), axis=1).T) > len(self.names):
            return strata_of(unit, label)  # repeats: a unit is tested in several folds
        return strata_of_folds(unit, label, fold)

    @cached_property
    def folds(self) -> int:
        """Number of folds of a run."""
        return max(
            len({t.fold for t in trials if t.run == run})
            for trials in self.rows.values()
            for run in {t.run for t in trials}
        )

    @cached_property
    def parts(self) -> int:
        """How many test parts of one size make up all units; 1 if all trials test the same."""
        tested = [len(set(t.unit)) for trials in self.rows.values() for t in trials]
        return round(len(self.names) * len(tested) / max(1, sum(tested)))

    @cached_property
    def weights(self) -> np.ndarray:
        """How much each unit counts in each resample, (R, U)."""
        return self._drawn[: self.resamples]

    @cached_property
    def _drawn(self) -> np.ndarray:
        """The weights of the resamples, and below them those of the probes, (R + strata, U)."""
        return np.concatenate([self.units.weights(self.resamples), self.units.probes()])

    @cached_property
    def _left_out(self) -> np.ndarray | None:
        """The weights of the jackknife, (U, U), one for all trials; None unless BCa is wanted."""
        return self.units.leave_one_out() if self.method == "bca" else None

    def numbers(self, trial: Scored) -> np.ndarray:
        return np.asarray([self.names[name] for name in trial.unit], dtype=np.int64)

    # -- values --------------------------------------------------------------------------------

    @cached_property
    def trials(self) -> dict[str, list[dict[str, Values]]]:
        """Every metric of every trial by row; computed once, all metrics of a trial together."""
        every = [trial for trials in self.rows.values() for trial in trials]
        _ = self._drawn, self._left_out  # made once, before threads ask for them
        found = iter(made_in_threads(lambda number: self._of_trial(every[number]), len(every)))
        return {name: [next(found) for _ in trials] for name, trials in self.rows.items()}

    def _of_trial(self, trial: Scored) -> dict[str, Values]:
        unit = self.numbers(trial)
        drawn, left_out = self._resamples(trial, trial.score, unit)
        found = {}
        for metric in self.metrics:
            own = drawn, left_out
            if metric.measure is not None:
                own = self._resamples(trial, trial.scores_for(metric), unit)
            found[metric.name] = self._of_metric(metric, trial, *own)
        return found

    def _resamples(
        self, trial: Scored, scores: np.ndarray, unit: np.ndarray
    ) -> tuple[Resamples, Resamples | None]:
        """Return scores in all resamples; and with one unit left out, if BCa is wanted."""
        drawn = Resamples(trial.target, scores, unit, self._drawn)
        if self._left_out is None:
            return drawn, None
        return drawn, Resamples(trial.target, scores, unit, self._left_out)

    def _of_metric(
        self, metric: Metric, trial: Scored, drawn: Resamples, left_out: Resamples | None
    ) -> Values:
        value = metric.compute(trial.target, drawn.scores, leave_out_absent=self.partial)
        classes: list[FoldClasses] = []
        if self.folds > 1 and metric.per_class and np.isfinite(trial.score).all():
            classes = [fold_classes(metric, one) for one in (drawn, left_out) if one is not None]
        if math.isnan(value.value):
            none = np.full(self.resamples, math.nan)
            return Values(math.nan, none, classes=classes)
        present = np.unique(trial.target) if metric.per_class else None
        rounding = SINGLE_PRECISION * _size(metric, value.value)
        resampled = settled(metric.resample(drawn, classes=present), value.value, rounding)
        resampled = linearised(metric, resampled, value.value, drawn)
        jackknife = None
        if left_out is not None:
            jackknife = metric.resample(left_out, classes=present)
            jackknife = linearised(metric, jackknife, value.value, left_out)
        return self._values(value.value, resampled, jackknife, rounding, classes)

    def _values(
        self,
        point: float,
        drawn: np.ndarray,
        jackknife: np.ndarray | None,
        rounding: float,
        classes: Sequence[FoldClasses] = (),
    ) -> Values:
        """Return the values of resamples and probes, (R + strata,), told apart."""
        resampled, probed = np.split(drawn, [self.resamples])
        return Values(point, resampled, jackknife, rounding, probed - point, classes)

    # -- runs ----------------------------------------------------------------------------------

    def runs(self, row: str, metric: Metric) -> Sequence[Values]:
        """Return the values of a row that are independent: see :func:`independent`."""
        runs: dict[tuple[int, int], list[int]] = defaultdict(list)
        for number, trial in enumerate(self.rows[row]):
            runs[trial.run].append(number)
        found = {run: self._run(row, tuple(runs[run]), metric) for run in runs}
        return independent(found, metric)

    def of_trials(self, row: str, metric: Metric) -> list[tuple[int, int, float]]:
        """Return seed, fold and value of each trial of a row."""
        values = zip(self.rows[row], self.trials[row], strict=True)
        return [(trial.run[0], trial.fold, found[metric.name].point) for trial, found in values]

    def _run(self, row: str, trials: tuple[int, ...], metric: Metric) -> Values:
        key = (row, trials, metric.name)
        if key not in self._kept:
            folds = [self.trials[row][number][metric.name] for number in trials]
            whole = len(folds) == 1 or not all(fold.classes for fold in folds)
            self._kept[key] = (
                mean_of(folds, metric) if whole else self._over_folds(row, trials, metric, folds)
            )
        return self._kept[key]

    def _over_folds(
        self, row: str, trials: Sequence[int], metric: Metric, folds: Sequence[Values]
    ) -> Values:
        scored = [self.rows[row][number] for number in trials]
        samples = [(t.target, t.scores_for(metric)) for t in scored]
        point = float(np.mean([fold.point for fold in folds]))
        if math.isnan(point) or self.partial:
            point = run_value(metric, samples, partial=self.partial).value
        tested = np.unique(np.concatenate([target for target, _ in samples]))
        rounding = SINGLE_PRECISION * _size(metric, point)
        resampled, *left_out = (
            over_folds(parts, tested)
            for parts in zip(*(fold.classes for fold in folds), strict=True)
        )
        jackknife = left_out[0] if left_out else None
        return self._values(point, settled(resampled, point, rounding), jackknife, rounding)


def _classes(target: np.ndarray) -> np.ndarray:
    integer = np.issubdtype(target.dtype, np.integer)
    return target.astype(np.int64) if integer else np.zeros(len(target), dtype=np.int64)


def _size(metric: Metric, value: float) -> float:
    """Return the range of a metric, or how large its value is if it has none."""
    width = metric.bounds[1] - metric.bounds[0]
    return width if math.isfinite(width) else abs(value)


def independent(runs: Mapping[tuple[int, int], Values], metric: Metric) -> Sequence[Values]:
    """Return those of runs that are independent of each other, and :func:`defined`.

    These are all runs of one division of the data. Of several divisions, each is one: its seeds
    share its training samples, and are averaged.

    Args:
        runs: By seed and number of the division.
        metric: What they are values of.
    """
    divisions: dict[int, list[Values]] = defaultdict(list)
    for run in sorted(runs):
        divisions[run[1]].append(runs[run])
    if len(divisions) < 2:
        return defined([runs[run] for run in sorted(runs)], metric)
    return defined([mean_of(values, metric) for values in divisions.values()], metric)
