"""What every metric promises.

Its functions are called as commands call them, so that what fails there fails here.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace

import numpy as np

from mritk.evaluate.examples import COUNT, example
from mritk.evaluate.metric import Metric, Undefined
from mritk.evaluate.resamples import Resamples, read_only
from mritk.plugins.guarded_metric import held_metric
from mritk.testing.check import Defect, NotApplicable, UnderTest, equal, promises

TABLES = range(4)
CLOSE = 1e-6
UNBOUNDED = (-math.inf, math.inf)


class MetricUnderTest(UnderTest[Metric]):
    """A metric, and tables of targets and scores for it.

    Attributes:
        called: The metric as commands call it.
        unbounded: The same with any values, since one check tells of bounds.
    """

    def __init__(self, record: Metric) -> None:
        super().__init__(record)
        self.called = held_metric(record)
        self.unbounded = held_metric(replace(record, bounds=UNBOUNDED))

    def table(self, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return targets (60,), scores that know something of them, and whole weights 0 to 3."""
        made = example(self.record, seed)
        return made.targets, made.scores, made.weights

    def resamples(self) -> Resamples:
        """Return 20 bootstrap weightings of a table."""
        targets, scores, _ = self.table(0)
        drawn = np.random.default_rng(0).multinomial(COUNT, np.full(COUNT, 1 / COUNT), 20)
        return Resamples(targets, scores, np.arange(COUNT), drawn.astype(np.float32))

    def value(self, targets: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> float:
        """Return the value, NaN where it is undefined."""
        return self.unbounded.compute(targets.copy(), scores.copy(), weights.copy()).value


def leaves_its_input_alone(it: MetricUnderTest) -> None:
    """Targets, scores and weights, which other metrics are given too, are the same afterwards."""
    for seed in TABLES:
        table = it.table(seed)
        before = [column.copy() for column in table]
        with suppress(Undefined):
            it.record.function(*map(read_only, table))
        if not all(equal(a, b) for a, b in zip(before, table, strict=True)):
            raise Defect("it modifies the stored predictions; copy them first")


def value_lies_within_its_bounds(it: MetricUnderTest) -> None:
    """For ordinary predictions the value is a number between the declared bounds."""
    for seed in TABLES:
        if math.isnan(it.called.compute(*it.table(seed)).value):  # refuses one out of bounds
            raise Defect(f"it is undefined for {COUNT} ordinary predictions")


def weights_count_samples(it: MetricUnderTest) -> None:
    """A sample of weight 3 counts as three samples, one of weight 0 not at all."""
    for seed in TABLES:
        targets, scores, weights = it.table(seed)
        repeated = np.repeat(np.arange(COUNT), weights.astype(int))
        ones = np.ones(len(repeated))
        weighted = it.value(targets, scores, weights)
        copied = it.value(targets[repeated], scores[repeated], ones)
        if not _same(weighted, copied):
            raise Defect(
                f"with weights the value is {weighted:.6g}, with samples repeated accordingly "
                f"{copied:.6g}; intervals depend on correct weights"
            )


def order_of_samples_does_not_matter(it: MetricUnderTest) -> None:
    """Samples in another order give the same value."""
    for seed in TABLES:
        targets, scores, weights = it.table(seed)
        order = np.random.default_rng(seed).permutation(COUNT)
        if not _same(
            it.value(targets, scores, weights),
            it.value(targets[order], scores[order], weights[order]),
        ):
            raise Defect("the value depends on the order of samples and weights")


def direction_is_right(it: MetricUnderTest) -> None:
    """Right predictions are not worse than wrong ones."""
    better = it.record.higher_is_better
    if better is None:
        raise NotApplicable("it has no direction")
    made, ones = example(it.record, 0), np.ones(COUNT)
    good, bad = it.value(made.targets, made.right, ones), it.value(made.targets, made.wrong, ones)
    if good < bad if better else good > bad:
        raise Defect(
            f"right predictions give {good:.4g}, wrong ones {bad:.4g}, but higher_is_better is "
            f"{better}"
        )


def resampled_agrees_with_the_function(it: MetricUnderTest) -> None:
    """Many weightings at once give what the function gives for each."""
    if it.record.resampled is None:
        raise NotApplicable("it has no vectorised form for resamples")
    samples = it.resamples()
    many = it.unbounded.resample(samples)
    each = [it.value(samples.targets, samples.scores, row) for row in samples.sample_weights()]
    for at_once, alone in zip(many, each, strict=True):
        if not _same(at_once, alone, 1e-4, 1e-5):
            raise Defect(f"resampled returns {at_once:.6g}, the function {alone:.6g}")


def divided_by_is_of_every_resample(it: MetricUnderTest) -> None:
    """What a ratio is divided by is a number of each weighting, and not 0 with equal weights."""
    divided_by = it.called.divided_by
    if divided_by is None:
        raise NotApplicable("it does not say what it is divided by")
    divided_by(it.resamples())
    targets, scores, _ = it.table(0)
    whole = float(divided_by(Resamples.of_one(targets, scores, np.ones(COUNT)))[0])
    if not whole or not math.isfinite(whole):
        raise Defect(f"of {COUNT} ordinary predictions it is {whole:g}, which nothing divides by")


def left_out_is_of_every_sample(it: MetricUnderTest) -> None:
    """What the value leaves out is told of each sample, (N, columns)."""
    if it.called.left_out is None:
        raise NotApplicable("it does not say what it leaves out")
    for seed in TABLES:
        it.called.left_out(it.table(seed)[1])


def measures_regions_of_any_form(it: MetricUnderTest) -> None:
    """A region measured against itself is best, in 2-D and 3-D; empty ones are never infinite."""
    measure, (low, high) = it.unbounded.measure, it.record.bounds
    if measure is None:
        raise NotApplicable("it measures no label maps")
    for shape in ((9, 12), (7, 9, 12)):
        ball, empty = np.zeros((2, *shape), dtype=bool)
        ball[tuple(slice(2, 6) for _ in shape)] = True
        moved, spacing = np.roll(ball, 2, axis=0), tuple(range(1, len(shape) + 1))
        same, apart = (measure(one.copy(), ball.copy(), spacing) for one in (ball, moved))
        for one, other in ((ball, empty), (empty, ball), (empty, empty)):
            if math.isinf(measure(one.copy(), other.copy(), spacing)):
                raise Defect("of an empty region it is infinite; return NaN, which is undefined")
        worse = apart - same if it.record.higher_is_better else same - apart
        if not low <= same <= high or not low <= apart <= high or worse > 0:
            raise Defect(
                f"of a region and itself it is {same:.4g}, of the region and one beside it "
                f"{apart:.4g}, with bounds {it.record.bounds}"
            )


CHECKS = promises(__name__)


def _same(first: float, second: float, of_it: float = CLOSE, at_least: float = CLOSE) -> bool:
    undefined = math.isnan(first) and math.isnan(second)
    return undefined or math.isclose(first, second, rel_tol=of_it, abs_tol=at_least)


def check_metric(metric: Metric) -> None:
    """Check a metric, as ``registry.metric(name)`` returns it.

    Raises:
        Nonconforming: It breaks a promise of :data:`CHECKS`; all that were found are listed.
    """
    MetricUnderTest(metric).require(CHECKS)
