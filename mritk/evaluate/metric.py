"""A metric: a number computed from targets and scores.

Plugins yield metrics when they are loaded, so nothing heavy is imported at the top.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mritk.lazy_import import lazy
from mritk.records import Record

if TYPE_CHECKING:
    import numpy as np

    from mritk.evaluate.resamples import Resamples


MEAN_OF_CASES = lazy("mritk.evaluate.case_means:mean_of_cases")
MEANS_OF_CASES = lazy("mritk.evaluate.case_means:means_of_cases")
WITHOUT_VALUE = lazy("numpy:isnan")
NOT_FINITE = "some scores are NaN or infinite"


class Undefined(Exception):
    """The metric is undefined for these samples; the text states the reason."""


@dataclass(frozen=True)
class Value:
    """The value of a metric; NaN comes with the ``reason`` why it is undefined."""

    value: float
    reason: str = ""

    @classmethod
    def of(cls, value: float, reason: str = "it is NaN") -> Value:
        """Return a value; only NaN has the reason."""
        return cls(float(value), reason if math.isnan(value) else "")


@dataclass(frozen=True)
class Metric(Record):
    """A number computed from targets and scores. Yield it from ``mritk_metrics``.

    Attributes:
        name: Name on the command line.
        label: Column heading in tables.
        higher_is_better: Direction; None: not used for ranking.
        function: Takes targets (N,), scores (logits (N, classes) or values (N,)) and weights (N,)
            float64, like scikit-learn's ``sample_weight``, all read-only; returns the value, NaN
            if undefined, or raises :class:`Undefined` with the reason. With ``per_class`` it
            returns one value per class, of which the metric is the mean. Not given, with
            ``measure``: the mean over cases of each region, and then over regions.
        task: ``classification``, ``regression`` or ``segmentation``.
        per_class: Whether the function returns one value per class.
        bounds: Minimum and maximum possible value; one beyond them is an error of the metric.
        no_interval: Why no valid interval exists, or empty.
        resampled: The same, vectorised over R weightings: returns (R,), or (R, classes) with
            ``per_class``; NaN if undefined. None: ``function`` is called for each.
        left_out: Takes scores; returns what the value leaves out of each sample because of what was
            predicted, (N, columns) bool. Rows that leave out different samples are not tested
            against each other. None: nothing is left out; with ``measure`` and an infinite bound
            what is NaN, since no worst value could stand for a region that is absent.
        measure: For a segmentation: measures one region of one case. Takes the region as predicted
            and as it is (bool arrays of one shape, its own to write to) and the spacing in mm along
            each axis; returns a number, NaN (or infinite) where undefined. The scores of the metric
            are then what it measures on the stored label maps, (N, regions), and ``NAME[REGION]``
            is a metric too.
            None: scores are those stored.
        undefined: With ``measure``: which cases have no value, to follow "undefined":
            ``where neither label map has the region``.
        divided_by: Of a ratio that is no mean over classes: what it is divided by in each of R
            weightings, (R,). Resamples in which that is nearly 0 then do not decide its variance
            (:mod:`mritk.evaluate.ratio`). None: by nothing that may be so small.
        continuous: Whether it is made of values that may differ by little, such as probabilities:
            a class of which they hardly differ is well known. One of which every decision is right
            is not, and has the variance of half a patient (:mod:`mritk.evaluate.unseen`).
    """

    name: str
    label: str
    higher_is_better: bool | None
    function: Callable[[np.ndarray, np.ndarray, np.ndarray], Any] = MEAN_OF_CASES
    task: Literal["classification", "regression", "segmentation"] = "classification"
    per_class: bool = False
    bounds: tuple[float, float] = (-math.inf, math.inf)
    no_interval: str = ""
    resampled: Callable[[Resamples], np.ndarray] | None = None
    left_out: Callable[[np.ndarray], np.ndarray] | None = None
    measure: Callable[[np.ndarray, np.ndarray, Sequence[float]], float] | None = None
    undefined: str = ""
    divided_by: Callable[[Resamples], np.ndarray] | None = None
    continuous: bool = False

    def __post_init__(self) -> None:
        """Refuse a metric without a function, or a measure of what is no label map."""
        if self.measure is None and self.function is MEAN_OF_CASES:
            raise ValueError(f"metric {self.name} needs a function")
        if self.measure is not None and self.task != "segmentation":
            raise ValueError(f"metric {self.name}: a measure is for task='segmentation'")
        if self.function is MEAN_OF_CASES and self.resampled is None:
            object.__setattr__(self, "resampled", MEANS_OF_CASES)
        if self.measure is not None and not all(map(math.isfinite, self.bounds)):
            object.__setattr__(self, "left_out", self.left_out or WITHOUT_VALUE)

    @property
    def of_cases(self) -> bool:
        """Whether it is a mean over the cases that have a value, so that a fold may have none."""
        return self.task == "segmentation"

    @property
    def arrow(self) -> str:
        """The direction of better values."""
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    def compute(
        self,
        targets: np.ndarray,
        scores: np.ndarray,
        weights: np.ndarray | None = None,
        *,
        leave_out_absent: bool = False,
    ) -> Value:
        """Return the value; NaN with a reason if it is undefined for these samples.

        Args:
            targets: (N,) class indices or values.
            scores: (N, classes) logits, (N,) values, or (N, columns) scores of cases.
            weights: (N,) sample weights; None: equal.
            leave_out_absent: Exclude classes without samples from a class average, which is
                otherwise undefined.
        """
        import numpy as np

        rank = 1 if self.task == "regression" else 2
        if len(scores) != len(targets) or scores.ndim != rank:
            raise ValueError(
                f"{self.name}: scores of shape {scores.shape} for {len(targets)} targets"
            )
        if not len(targets):
            return Value(math.nan, "no samples")
        if self.task != "segmentation" and not np.isfinite(scores).all():
            return Value(math.nan, NOT_FINITE)
        if weights is None:
            weights = np.ones(len(targets))
        try:
            if not self.per_class:
                return Value.of(self.function(targets, scores, weights))
            present = np.unique(targets[weights > 0])
            absent = np.setdiff1d(np.arange(scores.shape[1]), present)
            if len(absent) and not leave_out_absent:
                return Value(math.nan, f"class number {absent[0]} has no sample")
            values = np.asarray(self.function(targets, scores, weights))
            return Value.of(float(np.mean(values[present])))
        except Undefined as undefined:
            return Value(math.nan, str(undefined))

    def ideal(self, targets: np.ndarray, outputs: int) -> Value:
        """Return the value of perfect predictions.

        If it is undefined, for lack of a class or of variance, the metric cannot distinguish
        models on these samples.

        Args:
            targets: (N,) class indices or values.
            outputs: Number of classes; 1 for values.
        """
        import numpy as np

        if self.task == "classification":
            return self.compute(targets, np.eye(outputs)[targets])
        if self.task == "segmentation":
            return Value(self.bounds[1] if self.higher_is_better else self.bounds[0])
        return self.compute(targets, np.asarray(targets, dtype=np.float64))

    def resample(self, resamples: Resamples, classes: np.ndarray | None = None) -> np.ndarray:
        """Return the value in each of R resamples, (R,) float64; NaN where it is undefined.

        Args:
            resamples: Targets, scores and R weightings.
            classes: With ``per_class``, the classes that the mean is over; None: all.
        """
        if not self.per_class:
            return self._resampled(resamples, (len(resamples.weights),))
        values = self.resample_classes(resamples)
        return (values if classes is None else values[:, classes]).mean(axis=1)

    def resample_classes(self, resamples: Resamples) -> np.ndarray:
        """Return the value of each class in each of R resamples, (R, classes).

        NaN for a class without a sample, whose value does not exist. For metrics ``per_class``.
        """
        import numpy as np

        found = self._resampled(resamples, resamples.confusion.shape[:2])
        return np.where(resamples.confusion.sum(axis=2) > 0, found, np.nan)

    def _resampled(self, resamples: Resamples, shape: tuple[int, ...]) -> np.ndarray:
        """Return what the function gives of each resample, in an array of this shape."""
        import numpy as np

        if self.resampled is not None:
            return np.asarray(self.resampled(resamples), dtype=np.float64)
        found = np.full(shape, np.nan)
        for number, weights in enumerate(resamples.sample_weights()):
            some = weights > 0
            with contextlib.suppress(Undefined):
                if some.any():
                    found[number] = self.function(
                        resamples.targets[some], resamples.scores[some], weights[some]
                    )
        return found
