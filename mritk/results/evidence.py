"""What stored predictions can bear: intervals, differences and ties of the rows of one table.

All rows are resampled together: one draw of patients serves every row, run and metric, so that
differences between rows are paired.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations

import numpy as np

from mritk.cores import available_cores
from mritk.evaluate.comparison import Comparison, Verdict, adjusted
from mritk.evaluate.estimate import LEVEL, Estimate, RunSpread, estimate
from mritk.evaluate.interval import Interval
from mritk.evaluate.metrics import Metric
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.resampling import Units, numbered, strata_of
from mritk.evaluate.tie_groups import tie_groups

RESAMPLES = 2000
POWER = 0.8
# Resamples are weighted sums in single precision; what is smaller than this share of a metric's
# range (or, without one, of its values) is their rounding.
SINGLE_PRECISION = 1e-6


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores of one trial as they are evaluated.

    Attributes:
        run: What is repeated to see what retraining does: seed and number of the repeat.
        fold: Number of the fold.
        target: (N,) class indices or values.
        score: (N, classes) logits, or (N,) values.
        unit: Names of the units that the samples belong to, N.
    """

    run: tuple[int, int]
    fold: int
    target: np.ndarray
    score: np.ndarray
    unit: Sequence[str]

    @property
    def key(self) -> tuple[tuple[int, int], int]:
        """What a trial of another row must share to be compared with this one."""
        return self.run, self.fold


@dataclass(frozen=True, eq=False)
class Values:
    """One metric of one trial: its value, and those in the resamples.

    Attributes:
        point: The value.
        resampled: (R,) values, NaN where undefined.
        left_out: (U,) values with one unit left out; None unless BCa is wanted.
        rounding: How large a difference between values may be that is rounding only.
    """

    point: float
    resampled: np.ndarray
    left_out: np.ndarray | None = None
    rounding: float = 0.0


