"""Metrics that break one promise each; they are named after it. ``good`` breaks none."""

from __future__ import annotations

from functools import partial

import numpy as np

from mritk import Metric, hookimpl


def _right(targets, scores):
    return scores.argmax(axis=1) == targets


def good(targets, scores, weights):
    return np.average(_right(targets, scores), weights=weights)


def in_per_cent(targets, scores, weights):
    return 100 * good(targets, scores, weights)


def without_weights(targets, scores, weights):
    return _right(targets, scores).mean()


def of_the_first_half(targets, scores, weights):
    # Halves by weight, so that weights count as copies do.
    before = weights.cumsum() - weights
    inside = np.clip(weights.sum() / 2 - before, 0, weights)
    return np.average(_right(targets, scores), weights=inside)


def always_half(resamples):
    return np.full(len(resamples.weights), 0.5)


def sorts_the_scores(targets, scores, weights):
    value = good(targets, scores, weights)
    scores.sort(axis=1)
    return value


def of_all_resamples(resamples):
    return np.ones(1)


def rows_with_nan(scores):
    return np.isnan(scores).any(axis=1)


def volume(predicted, reference, spacing):
    return float(predicted.sum())


@hookimpl
def mritk_metrics():
    plain = partial(
        Metric,
        label="share",
        higher_is_better=True,
        bounds=(0, 1),
        summary="breaks one promise",
    )
    yield plain("good", function=good)
    yield plain("value_lies_within_its_bounds", function=in_per_cent)
    yield plain("weights_count_samples", function=without_weights)
    yield plain("order_of_samples_does_not_matter", function=of_the_first_half)
    yield Metric("direction_is_right", "share", False, good, bounds=(0, 1), summary="upside down")
    yield plain("resampled_agrees_with_the_function", function=good, resampled=always_half)
    yield plain("divided_by_is_of_every_resample", function=good, divided_by=of_all_resamples)
    yield plain("left_out_is_of_every_sample", function=good, left_out=rows_with_nan)
    yield plain("leaves_its_input_alone", function=sorts_the_scores)
    yield plain("measures_regions_of_any_form", task="segmentation", measure=volume)
