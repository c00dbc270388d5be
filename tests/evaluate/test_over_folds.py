"""The value of a run of several folds: closed forms, with folds that lack a class."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import recall_score, roc_auc_score

from mritk.evaluate.metrics import find_metric
from mritk.evaluate.over_folds import fold_classes, over_folds, per_fold, run_value
from mritk.evaluate.resamples import Resamples

BALANCED = find_metric("balanced_accuracy")


def fold(target, seed=0, classes=3):
    return np.asarray(target), np.random.default_rng(seed).normal(size=(len(target), classes))


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_auroc", "accuracy", "log_loss"])
def test_where_every_fold_tests_every_class_it_is_the_mean_of_the_folds(name):
    folds = [fold([0, 1, 2, 0], 1), fold([2, 1, 0], 2)]
    metric = find_metric(name)
    expected = np.mean([metric.compute(*one).value for one in folds])
    assert run_value(metric, folds).value == pytest.approx(expected, rel=1e-12)


def test_a_class_that_a_fold_lacks_is_averaged_over_the_others():
    """A site without patients of class 2 leaves the recalls of that class to the other sites."""
    folds = [fold([0, 1, 2, 2, 0, 1], 1), fold([0, 1, 1, 0], 2), fold([2, 2, 0, 1, 2], 3)]
    recalls = np.full((3, 3), math.nan)
    for row, (target, score) in zip(recalls, folds, strict=True):
        row[:] = recall_score(
            target, score.argmax(axis=1), labels=[0, 1, 2], average=None, zero_division=math.nan
        )
    assert math.isnan(BALANCED.compute(*folds[1]).value)
    expected = np.nanmean(recalls, axis=0).mean()
    assert run_value(BALANCED, folds).value == pytest.approx(expected, rel=1e-12)


def test_a_fold_of_one_class_ranks_nothing_and_is_left_out_of_areas():
    folds = [fold([0, 1, 0, 1, 1], 1, 2), fold([1, 1], 2, 2)]
    target, score = folds[0]
    expected = roc_auc_score(target, score[:, 1] - score[:, 0])
    assert run_value(find_metric("macro_auroc"), folds).value == pytest.approx(expected)


class TestWhatEachFoldSays:
    """Differences of two rows, by fold and class."""

    differences = np.random.default_rng(0).normal(size=(6, 3))

    def test_it_is_the_mean_over_classes_where_every_fold_tests_all(self):
        np.testing.assert_allclose(per_fold(self.differences), self.differences.mean(axis=1))

    def test_a_rare_class_counts_as_in_the_run_with_the_variance_of_the_folds_that_test_it(self):
        """Classes are independent here, so the variance of their mean is a sum over classes."""
        some = self.differences * 0 + np.diag([1.0, 0, 0])[[0, 1, 2, 0, 1, 2]]  # one class varies
        some[:, 0] += self.differences[:, 0]
        some[3:, 0] = math.nan
        found, alone = per_fold(some), some[:3, 0]
        assert found.mean() == pytest.approx(np.nanmean(some, axis=0).mean())
        variance = found.var(ddof=1) / 6
        assert variance == pytest.approx(alone.var(ddof=1) / 3 / 9)

    def test_a_class_of_one_fold_shows_no_spread(self):
        some = self.differences.copy()
        some[1:, 2] = math.nan
        assert np.isnan(per_fold(some)).all()
        some[:, 2] = math.nan  # of a class that no fold tests nothing is asked
        np.testing.assert_allclose(per_fold(some), some[:, :2].mean(axis=1))


def test_a_class_that_no_fold_tests_is_named():
    found = run_value(BALANCED, [fold([0, 1]), fold([1, 0])])
    assert "class number 2 has no sample in any fold" in found.reason
    assert run_value(BALANCED, [fold([0, 1]), fold([1, 0])], partial=True).value >= 0


def test_a_resample_that_draws_nothing_of_a_class_in_a_fold_counts_what_it_drew_elsewhere():
    """Class 0 has one patient per fold: a resample is the weighted mean of what was drawn."""
    target = np.array([0, 1, 1])
    right = [True, False, True]
    weights = np.array([[3.0, 0.0, 0.0], [1.5, 1.5, 0.0], [0.0, 1.0, 2.0]], dtype=np.float32)
    folds = []
    for number, is_right in enumerate(right):
        score = np.eye(2)[[0 if is_right else 1, 1, 1]]
        of_units = np.c_[weights[:, [number]], np.ones((3, 2), dtype=np.float32)]
        folds.append(fold_classes(BALANCED, Resamples(target, score, np.arange(3), of_units)))
    expected = (weights @ right / 3 + 1) / 2
    assert over_folds(folds, np.array([0, 1])) == pytest.approx(expected)