@dataclass(frozen=True, eq=False)
class Evidence:
    """Rows that were tested on the same samples, and what can be said about them.

    Attributes:
        rows: The trials of each row, by its name; rows without trials are left out.
        metrics: What is computed.
        resamples: Number R of resamples.
        method: ``percentile`` or ``bca``.
        partial: Whether means over classes are over the classes that there are.
    """

    rows: Mapping[str, Sequence[Scored]]
    metrics: Sequence[Metric]
    resamples: int = RESAMPLES
    method: str = "percentile"
    partial: bool = False
    _kept: dict[str, dict[str, Estimate]] = field(default_factory=dict, repr=False)

    # -- units and resamples -------------------------------------------------------------------

    @cached_property
    def _names(self) -> dict[str, int]:
        units = [name for trials in self.rows.values() for t in trials for name in t.unit]
        _, names = numbered(units)
        return {name: number for number, name in enumerate(names)}

    @cached_property
    def units(self) -> Units:
        """All units of all rows, in strata: by class, and by fold where each unit is in one."""
        trials = [trial for row in self.rows.values() for trial in row]
        unit = np.concatenate([self._numbers(trial) for trial in trials])
        label = np.concatenate([_classes(trial.target) for trial in trials])
        fold = np.concatenate([np.full(len(trial.target), trial.fold) for trial in trials])
        by_class = strata_of(unit, label)
        if len(np.unique(np.stack([unit, fold]), axis=1).T) > len(self._names):
            return by_class  # repeats: a unit is tested in several folds
        by_fold = strata_of(unit, label + (label.max() + 1) * fold)
        return by_fold if (by_fold.sizes > 1).all() else by_class

    @cached_property
    def weights(self) -> np.ndarray:
        """How much each unit counts in each resample, (R, U)."""
        return self.units.weights(self.resamples)

    def _numbers(self, trial: Scored) -> np.ndarray:
        return np.asarray([self._names[name] for name in trial.unit], dtype=np.int64)

    # -- values --------------------------------------------------------------------------------

    @cached_property
    def _values(self) -> dict[str, list[dict[str, Values]]]:
        """Every metric of every trial by row; computed once, all metrics of a trial together."""
        every = [trial for trials in self.rows.values() for trial in trials]
        _ = self.weights  # drawn once, before threads ask for it
        with ThreadPoolExecutor(available_cores()) as pool:
            found = iter(list(pool.map(self._of_trial, every)))
        return {name: [next(found) for _ in trials] for name, trials in self.rows.items()}

    def _of_trial(self, trial: Scored) -> dict[str, Values]:
        unit = self._numbers(trial)
        drawn = Resamples(trial.target, trial.score, unit, self.weights)
        left_out = None
        if self.method == "bca":
            left_out = Resamples(trial.target, trial.score, unit, self.units.leave_one_out())
        return {m.name: self._of_metric(m, trial, drawn, left_out) for m in self.metrics}

    def _of_metric(
        self, metric: Metric, trial: Scored, drawn: Resamples, left_out: Resamples | None
    ) -> Values:
        value = metric.compute(trial.target, trial.score, leave_out_absent=self.partial)
        if math.isnan(value.value):
            return Values(math.nan, np.full(self.resamples, math.nan))
        classes = np.unique(trial.target) if metric.per_class else None
        jackknife = metric.resample(left_out, classes=classes) if left_out else None
        rounding = SINGLE_PRECISION * _size(metric, value.value)
        resampled = _settled(metric.resample(drawn, classes=classes), value.value, rounding)
        return Values(value.value, resampled, jackknife, rounding)

    # -- estimates -----------------------------------------------------------------------------

    def estimate(self, row: str, metric: Metric) -> Estimate:
        """Return the mean over the runs of a row, with its resampled values."""
        if metric.name not in self._kept:
            runs = {
                name: self._runs(name, range(len(trials)), metric)
                for name, trials in self.rows.items()
            }
            self._kept[metric.name] = dict(
                zip(
                    runs,
                    self._estimates(list(runs.values()), len(runs), cautious=False),
                    strict=True,
                )
            )
        return self._kept[metric.name][row]

    def interval(self, row: str, metric: Metric) -> Interval:
        """Return the interval of a row's mean."""
        return self.estimate(row, metric).interval(self.units, metric.bounds)

    def _runs(self, row: str, trials: Sequence[int], metric: Metric) -> list[Values]:
        """Return the mean over the folds of each run, in order of runs."""
        runs: dict[tuple[int, int], list[Values]] = defaultdict(list)
        for number in trials:
            runs[self.rows[row][number].run].append(self._values[row][number][metric.name])
        return [_mean(runs[run]) for run in sorted(runs)]

    def _estimates(
        self, rows: Sequence[Sequence[Values]], independent: int, *, cautious: bool
    ) -> list[Estimate]:
        """Return the mean over the runs of each row (or pair of rows).

        Args:
            rows: The runs of each.
            independent: How many of them are no differences of others.
            cautious: Whether to leave what patients add to the spread of runs in it.
        """
        points = [np.asarray([run.point for run in runs]) for runs in rows]
        most = independent * max((len(runs) - 1 for runs in rows), default=0)
        resampled = [np.stack([run.resampled for run in runs]) for runs in rows]
        pairs = list(zip(points, resampled, strict=True))
        spread = RunSpread.over(pairs, most, cautious=cautious)
        found = []
        for values, drawn, runs in zip(points, resampled, rows, strict=True):
            left_out = [run.left_out for run in runs if run.left_out is not None]
            found.append(
                estimate(
                    values,
                    drawn,
                    self.weights,
                    self.units,
                    spread,
                    np.stack(left_out) if left_out else None,
                )
            )
        return found

    # -- differences ---------------------------------------------------------------------------

    def compare(self, pairs: Sequence[tuple[str, str]], metric: Metric) -> list[Comparison]:
        """Return the differences of pairs of rows, on the seeds and folds that both have.

        They are not corrected for their number yet.
        """
        common = {pair: self._differences(*pair, metric) for pair in pairs}
        some = {pair: runs for pair, runs in common.items() if runs}
        rows = {name for pair in some for name in pair}
        estimates = self._estimates(list(some.values()), min(len(some), len(rows)), cautious=True)
        found = dict(zip(some, estimates, strict=True))
        return [
            self._comparison(pair, found.get(pair), len(common[pair]), metric) for pair in pairs
        ]

    def _differences(self, first: str, second: str, metric: Metric) -> list[Values]:
        """Return first minus second for each run that both have."""
        trials = {trial.key: number for number, trial in enumerate(self.rows[first])}
        common = [
            (trials[trial.key], number)
            for number, trial in enumerate(self.rows[second])
            if trial.key in trials
        ]
        ones = self._runs(first, [number for number, _ in common], metric)
        others = self._runs(second, [number for _, number in common], metric)
        return [_minus(one, other) for one, other in zip(ones, others, strict=True)]

    def _comparison(
        self, pair: tuple[str, str], found: Estimate | None, runs: int, metric: Metric
    ) -> Comparison:
        first, second = pair
        better = bool(metric.higher_is_better)
        if found is None:
            none = Interval.undefined("they have no trial of the same seed and fold")
            nan = math.nan
            return Comparison(first, second, metric.name, nan, none, nan, nan, better, nan, 0)
        low, high = metric.bounds
        p = self._p(found)
        return Comparison(
            first,
            second,
            metric.name,
            found.point,
            found.interval(self.units, (low - high, high - low)),
            p,
            p_adjusted=p,
            higher_is_better=better,
            dof=found.dof,
            runs=runs,
        )

    def _p(self, found: Estimate) -> float:
        from scipy.stats import t

        if math.isnan(found.point):
            return math.nan
        if found.point == 0:
            return 1.0
        if found.reason:  # every unit says the same: a sign test over them is left
            same = not found.degenerate and (self.units.sizes > 1).all()
            return float(0.5 ** (len(self._names) - 1)) if same else math.nan
        return float(2 * t.sf(abs(found.point) / found.standard_error, found.dof))

    def all_pairs(self, metric: Metric) -> list[Comparison]:
        """Return the differences of all pairs of rows; they are one family for Holm."""
        return adjusted(self.compare(list(combinations(self.rows, 2)), metric))

    def detectable(self, comparisons: Sequence[Comparison]) -> float:
        """Return the difference that one comparison would find four times in five.

        ``(t₀.₉₇₅ + t₀.₈) · SE`` with the median of that product over the comparisons, before Holm's
        correction; NaN if there is none, infinite if it is larger than any difference can be.
        """
        from scipy.stats import t

        found = [
            (t.ppf((1 + LEVEL) / 2, c.dof) + t.ppf(POWER, c.dof)) * c.interval.standard_error
            for c in comparisons
            if c.interval.standard_error > 0 and c.dof > 0
        ]
        if not found:
            return math.nan
        median = float(np.median(found))
        (bounds,) = {m.bounds for m in self.metrics if m.name == comparisons[0].metric}
        return median if median < bounds[1] - bounds[0] else math.inf


