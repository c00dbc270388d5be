"""Metrics: scikit-learn's numbers, and NaN with a reason where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mritk import Classification, Regression
from mritk.errors import UnknownName
from mritk.evaluate.metric import Value
from mritk.evaluate.metrics import all_metrics, find_metric, metrics_of
from mritk.evaluate.per_class import per_class
from mritk.evaluate.segmentation import SEGMENTATION
from tests.evaluate.oracles import ORACLES


def compute(name, targets, scores) -> Value:
    return find_metric(name).compute(np.asarray(targets), np.asarray(scores, np.float32))


def drawn(classes, seed, count=80):
    """Samples of as many classes; every fourth time without any of class 0."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(seed % 4 == 0, classes, count)
    scores = rng.normal(size=(count, classes)).astype(np.float32)
    scores[np.arange(count), targets] += 1
    return targets, scores


EVERY_CLASSIFICATION = metrics_of(Classification(("a", "b")), shown=False)
EVERY_REGRESSION = metrics_of(Regression(), shown=False)
RANKING = [metric for metric in all_metrics().values() if metric.higher_is_better is not None]


def test_every_metric_has_an_oracle_here():
    of_cases = {metric.name for metric in SEGMENTATION}  # in test_cases.py
    assert set(ORACLES) == set(all_metrics()) - of_cases


def agrees(metric, targets, scores, weights):
    value = metric.compute(targets, scores, weights)
    expected = ORACLES[metric.name](targets, scores, weights)
    assert value.value == pytest.approx(expected, rel=1e-12, abs=1e-12, nan_ok=True)
    assert bool(value.reason) == math.isnan(expected)


weightings = st.sampled_from(["ones", "whole", "fractions"])


def weights_of(kind, rng, count):
    if kind == "ones":
        return np.ones(count)
    return (
        rng.integers(1, 5, count).astype(float) if kind == "whole" else rng.uniform(0.1, 9, count)
    )


@pytest.mark.parametrize("metric", EVERY_CLASSIFICATION, ids=lambda m: m.name)
@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(2, 80), weightings)
@settings(deadline=None, max_examples=20)
def test_classification_metrics_are_those_of_scikit_learn(metric, seed, classes, count, kind):
    """Of few samples some classes are absent, or never predicted: then there is no value."""
    rng = np.random.default_rng(seed)
    agrees(metric, *drawn(classes, seed, count), weights_of(kind, rng, count))


@pytest.mark.parametrize("metric", EVERY_REGRESSION, ids=lambda m: m.name)
@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([0.0, 5.0]), weightings)
@settings(deadline=None, max_examples=20)
def test_regression_metrics_are_those_of_scikit_learn(metric, seed, count, spread, kind):
    rng = np.random.default_rng(seed)
    targets = 50.1 + spread * rng.normal(size=count)
    scores = (targets + rng.normal(size=count)).astype(np.float32)
    agrees(metric, targets, scores, weights_of(kind, rng, count))


@pytest.mark.parametrize("metric", all_metrics().values(), ids=lambda m: m.name)
def test_a_sample_of_weight_0_is_not_there(metric):
    targets, scores = drawn(3, 1, 30)
    if metric.task == "regression":
        targets, scores = scores[:, 0].astype(float), scores[:, 1]
    weights = np.arange(30) % 3 / 2
    some = weights > 0
    value = metric.compute(targets, scores, weights)
    assert value == metric.compute(targets[some], scores[some], weights[some])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("accuracy", 3 / 5),
        ("balanced_accuracy", (2 / 3 + 1 / 2) / 2),
        ("macro_f1", (2 * 2 / (4 + 1 + 1) + 2 * 1 / (2 + 1 + 1)) / 2),
        # (TP·TN - FP·FN) / sqrt of the product of the margins: (2·1 - 1·1) / sqrt(3·3·2·2)
        ("mcc", 1 / 6),
        # Of the 6 pairs the positives win (0 > -1 > -2 against 1 and -1): 1 + 1/2 of three each.
        ("macro_auroc", (3 + 1.5) / 6),
    ],
)
def test_five_samples_by_hand(name, expected):
    """Margins of class b over a: -1, -2, 0.5 for class a; 1 and -1 for class b."""
    scores = [[1, 0], [2, 0], [0, 0.5], [0, 1], [1, 0]]
    assert compute(name, [0, 0, 0, 1, 1], scores).value == pytest.approx(expected)


