"""The check of a metric calls its functions as commands do: what fails there fails here."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from mritk import Metric, Undefined
from mritk.errors import HookError
from mritk.evaluate.examples import example
from mritk.evaluate.measured import measured
from mritk.plugins.guarded_metric import guarded_metric
from mritk.tasks.segmentation import Segmentation
from mritk.testing.metric import CHECKS, MetricUnderTest


def failed(metric: Metric) -> dict[str, str]:
    verdicts = MetricUnderTest(metric).inspect(CHECKS)
    return {v.check: v.reason for v in verdicts if v.state == "failed"}


def jaccard_in_place(predicted, reference, spacing):
    predicted ^= reference  # where they differ
    reference |= predicted  # the union
    union = int(reference.sum())
    return 1 - int(predicted.sum()) / union if union else math.nan


JACCARD = Metric("j", "J", True, measure=jaccard_in_place, task="segmentation", bounds=(0, 1))


def test_a_measure_may_write_to_its_regions_which_nobody_else_reads():
    true = np.zeros((2, 6, 6), dtype=np.uint8)
    true[:, :4, :4], true[:, 1:3, 1:3] = 1, 2
    given = np.roll(true, 1, axis=2)
    task = Segmentation(
        ("background", "oedema", "core"), {"all": ("oedema", "core"), "core": ("core",)}
    )
    before = given.copy(), true.copy()
    found = measured(guarded_metric(JACCARD), task, given, true, [None] * 2)
    # Moved by one of four columns, and by one of two: 3 of 5 columns, and 1 of 3, are in both.
    np.testing.assert_allclose(found, [[3 / 5, 1 / 3]] * 2)
    np.testing.assert_array_equal((given, true), before)
    assert failed(JACCARD) == {}


def writable_only(targets, scores, weights):
    """As a function of Cython whose arguments are no ``const`` memoryviews."""
    if memoryview(scores).readonly:
        raise ValueError("buffer source array is read-only")
    return np.average(scores.argmax(axis=1) == targets, weights=weights)


def per_class(values, targets, scores, weights):
    return np.asarray(values)


@pytest.mark.parametrize(
    ("function", "classes", "check", "told"),
    [
        (writable_only, False, "leaves its input alone", "array is read-only"),
        (lambda *_: "0.5", False, "value lies within its bounds", "returned what is no number"),
        (partial(per_class, [0.5] * 5), True, "value lies within its bounds", "(5,), not (3,)"),
        (partial(per_class, [1.5, 0, 0]), True, "value lies within its bounds", "1.5 is outside"),
    ],
)
def test_what_commands_refuse_is_told_once(function, classes, check, told):
    metric = Metric("m", "M", None, function, per_class=classes, bounds=(0, 1))
    found = failed(metric)
    assert list(found) == [check]
    assert told in found[check]
    made = example(metric, 0)
    with pytest.raises(HookError) as refused:
        guarded_metric(metric).compute(made.targets, made.scores)
    assert told in str(refused.value)


def test_a_measure_that_returns_text_is_told():
    metric = Metric("m", "M", True, measure=lambda *_: "0.5", task="segmentation", bounds=(0, 1))
    assert "no number" in failed(metric)["measures regions of any form"]


def of_class_0(targets, scores, weights):
    return np.average(scores.argmax(axis=1) == 0, weights=weights)


def of_rows(scores):
    return np.isnan(scores).any(axis=1)


def test_what_is_left_out_has_a_row_for_each_sample_and_any_columns():
    plain = Metric("m", "M", None, of_class_0, bounds=(0, 1))
    scores = example(plain, 0).scores
    for told in (of_rows, lambda scores: np.isnan(scores)[1:]):
        metric = replace(plain, left_out=told)
        with pytest.raises(HookError) as refused:
            guarded_metric(metric).left_out(scores)
        (check, reason), *more = failed(metric).items()
        assert (check, more) == ("left out is of every sample", [])
        assert reason.removeprefix("ValueError: ") in str(refused.value)
        assert told is not of_rows or "array (60,), not (60, columns)" in reason
    for width in range(4):
        metric = replace(plain, left_out=lambda scores, width=width: np.isnan(scores)[:, :width])
        assert guarded_metric(metric).left_out(scores).shape == (60, width)
        assert failed(metric) == {}


@pytest.mark.parametrize(
    ("divided_by", "told"),
    [
        (lambda samples: samples.total[:1], "(1,), not (20,)"),
        (lambda samples: samples.total * 0, "it is 0, which nothing divides by"),
        (lambda samples: samples.total * math.nan, "it is nan, which nothing divides by"),
        (lambda samples: samples.total, ""),
    ],
)
def test_what_a_ratio_is_divided_by_is_asked_for(divided_by, told):
    found = failed(Metric("m", "M", None, of_class_0, bounds=(0, 1), divided_by=divided_by))
    assert list(found) == ["divided by is of every resample"] * bool(told)
    assert all(told in reason for reason in found.values())


def undefined(*_):
    raise Undefined("there are no pairs")


def test_only_a_function_raises_undefined():
    """Elsewhere it would end a command with a traceback: the others return NaN."""
    made = example(JACCARD, 0)
    spoken = Metric("m", "M", None, undefined, task="segmentation")
    assert guarded_metric(spoken).compute(made.targets, made.scores).reason == "there are no pairs"
    metric = guarded_metric(replace(JACCARD, measure=undefined, resampled=undefined))
    for call in (metric.measure, metric.resampled):
        with pytest.raises(HookError, match="there are no pairs"):
            call(made.targets, made.targets, (1.0, 1.0))