def ties(names: Sequence[str], comparisons: Sequence[Comparison]) -> dict[str, str]:
    """Return letters per row, best row first; rows that share one cannot be told apart."""
    different = {(c.first, c.second) for c in comparisons if c.verdict is not Verdict.CANNOT_TELL}
    return dict(tie_groups(names, different))


def _classes(target: np.ndarray) -> np.ndarray:
    integer = np.issubdtype(target.dtype, np.integer)
    return target.astype(np.int64) if integer else np.zeros(len(target), dtype=np.int64)


def _size(metric: Metric, value: float) -> float:
    """Return the range of a metric, or how large its value is if it has none."""
    width = metric.bounds[1] - metric.bounds[0]
    return width if math.isfinite(width) else abs(value)


def _settled(values: np.ndarray, at: float, rounding: float) -> np.ndarray:
    """Return the values with those that only rounding sets apart from ``at`` put there."""
    return np.where(np.abs(values - at) <= rounding, at, values)


def _mean(values: Sequence[Values]) -> Values:
    left_out = [value.left_out for value in values if value.left_out is not None]
    return Values(
        float(np.mean([value.point for value in values])),
        np.mean([value.resampled for value in values], axis=0),
        np.mean(left_out, axis=0) if left_out else None,
        max(value.rounding for value in values),
    )


def _minus(one: Values, other: Values) -> Values:
    left_out = None
    if one.left_out is not None and other.left_out is not None:
        left_out = one.left_out - other.left_out
    rounding = max(one.rounding, other.rounding)
    point = one.point - other.point
    point = 0.0 if abs(point) <= rounding else point
    resampled = _settled(one.resampled - other.resampled, 0.0, rounding)
    return Values(point, resampled, left_out, rounding)
