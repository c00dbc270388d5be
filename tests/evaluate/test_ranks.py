"""Ties are ties: AUROC and average precision of equal odds, against 70 decimal digits."""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from mritk.evaluate.by_patient import by_patient
from mritk.evaluate.delong import aurocs
from mritk.evaluate.metrics import find_metric
from mritk.evaluate.per_class import per_class
from mritk.evaluate.ranks import odds_ranks
from mritk.evaluate.resamples import Resamples
from mritk.evaluate.temperature import calibrated

OF_RANKS = {"macro_auroc": roc_auc_score, "macro_auprc": average_precision_score}


def exact_ranks(logits, k):
    """Dense ranks of the odds of class k, computed with 70 digits and compared with 60."""
    with localcontext() as context:
        context.prec = 70
        rows = [[Decimal(float(value)) for value in row] for row in logits]
        odds = [row[k].exp() / sum(v.exp() for j, v in enumerate(row) if j != k) for row in rows]
        context.prec = 60
        return np.unique([+value for value in odds], return_inverse=True)[1]


def whole_numbers(seed, classes, reach=3, count=120):
    rng = np.random.default_rng(seed)
    logits = rng.integers(-reach, reach + 1, (count, classes)).astype(np.float32)
    return rng.integers(0, classes, count), logits, rng.poisson(1.0, count).astype(np.float64)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_RANKS)
@pytest.mark.parametrize(
    "classes, reach", [(2, 3), (3, 1), (3, 3), (4, 3), (5, 2), (3, 12), (3, 30), (5, 30)]
)
def test_whole_number_logits_score_what_exact_ranks_score(name, classes, reach):
    targets, logits, weights = whole_numbers(classes, classes, reach)
    metric, oracle = find_metric(name), OF_RANKS[name]
    ranks = [exact_ranks(logits, k) for k in range(classes)]
    for weighting in (np.ones(len(targets)), weights):
        wanted = np.mean(
            [oracle(targets == k, r, sample_weight=weighting) for k, r in enumerate(ranks)]
        )
        assert metric.compute(targets, logits, weighting).value == pytest.approx(wanted, abs=1e-12)
        units = np.arange(len(targets))
        drawn = Resamples(targets, logits, units, weighting[None].astype(np.float32))
        # Weights and shares are in single precision there.
        assert metric.resample(drawn)[0] == pytest.approx(wanted, abs=1e-6)


def test_delong_and_the_scores_of_a_class_see_the_same_ties():
    targets, logits, _ = whole_numbers(0, 3)
    names = ("a", "b", "c")
    for k, scores in enumerate(per_class(targets, logits, names)):
        ranks = exact_ranks(logits, k)
        wanted = roc_auc_score(targets == k, ranks)
        assert scores.values["auroc"].value == pytest.approx(wanted, abs=1e-12)
        found = aurocs(targets == k, np.stack([odds_ranks(logits, k), ranks]))
        np.testing.assert_allclose(found.values, wanted, atol=1e-12)
        np.testing.assert_array_equal(found.covariance, found.covariance[0, 0])


def test_neither_the_order_of_the_other_classes_nor_a_shift_changes_odds():
    rows = np.float32([[1, 2, 0, -3], [1, -3, 2, 0], [4, 5, 3, 0], [1, 2, 0, -2]])
    odds = odds_ranks(rows, 0)
    assert len(set(odds[:3])) == 1
    assert odds[3] < odds[0]


def test_scores_after_a_temperature_keep_their_ties():
    _, logits, _ = whole_numbers(1, 4)
    for k in range(4):
        plain = exact_ranks(logits, k)
        odds = odds_ranks(calibrated(logits, 1.7), k)
        for rank in np.unique(plain):
            assert len(set(odds[plain == rank])) == 1


def test_patients_of_the_same_images_tie_whatever_the_order_of_the_images():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(7, 3)).astype(np.float32)
    orders = [rng.permutation(7) for _ in range(20)]
    score = np.concatenate([images[order] for order in orders])
    patient = [f"p{number}" for number in range(20) for _ in range(7)]
    found = by_patient(np.zeros(len(score), dtype=np.int64), score, patient)
    assert len(set(odds_ranks(found.score, 1))) == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_odds_that_double_precision_merges_are_told_apart(dtype):
    rows = np.array([[0, 30, 0, -30], [0, 30, 0, -29], [0, 30, 1, -30], [0, 30, -29, 0]], dtype)
    np.testing.assert_array_equal(rankdata(odds_ranks(rows, 0)), rankdata(exact_ranks(rows, 0)))


def test_a_score_that_is_no_number_has_no_rank():
    assert np.isnan(odds_ranks(np.float32([[0, np.nan, 1], [0, 1, 2]]), 0)).tolist() == [
        True,
        False,
    ]


def test_scores_that_differ_are_no_ties_however_sure_they_are():
    logits = np.float32([[40, 0, 0], [40 + 2**-18, 0, 0], [80, 0, 0], [1e-20, 0, -90]])
    assert len(set(odds_ranks(logits, 0))) == 4
    sure = np.asarray([[0.0, 60.0], [0.0, 60.0 + 1e-9], [1e-9, 60.0]])
    assert len(set(odds_ranks(sure, 1))) == 3