def test_log_loss_by_hand():
    scores = np.log([[0.8, 0.2], [0.4, 0.6]])
    expected = -(math.log(0.8) + math.log(0.4)) / 2
    assert compute("log_loss", [0, 0], scores).value == pytest.approx(expected, rel=1e-6)


def test_log_loss_of_very_sure_and_wrong_logits_is_finite():
    assert compute("log_loss", [0], [[0, 1000]]).value == pytest.approx(1000)


def test_regression_by_hand():
    targets, scores = [1.0, 2.0, 4.0], [2.0, 2.0, 2.0]
    assert compute("mae", targets, scores).value == pytest.approx(1)
    assert compute("rmse", targets, scores).value == pytest.approx(math.sqrt(5 / 3))
    mean = 7 / 3
    total = sum((t - mean) ** 2 for t in targets)
    assert compute("r2", targets, scores).value == pytest.approx(1 - 5 / total)


def test_auroc_ranks_very_sure_logits_too():
    """Softmax of both rows is 1.0 in floating point; their logits still tell them apart."""
    assert compute("macro_auroc", [0, 1], [[0, 40], [0, 50]]).value == 1.0


def test_auroc_does_not_change_when_logits_are_scaled():
    targets, scores = drawn(2, 1)
    once = compute("macro_auroc", targets, scores).value
    assert compute("macro_auroc", targets, scores * 64).value == pytest.approx(once)


def test_equal_scores_have_an_auroc_of_one_half():
    assert compute("macro_auroc", [0, 1, 0, 1], np.zeros((4, 2))).value == 0.5


def test_a_class_that_is_never_predicted_counts_with_an_f1_of_0():
    value = compute("macro_f1", [0, 0, 1], [[1, 0], [1, 0], [1, 0]])
    assert value.value == pytest.approx((2 * 2 / (4 + 1) + 0) / 2)


@pytest.mark.parametrize(
    ("name", "targets", "scores", "reason"),
    [
        ("balanced_accuracy", [0, 0], [[1, 0], [0, 1]], "class number 1 has no sample"),
        ("macro_auroc", [1, 1], [[1, 0], [0, 1]], "class number 0 has no sample"),
        ("macro_f1", [0, 1], [[1, 0, 0], [0, 1, 0]], "class number 2 has no sample"),
        ("mcc", [0, 0], [[1, 0], [0, 1]], "one class"),
        ("mcc", [0, 1], [[1, 0], [1, 0]], "one class"),
        ("macro_ppv", [0, 1], [[1, 0], [1, 0]], "class number 1 is never predicted"),
        ("macro_npv", [0, 1], [[1, 0], [1, 0]], "all targets or all predictions are of one class"),
        ("kappa", [0, 0], [[1, 0], [1, 0]], "of one class"),
        ("pearson_r", [1.0, 2.0], [3, 3], "all targets or all predictions are equal"),
        ("r2", [2.0, 2.0], [1, 2], "all targets are equal"),
        ("r2", [2.0], [1], "all targets are equal"),
    ],
)
def test_an_undefined_value_is_nan_with_a_reason(name, targets, scores, reason):
    value = compute(name, targets, scores)
    assert math.isnan(value.value)
    assert reason in value.reason


def test_where_all_are_taken_for_one_class_the_npv_of_none_is_known():
    """Not even among classes that there are: here class 2 has no sample."""
    targets, scores = np.array([0, 1]), np.eye(3)[[2, 2]]
    value = find_metric("macro_npv").compute(targets, scores, leave_out_absent=True)
    assert value.reason == "all targets or all predictions are of one class"
    shares = find_metric("macro_specificity").compute(targets, scores, leave_out_absent=True)
    assert shares.value == 1.0


OF_SAMPLES = [metric for metric in all_metrics().values() if metric not in SEGMENTATION]


