"""What stored predictions can bear: intervals, differences and ties of the rows of one table."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, compress

import numpy as np

from mritk.evaluate.comparison import Comparison, Verdict, adjusted
from mritk.evaluate.conservative import why_conservative
from mritk.evaluate.distributions import (
    normal_quantile,
    normal_tail,
    student_quantile,
    student_tail,
)
from mritk.evaluate.estimate import Estimate, Hidden, estimate
from mritk.evaluate.fold_overlap import inflation
from mritk.evaluate.interval import LEVEL, Interval
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.over_folds import classes_of, per_fold
from mritk.evaluate.paired_runs import Run, agree, partners
from mritk.evaluate.run_spread import RunSpread, Training
from mritk.evaluate.run_values import RunValues, independent
from mritk.evaluate.same_samples import other_folds, other_samples
from mritk.evaluate.scale import Scale
from mritk.evaluate.tie_groups import tie_groups
from mritk.evaluate.unit_swaps import ScoredTwice, swap_test
from mritk.evaluate.unseen import strata_with_value, unseen_variance
from mritk.evaluate.values import Values, mean_of, minus

POWER = 0.8
TINY = 1e-6
ONE_RUN = (
    "one run (seed) per row, so the effect of retraining is unknown; train more seeds, or "
    "compare these trained networks with --given-these-models"
)
ONE_ENSEMBLE = (
    "an ensemble of all seeds is one run, so the effect of retraining is unknown; compare these "
    "trained networks with --given-these-models"
)


@dataclass(frozen=True, eq=False)
class Evidence(RunValues):
    """Rows that were tested on the same samples, and what can be said about them.

    Attributes:
        given_these_models: Whether differences are between the trained networks as they are.
        derived: Names of rows that are made of others, such as ensembles. What is said of the
            others does not depend on them.
    """

    given_these_models: bool = False
    derived: frozenset[str] = frozenset()
    _estimated: dict[str, dict[str, Estimate]] = field(default_factory=dict, repr=False)

    # -- estimates -----------------------------------------------------------------------------

    def estimate(self, row: str, metric: Metric) -> Estimate:
        """Return the mean over the runs of a row, with its resampled values."""
        if metric.name not in self._estimated:
            runs = {name: self.runs(name, metric) for name in self.rows}
            trained = [name not in self.derived for name in runs]
            found = self._estimates(
                list(runs.values()), (trained, sum(trained)), metric, cautious=False
            )
            self._estimated[metric.name] = dict(zip(runs, found, strict=True))
        return self._estimated[metric.name][row]

    def interval(self, row: str, metric: Metric) -> Interval:
        """Return the interval of a row's mean."""
        if metric.no_interval:
            return Interval.undefined(metric.no_interval)
        found = self.estimate(row, metric).interval(self.units, metric.bounds, self.method)
        if found.reason or self.method != "student":
            return found
        return replace(found, conservative=why_conservative(self.rows[row], metric))

    def _estimates(
        self,
        rows: Sequence[Sequence[Values]],
        counted: tuple[Sequence[bool], int],
        metric: Metric,
        *,
        cautious: bool,
        folds: Sequence[Training | None] = (),
    ) -> list[Estimate]:
        """Return the mean over the runs of each row (or pair of rows).

        Args:
            rows: The runs of each.
            counted: Of which of them the spread of runs is that of the table, and how many of these
                are no differences of others.
            metric: What they are means of.
            cautious: Whether to leave what patients add to the spread of runs in it.
            folds: What the folds of each show of its variance.
        """
        points = [np.asarray([run.point for run in runs]) for runs in rows]
        counts, independent = counted
        resampled = [np.stack([run.resampled for run in runs]) for runs in rows]
        pairs = list(compress(zip(points, resampled, strict=True), counts))
        most = independent * max((len(values) - 1 for values, _ in pairs), default=0)
        spread = RunSpread.over(pairs, most, cautious=cautious)
        if cautious and self.given_these_models:
            spread = RunSpread(ignored=True)
        overlap = 1.0 if spread.ignored else inflation(self.parts)
        found = []
        for number, (values, drawn, runs) in enumerate(zip(points, resampled, rows, strict=True)):
            one = estimate(
                values,
                drawn,
                self.weights,
                self.units,
                replace(spread, folds=folds[number]) if folds else spread,
                Hidden(self._unseen(runs, metric), overlap),
            )
            left_out = [run.left_out for run in runs if run.left_out is not None]
            jackknife = np.mean(left_out, axis=0) if left_out else None
            found.append(replace(one, jackknife=jackknife))
        return found

    def _unseen(self, runs: Sequence[Values], metric: Metric) -> float:
        """Return the variance to add for strata in which no run has any spread."""
        changes = [run.changes for run in runs if run.changes is not None]
        if len(changes) < len(runs) or metric.continuous:
            return 0.0
        largest = np.abs(changes).max(axis=0)
        if metric.of_cases:
            largest[~strata_with_value(self, metric)] = math.nan
        return unseen_variance(self.units, largest, metric.bounds, per_label=metric.per_class)

    # -- differences ---------------------------------------------------------------------------

    def compare(self, pairs: Sequence[tuple[str, str]], metric: Metric) -> list[Comparison]:
        """Return the differences of pairs of rows, on the seeds and folds that both have.

        They are not corrected for their number yet.
        """
        common = {pair: self._differences(*pair, metric) for pair in pairs}
        some = {pair: runs for pair, runs in common.items() if runs}
        trained = [not self.derived & set(pair) for pair in some]
        rows = {name for pair in some for name in pair} - self.derived
        estimates = self._estimates(
            list(some.values()),
            (trained, min(sum(trained), len(rows))),
            metric,
            cautious=True,
            folds=[self._of_folds(*pair, metric) for pair in some],
        )
        found = dict(zip(some, estimates, strict=True))
        return [
            self._comparison(pair, found.get(pair), len(common[pair]), metric) for pair in pairs
        ]

    def _common(self, first: str, second: str) -> list[tuple[int, int]]:
        """Return the numbers of the trials of both rows, of runs with the same folds in both."""
        of_run: dict[Run, list[int]] = defaultdict(list)
        for number, trial in enumerate(self.rows[first]):
            of_run[trial.run].append(number)
        compared = partners(self._folds_of(first), self._folds_of(second))
        return [
            (one, other)
            for other, trial in enumerate(self.rows[second])
            for run in compared[trial.run]
            for one in of_run[run]
            if agree(self.rows[first][one].fold, trial.fold)
        ]

    def _compared(self, first: str, second: str, metric: Metric) -> list[tuple[int, int]]:
        """Return those that are compared: of a metric of cases, those that both rows define."""
        every = self._common(first, second)
        if not metric.of_cases:
            return every
        points = self._points(first, second, metric)
        both = [pair for pair, of in zip(every, points, strict=True) if np.isfinite(of).all()]
        return both or every

    def _points(self, first: str, second: str, metric: Metric) -> Iterator[tuple[float, float]]:
        """Yield the values of both rows in what they have in common."""
        ones, others = self.trials[first], self.trials[second]
        for a, b in self._common(first, second):
            yield ones[a][metric.name].point, others[b][metric.name].point

    def _folds_of(self, row: str) -> dict[Run, set[int]]:
        """Return the folds of each run of a row."""
        folds: dict[Run, set[int]] = defaultdict(set)
        for trial in self.rows[row]:
            folds[trial.run].add(trial.fold)
        return folds

    def _differences(self, first: str, second: str, metric: Metric) -> Sequence[Values]:
        """Return first minus second for what both have of :func:`independent` runs.

        Where one run is compared with several, as that of an ensemble is, their mean counts once.
        """
        trials: dict[tuple[Run, Run], list[tuple[int, int]]] = defaultdict(list)
        for one, other in self._compared(first, second, metric):
            trials[self.rows[first][one].run, self.rows[second][other].run].append((one, other))
        ones, others = ({pair[side] for pair in trials} for side in (0, 1))
        fewer = 0 if len(ones) <= len(others) else 1
        found: dict[Run, list[Values]] = defaultdict(list)
        for pair in sorted(trials):
            numbers, of_other = zip(*trials[pair], strict=True)
            run = self._run(first, numbers, metric)
            found[pair[fewer]].append(minus(run, self._run(second, of_other, metric)))
        of_runs = {run: v[0] if len(v) == 1 else mean_of(v, metric) for run, v in found.items()}
        return independent(of_runs, metric)

    def _of_folds(self, first: str, second: str, metric: Metric) -> Training | None:
        """Return what the differences of folds, averaged over seeds, show of their variance."""
        if self.parts < 2 or self.given_these_models:
            return None
        of_fold: dict[int, list[float]] = defaultdict(list)
        for one, other in self._compared(first, second, metric):
            pair = (self.trials[first][one], self.trials[second][other])
            fold = self.rows[first][one].fold
            of_fold[fold].append(pair[0][metric.name].point - pair[1][metric.name].point)
        means = np.asarray([np.mean(values) for values in of_fold.values()])
        if metric.per_class and np.isnan(means).any():
            means = per_fold(self._classes_of_folds(first, second, metric))
        return Training.over_folds(means, self.parts)

    def _classes_of_folds(self, first: str, second: str, metric: Metric) -> np.ndarray:
        """Return the difference of each class in each fold, averaged over seeds, (J, classes)."""
        of_fold: dict[int, list[np.ndarray]] = defaultdict(list)
        for pair in self._common(first, second):
            trials = [self.rows[row][n] for row, n in zip((first, second), pair, strict=True)]
            try:
                found = [classes_of(metric, trial.target, trial.score) for trial in trials]
            except Undefined:
                return np.empty((0, 0))
            one, other = (np.where(shares > 0, values, math.nan)[0] for values, shares in found)
            of_fold[trials[0].fold].append(one - other)
        return np.stack([np.mean(values, axis=0) for values in of_fold.values()])

    def _comparison(
        self, pair: tuple[str, str], found: Estimate | None, runs: int, metric: Metric
    ) -> Comparison:
        first, second = pair
        better = bool(metric.higher_is_better)
        if found is None:
            none = Interval.undefined("no trial of the same seed and folds")
            nan = math.nan
            return Comparison(first, second, metric.name, nan, none, nan, nan, better, nan, 0)
        low, high = metric.bounds
        trials = ((self.rows[first][a], self.rows[second][b]) for a, b in self._common(*pair))
        untested = other_samples(metric, trials)
        untested = untested or other_folds(metric, self._points(*pair, metric))
        p = math.nan if untested else self._p(found, pair, metric)
        interval = found.interval(self.units, (low - high, high - low), self.method, Scale())
        if (without := untested or metric.no_interval) and not interval.reason:
            interval = Interval.undefined(without)
        unknown = found.training is None and math.isnan(p) and not math.isnan(found.point)
        if unknown and not untested:
            untested = ONE_ENSEMBLE if self.derived & set(pair) else ONE_RUN
        return Comparison(
            first,
            second,
            metric.name,
            found.point,
            interval,
            p,
            p_adjusted=p,
            higher_is_better=better,
            dof=found.dof,
            runs=runs,
            untested=untested,
        )

    def _p(self, found: Estimate, pair: tuple[str, str], metric: Metric) -> float:
        if math.isnan(found.point):
            return math.nan
        if found.training is None:
            return 1.0 if self._same(*pair, metric) else math.nan
        if found.point == 0:
            return 1.0
        if not found.reason and found.standard_error > 0:
            return 2 * student_tail(abs(found.point) / found.standard_error, found.dof)
        # Without a spread over patients: exchange them, and add the variance of training to the
        # one that a normal difference with that p has.
        runs = self._exchangeable(*pair, metric)
        of_units = -normal_quantile(swap_test(metric, runs) / 2) if runs else math.nan
        if not found.training.variance > 0:
            return 2 * normal_tail(of_units)
        error = math.sqrt(found.training.variance)
        of_training = -normal_quantile(student_tail(abs(found.point) / error, found.training.dof))
        # Infinite where runs agree but for rounding: then units alone tell.
        both = of_units / math.hypot(1.0, of_units / max(of_training, TINY))
        return 2 * normal_tail(both)

    def _same(self, first: str, second: str, metric: Metric) -> bool:
        """Whether two rows agree in every resample; a difference of 0 may be an accident."""
        runs = self._differences(first, second, metric)
        return not any(run.point or np.nan_to_num(run.resampled).any() for run in runs)

    def _exchangeable(self, first: str, second: str, metric: Metric) -> list[list[ScoredTwice]]:
        runs: dict[tuple[Run, Run], list[ScoredTwice]] = defaultdict(list)
        for one, other in self._compared(first, second, metric):
            a, b = self.rows[first][one], self.rows[second][other]
            if list(a.unit) != list(b.unit) or not np.array_equal(a.target, b.target):
                return []
            first_scores, second_scores = a.scores_for(metric), b.scores_for(metric)
            twice = ScoredTwice(a.target, first_scores, second_scores, self.numbers(a))
            runs[a.run, b.run].append(twice)
        return [runs[run] for run in sorted(runs)]

    def all_pairs(self, metric: Metric) -> list[Comparison]:
        """Return the differences of all pairs of rows; they are one family for Holm."""
        return adjusted(self.compare(list(combinations(self.rows, 2)), metric))

    def detectable(self, comparisons: Sequence[Comparison]) -> float:
        """Return the difference that one comparison would find four times in five.

        ``(t₀.₉₇₅ + t₀.₈) · SE`` with the median of that product over the comparisons, before Holm's
        correction; NaN if there is none, infinite if it is larger than any difference can be.
        """
        found = [
            (student_quantile((1 + LEVEL) / 2, c.dof) + student_quantile(POWER, c.dof))
            * c.interval.standard_error
            for c in comparisons
            if c.interval.standard_error > 0 and c.dof > 0 and not c.untested
        ]
        if not found:
            return math.nan
        median = float(np.median(found))
        (bounds,) = {m.bounds for m in self.metrics if m.name == comparisons[0].metric}
        return median if median < bounds[1] - bounds[0] else math.inf


def ties(names: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Return letters per row, best row first; rows that share one are not significantly different.

    Rows get letters where each was tested against every other; a row that was not is left out,
    beginning with the one that lacks most tests. Fewer than two rows get none.
    """
    untested = {frozenset((c.first, c.second)) for c in comparisons if not c.tested}
    left = list(names)

    def lacking(name: str) -> int:
        return sum(frozenset((name, other)) in untested for other in left)

    while left and (most := max(lacking(name) for name in left)):
        left.remove(next(name for name in reversed(left) if lacking(name) == most))
    different = {(c.first, c.second) for c in comparisons if c.verdict is not Verdict.CANNOT_TELL}
    return dict(tie_groups(left, different)) if len(left) > 1 else {}
