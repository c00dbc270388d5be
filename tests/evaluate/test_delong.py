"""DeLong's test of two AUROCs: independent samples, and several images of a patient."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from mritk.evaluate.delong import aurocs, components, delong


def scored(seed, count=60, rows=3, *, ties=False):
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.4
    scores = positive * 0.8 + rng.normal(size=(rows, count)) + rng.normal(size=count)
    return positive, np.round(scores) if ties else scores


def all_pairs(positive, scores):
    """Return who beats whom, (M, P, Q): the definition, in O(N²)."""
    of_class, of_rest = scores[:, positive][:, :, None], scores[:, ~positive][:, None, :]
    return (of_class > of_rest) + 0.5 * (of_class == of_rest)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_areas_and_covariance_are_those_of_the_definition(seed, ties):
    positive, scores = scored(seed, ties=ties)
    beats = all_pairs(positive, scores)
    v10, v01 = beats.mean(axis=2), beats.mean(axis=1)
    found = aurocs(positive, scores)
    np.testing.assert_allclose(found.values, [roc_auc_score(positive, row) for row in scores])
    expected = np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]
    np.testing.assert_allclose(found.covariance, expected)
    for fast, slow in zip(components(positive, scores), (v10, v01), strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_the_covariance_of_clusters_is_that_of_obuchowski(seed):
    """Equation by equation, as a loop over patients; they have images of both classes."""
    positive, scores = scored(seed, ties=True)
    unit = np.random.default_rng(seed).integers(0, 20, len(positive))
    beats = all_pairs(positive, scores)
    v10, v01, area = beats.mean(axis=2), beats.mean(axis=1), beats.mean(axis=(1, 2))
    p, q = v10.shape[1], v01.shape[1]
    s10, s01, s11 = np.zeros((3, 3)), np.zeros((3, 3)), np.zeros((3, 3))
    for one in np.unique(unit):
        x, y = unit[positive] == one, unit[~positive] == one
        dx = v10[:, x].sum(axis=1) - x.sum() * area
        dy = v01[:, y].sum(axis=1) - y.sum() * area
        s10, s01, s11 = s10 + np.outer(dx, dx), s01 + np.outer(dy, dy), s11 + np.outer(dx, dy)
    units, i10, i01 = (len(np.unique(u)) for u in (unit, unit[positive], unit[~positive]))
    s10, s01, s11 = s10 * i10 / (i10 - 1) / p, s01 * i01 / (i01 - 1) / q, s11 * units / (units - 1)
    expected = s10 / p + s01 / q + (s11 + s11.T) / (p * q)
    np.testing.assert_allclose(aurocs(positive, scores, list(unit)).covariance, expected)


def test_one_image_per_patient_is_the_test_as_published():
    positive, scores = scored(0)
    names = [f"p{number}" for number in range(len(positive))]
    np.testing.assert_allclose(
        aurocs(positive, scores, names).covariance, aurocs(positive, scores).covariance
    )


def test_copying_every_image_changes_nothing_when_the_copies_are_one_unit():
    """What a row-wise test takes for twice the evidence."""
    positive, scores = scored(0, rows=2)
    unit = list(range(len(positive)))
    once = delong(aurocs(positive, scores, unit))
    twice = delong(aurocs(np.tile(positive, 2), np.tile(scores, 2), unit * 2))
    assert twice.p == pytest.approx(once.p)
    assert delong(aurocs(np.tile(positive, 2), np.tile(scores, 2))).p < once.p


def test_z_p_and_interval_follow_from_the_covariance():
    positive, scores = scored(1, rows=2)
    areas = aurocs(positive, scores)
    error = math.sqrt(areas.covariance[0, 0] + areas.covariance[1, 1] - 2 * areas.covariance[0, 1])
    found = delong(areas)
    assert found.difference == pytest.approx(areas.values[0] - areas.values[1])
    assert found.statistic == pytest.approx(found.difference / error)
    assert found.p == pytest.approx(2 * norm.sf(abs(found.statistic)))
    ends = norm.interval(0.95, found.difference, error)
    assert (found.interval.low, found.interval.high) == pytest.approx(ends)


def test_any_increasing_function_of_the_scores_gives_the_same():
    positive, scores = scored(2, rows=2)
    assert delong(aurocs(positive, np.exp(scores))) == delong(aurocs(positive, scores))


def test_a_score_against_itself_is_no_difference():
    positive, scores = scored(0, rows=1)
    found = delong(aurocs(positive, np.repeat(scores, 2, axis=0)))
    assert (found.difference, found.p) == (0.0, 1.0)


def test_where_no_sample_disagrees_the_spread_is_unknown():
    """One score separates perfectly, the other says nothing: every component is the same."""
    positive = np.arange(10) < 5
    found = delong(aurocs(positive, np.stack([positive.astype(float), np.zeros(10)])))
    assert found.difference == 0.5
    assert math.isnan(found.p)
    assert "every sample gives the same difference" in found.reason


def test_one_class_or_one_patient_of_a_class_has_no_p():
    scores = np.random.default_rng(0).normal(size=(2, 6))
    alone = delong(aurocs(np.ones(6, dtype=bool), scores))
    assert math.isnan(alone.difference)
    assert "all samples are of the class" in alone.reason
    few = delong(aurocs(np.arange(6) < 3, scores, ["p"] * 3 + ["q", "r", "s"]))
    assert math.isfinite(few.difference)
    assert math.isnan(few.p)
    assert "a class has only one patient (or duplicate group)" in few.reason


def test_what_is_no_score_is_refused():
    with pytest.raises(ValueError, match="NaN or infinite"):
        aurocs(np.array([True, False]), np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="bool"):
        aurocs(np.array([1, 0]), np.array([[1.0, 2.0]]))


def simulated(images, seed, trials, patients=40):
    """Two equally good scores; images of a patient are alike, and half of them of the class."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(patients), images)
    positive = unit % 2 == 0
    for _ in range(trials):
        of_patient = np.repeat(rng.normal(size=(2, patients)), images, axis=1)
        shared = np.repeat(rng.normal(size=patients), images)
        yield positive, positive + shared + of_patient + 0.5 * rng.normal(size=(2, len(unit))), unit


@pytest.mark.slow
@pytest.mark.parametrize("images", [1, 4])
def test_equal_scores_are_called_different_in_5_percent(images):
    """1,000 trials: 5 % ± 2 standard errors."""
    found = [delong(aurocs(*case)) for case in simulated(images, seed=0, trials=1000)]
    assert 0.036 < np.mean([one.p < 0.05 for one in found]) < 0.064
    assert 0.936 < np.mean([0 in one.interval for one in found]) < 0.964


@pytest.mark.slow
def test_images_taken_for_patients_would_show_differences_that_are_not_there():
    cases = simulated(4, seed=1, trials=200)
    assert np.mean([delong(aurocs(*case[:2])).p < 0.05 for case in cases]) > 0.2