@pytest.mark.parametrize("metric", OF_SAMPLES, ids=lambda m: m.name)
def test_no_samples_and_scores_that_are_no_numbers_are_nan_with_a_reason(metric):
    regression = metric.task == "regression"
    shape = (0,) if regression else (0, 2)
    value = metric.compute(np.zeros(0, np.int64), np.zeros(shape, np.float32))
    assert math.isnan(value.value)
    assert value.reason == "no samples"
    for bad in (np.nan, np.inf):
        scores = np.full((2, *shape[1:]), bad, np.float32)
        value = metric.compute(np.array([0, 1]), scores)
        assert math.isnan(value.value)
        assert value.reason == "some scores are NaN or infinite"


def test_every_score_of_a_class_is_nan_with_a_reason_where_some_scores_are_no_numbers():
    scores = np.eye(2)[[0, 1, 1]]
    scores[0, 0] = np.nan
    for of_class in per_class(np.array([0, 1, 1]), scores, ("a", "b")):
        assert of_class.support == {"a": 1, "b": 2}[of_class.name]
        for value in of_class.values.values():
            assert math.isnan(value.value) and value.reason == "some scores are NaN or infinite"


def test_class_indices_of_few_bits_do_not_overflow():
    rng = np.random.default_rng(0)
    targets, scores = rng.integers(0, 20, 200), rng.normal(size=(200, 20))
    metric = find_metric("balanced_accuracy")
    assert metric.compute(targets.astype(np.uint8), scores) == metric.compute(targets, scores)


def test_scores_of_the_wrong_shape_are_never_broadcast():
    """(N,) against (N, 1) would give the mean over N × N pairs."""
    with pytest.raises(Exception, match=r"shape|dimension"):
        compute("mae", [0.0, 1.0], [[0.0], [1.0]])


def test_the_first_metric_sorts_and_arrows_point_to_better_values():
    assert metrics_of(Classification(("a", "b")))[0].name == "balanced_accuracy"
    assert metrics_of(Regression("years"))[0].name == "mae"
    lower = {name for name, metric in all_metrics().items() if metric.higher_is_better is False}
    assert lower == {"log_loss", "brier", "ece", "class_wise_ece", "mae", "rmse", "hd95"}
    assert find_metric("bias").arrow == ""
    assert find_metric("mae").arrow == "↓"
    assert find_metric("mcc").arrow == "↑"


@pytest.mark.parametrize("metric", [m for m in RANKING if m in OF_SAMPLES], ids=lambda m: m.name)
def test_a_metric_is_better_for_a_perfect_prediction(metric):
    if metric.task == "regression":
        targets = np.array([1.0, 2.0, 5.0])
        good, bad = targets.copy(), targets[::-1].copy()
    else:
        targets = np.array([0, 1, 0, 1])
        good = np.eye(2)[targets] * 9
        bad = good[::-1].copy()
        bad[0] = good[0]
    values = [metric.compute(targets, scores).value for scores in (good, bad)]
    assert (values[0] > values[1]) == metric.higher_is_better


@pytest.mark.parametrize(
    "name, targets, outputs, reason",
    [
        ("accuracy", [0, 0], 2, ""),
        ("log_loss", [0, 0], 2, ""),
        ("balanced_accuracy", [0, 1, 1], 3, "class number 2 has no sample"),
        ("macro_auroc", [1, 1], 2, "class number 0 has no sample"),
        ("macro_ppv", [0, 1], 2, ""),
        ("mcc", [1, 1], 3, "all targets or all predictions are of one class"),
        ("mcc", [1, 0], 3, ""),
        ("mae", [3.0, 3.0], 1, ""),
        ("r2", [3.0, 3.0], 1, "all targets are equal"),
        ("pearson_r", [3.0, 4.0], 1, ""),
    ],
)
def test_samples_on_which_no_prediction_has_a_value_are_known_beforehand(
    name, targets, outputs, reason
):
    assert find_metric(name).ideal(np.asarray(targets), outputs).reason == reason


def test_an_unknown_metric_names_near_ones():
    with pytest.raises(UnknownName, match="unknown metric 'rsme'; did you mean rmse"):
        find_metric("rsme")
    with pytest.raises(UnknownName, match="unknown metric 'mae'"):
        find_metric("mae", Classification(("a", "b")))


def test_an_unknown_metric_without_a_near_one_is_still_a_sentence():
    with pytest.raises(UnknownName, match=r"unknown metric 'zzzz'[.;:] "):
        find_metric("zzzz")
