"""Rules of the gate: how they are read, and which are refused because they would guard nothing."""

from __future__ import annotations

import math

import pytest

from mritk.compare.gate import compare_folders
from mritk.compare.rule import Rule
from mritk.errors import ExitCode, UsageError
from mritk.results.analysis import Analysis


def compared(base, head, rules):
    analysis = Analysis(resamples=500, given_these_models=True)
    return compare_folders(base, head, analysis=analysis, rules=rules)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("balanced_accuracy < -1.0pt", Rule("balanced_accuracy", True, -0.01)),
        ("log_loss>0.05", Rule("log_loss", False, 0.05)),
        (" mae > 1e-2 ", Rule("mae", False, 0.01)),
        ("mcc < 0", Rule("mcc", True, 0.0)),
        ("dice[WT] < -1pt", Rule("dice[WT]", True, -0.01)),
    ],
)
def test_rules_are_read(text, rule):
    assert Rule.from_text(text) == rule


@pytest.mark.parametrize("text", ["", "mcc", "mcc < ", "mcc = 1", "mcc < 1 %", "mcc < 1e400"])
def test_a_rule_that_cannot_be_read_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match=r"balanced_accuracy < -1\.0pt"):
        Rule.from_text(text)


@pytest.mark.parametrize("text", ["balanced_accuracy < -1.0", "balanced_accuracy < 1"])
def test_a_rule_that_no_difference_can_break_is_refused(make_trial, text):
    rule = Rule.from_text(text)
    with pytest.raises(UsageError, match=rf"never more than 1 apart; did you mean '{rule}pt'\?"):
        compared([make_trial(0.9)], [make_trial(0.6, draw=1)], rules=[rule])
    unbounded = Rule.from_text("log_loss > 1.0")
    assert compared([make_trial()], [make_trial()], rules=[unbounded]).exit_code == ExitCode.OK


@pytest.mark.parametrize(("text", "most"), [("< -150pt", "100pt"), ("> 150", "1")])
def test_a_remedy_of_an_impossible_rule_is_a_possible_one(text, most):
    told = rf"{text}' says nothing: .* than {most} apart; write a smaller difference$"
    with pytest.raises(UsageError, match=told):
        Rule.from_text(f"balanced_accuracy {text}").require_possible((0, 1))
    Rule.from_text("mcc < -1.0").require_possible((-1, 1))


@pytest.mark.parametrize(
    ("text", "better", "meant"),
    [
        ("balanced_accuracy > 1pt", "higher", "balanced_accuracy < -1pt"),
        ("mcc > -0.01", "higher", "mcc < -0.01"),
        ("mcc > 0", "higher", "mcc < 0"),
        ("log_loss < -1", "lower", "log_loss > 1"),
    ],
)
def test_a_rule_that_fails_improvements_alone_is_refused_with_the_one_meant(
    make_trial, text, better, meant
):
    rules = [Rule.from_text(text), Rule.from_text("macro_f1 < -1pt")]
    told = f"is better when {better}, so the rule '{text}' fails on improvements and passes "
    with pytest.raises(UsageError, match=f"{told}regressions; use '{meant}'$"):
        compared([make_trial()], [make_trial()], rules=rules)
    assert compared([make_trial()], [make_trial()], rules=[Rule.from_text(meant)]).changes
    # A value that is to stay as it is has both.
    rules.append(Rule.from_text(meant))
    assert compared([make_trial()], [make_trial()], rules=rules).exit_code == ExitCode.OK


@pytest.mark.parametrize("metric", ["mae", "log_loss", "bias"])
def test_points_of_a_metric_without_a_largest_value_are_refused(make_trial, metric):
    told = f"the rule '{metric} > 1pt' is in percentage points, but {metric} has no largest value"
    with pytest.raises(UsageError, match=f"{told}.*; write the difference without pt"):
        compared([make_trial()], [make_trial()], rules=[Rule.from_text(f"{metric} > 1pt")])
    rules = [Rule.from_text("mcc < -1pt")]
    assert compared([make_trial()], [make_trial()], rules=rules).exit_code == ExitCode.OK


def test_points_of_explained_variance_are_a_hundredth_of_it():
    Rule.from_text("r2 < -1pt").require_possible((-math.inf, 1.0))
