"""The gate: better, worse, cannot tell; and what was not there, or not comparable."""

from __future__ import annotations

import json
import math

import pytest

from mritk import Regression
from mritk.compare.gate import compare_folders
from mritk.compare.gate_text import comparisons_as_data, comparisons_text, headline
from mritk.compare.rule import Rule
from mritk.errors import ExitCode, StoreError, UnknownName, UsageError
from mritk.evaluate.comparison import Verdict
from mritk.results.analysis import Analysis

# Most tests are of one seed, and ask about these trained networks.
QUICK = Analysis(resamples=500, given_these_models=True)


def compared(base, head, **options):
    return compare_folders(base, head, **{"analysis": QUICK, **options})


def verdicts(found):
    return {change.row: change.verdict for change in found.changes}


def test_a_clear_fall_is_worse_and_fails(make_trial):
    found = compared([make_trial(0.9)], [make_trial(0.6, draw=1)])
    assert verdicts(found) == {"tiny@scratch": Verdict.WORSE}
    assert found.exit_code == ExitCode.GATE_FAILED
    (change,) = found.changes
    assert change.metric.name == "balanced_accuracy"
    assert change.comparison.difference == pytest.approx(change.head - change.base)
    assert change.comparison.interval.high < 0


def test_a_clear_rise_is_better_and_passes(make_trial):
    found = compared([make_trial(0.6)], [make_trial(0.9, draw=1)])
    assert verdicts(found) == {"tiny@scratch": Verdict.BETTER}
    assert found.exit_code == ExitCode.OK


def test_an_equal_one_passes_without_a_verdict(make_trial):
    found = compared([make_trial()], [make_trial()])
    (change,) = found.changes
    assert (change.comparison.difference, change.comparison.p) == (0, 1)
    assert change.verdict is Verdict.CANNOT_TELL
    assert found.exit_code == ExitCode.OK


@pytest.mark.parametrize("direction", [1, -1])
def test_a_metric_that_should_be_low_is_worse_when_it_rises(make_trial, direction):
    pair = [make_trial(0.9)], [make_trial(0.6, draw=1)]
    found = compared(*pair[::direction], metrics=["log_loss"])
    expected = Verdict.WORSE if direction == 1 else Verdict.BETTER
    assert verdicts(found) == {"tiny@scratch": expected}


def test_a_rule_fails_only_what_is_shown_to_be_beyond_the_tolerance(make_trial):
    """The fall is of about 20 points, its interval some 8 wide on either side."""
    pair = [make_trial(0.9)], [make_trial(0.7, draw=1)]
    (change,) = compared(*pair).changes
    assert -0.30 < change.comparison.interval.low < change.comparison.interval.high < -0.05
    small = compared(*pair, rules=[Rule.from_text("balanced_accuracy < -1.0pt")])
    assert small.exit_code == ExitCode.GATE_FAILED
    assert small.broken[0].broken == ("balanced_accuracy < -0.01",)
    large = compared(*pair, rules=[Rule.from_text("balanced_accuracy < -20pt")])
    assert large.exit_code == ExitCode.OK
    assert large.changes[0].verdict is Verdict.WORSE, "worse, but within what was tolerated"


def test_trials_are_paired_by_identity_not_by_id_or_order(make_trial):
    base = [make_trial(0.9, seed=seed, draw=seed, id=f"a{seed}") for seed in (0, 1)]
    head = [make_trial(0.9, seed=seed, draw=seed, id=f"b{seed}") for seed in (1, 0)]
    (change,) = compared(base, head).changes
    assert change.comparison.difference == 0
    assert change.comparison.runs == 2


@pytest.mark.parametrize("status", [None, "failed"])
def test_a_trial_that_is_missing_or_failed_in_the_head_is_named_and_gives_4(make_trial, status):
    base = [make_trial(seed=0), make_trial(seed=1)]
    head = [make_trial(seed=0)] + ([make_trial(seed=1, status=status)] if status else [])
    if status:
        head[1].predictions = {}
    found = compared(base, head)
    assert found.exit_code == ExitCode.UNAVAILABLE
    assert "seed 1" in found.pairs.missing[0]
    assert len(found.changes) == 1, "the others are compared"


def test_another_protocol_gives_4_and_the_fields_that_differ(make_trial):
    other = make_trial(
        fingerprint="0" * 64, protocol_json='{"image_size":64,"parameters":{"batch_size":16}}'
    )
    found = compared([make_trial()], [other])
    assert found.exit_code == ExitCode.UNAVAILABLE
    assert found.changes == []
    assert "image_size: 32 | 64" in found.pairs.incomparable[0]
    assert "batch_size" not in found.pairs.incomparable[0]


def test_a_folder_may_hold_an_earlier_protocol_of_the_same_name_beside_the_present_one(make_trial):
    earlier = make_trial(0.5, fingerprint="0" * 64, protocol_json='{"image_size":64}')
    found = compared([make_trial()], [earlier, make_trial()])
    assert found.exit_code == ExitCode.OK
    found = compared([make_trial()], [make_trial(), earlier])
    assert found.exit_code == ExitCode.OK


def test_a_new_row_of_several_trials_harms_nothing(make_trial):
    new = [make_trial(backbone="new", id=name) for name in ("a", "b")]
    found = compared([make_trial()], [make_trial(), *new])
    assert (found.exit_code, found.pairs.added) == (ExitCode.OK, ["new on bands, fast"])


def test_other_data_give_4(make_trial):
    found = compared([make_trial()], [make_trial(dataset_fingerprint="e" * 64)])
    assert found.exit_code == ExitCode.UNAVAILABLE
    assert "the data differ (dddddddd | eeeeeeee)" in found.pairs.incomparable[0]


def test_other_test_samples_give_4(make_trial):
    other = make_trial()
    other.predictions["test"].id[0] = "another"
    found = compared([make_trial()], [other])
    assert "the test sets differ" in found.pairs.incomparable[0]


def test_a_regression_outweighs_a_missing_trial(make_trial):
    base = [make_trial(0.9), make_trial(0.9, backbone="gone")]
    found = compared(base, [make_trial(0.5, draw=1)])
    assert found.pairs.missing
    assert found.exit_code == ExitCode.GATE_FAILED


def test_nothing_to_compare_is_never_a_pass(make_trial):
    assert compared([], []).exit_code == ExitCode.UNAVAILABLE
    assert compared([], [make_trial()]).exit_code == ExitCode.UNAVAILABLE


def test_a_damaged_file_is_named_and_gives_4(make_trial):
    found = compared([make_trial()], [make_trial(), StoreError("x.h5 is torn")])
    assert found.pairs.damaged == ["x.h5 is torn"]
    assert found.exit_code == ExitCode.UNAVAILABLE


def test_a_value_that_has_become_undefined_is_no_pass(make_trial):
    """A collapsed network: all decisions are of one class, and MCC is 0 / 0."""
    collapsed = make_trial()
    collapsed.predictions["test"].score[:] = [1, 0]
    found = compared([make_trial()], [collapsed], metrics=["mcc"])
    assert found.exit_code == ExitCode.UNAVAILABLE
    assert "undefined before or after:\n\n- tiny@scratch, MCC" in comparisons_text(found, "github")
    assert comparisons_as_data(found)["undefined"] == ["tiny@scratch: mcc"]


def test_a_new_row_is_told_and_harms_nothing(make_trial):
    found = compared([make_trial()], [make_trial(), make_trial(backbone="new")])
    assert found.pairs.added == ["new on bands, fast"]
    assert found.exit_code == ExitCode.OK


def test_a_known_row_on_a_new_dataset_or_protocol_is_new(make_trial):
    elsewhere = make_trial(dataset="lines", dataset_fingerprint="e" * 64)
    otherwise = make_trial(protocol="slow", fingerprint="0" * 64)
    found = compared([make_trial()], [make_trial(), elsewhere, otherwise])
    assert found.pairs.added == ["tiny@scratch on bands, slow", "tiny@scratch on lines, fast"]
    assert len(found.changes) == 1


def test_one_recipe_in_files_of_two_names_is_one_recipe(make_trial):
    base = [make_trial(0.9, protocol="recipe"), make_trial(0.9, protocol="recipe", seed=1)]
    head = [make_trial(0.9, protocol="copied", dataset="moved", seed=seed) for seed in (0, 1)]
    found = compared(base, head)
    assert (found.pairs.missing, found.pairs.incomparable, found.pairs.added) == ([], [], [])
    (change,) = found.changes
    assert (change.protocol, change.comparison.runs) == ("recipe", 2)
    assert found.exit_code == ExitCode.OK


def test_a_comparison_says_that_the_test_part_selected_what_is_compared(make_trial):
    on_test = {"selection": {"on": "val"}, "split": {"validation": "test"}}
    trials = [make_trial(protocol_json=json.dumps(on_test))]
    text = comparisons_text(compared(trials, trials), "plain")
    assert "Caveats:\n\n- tiny@scratch on bands, fast: Checkpoint selected on the test" in text
    assert "Caveats" not in comparisons_text(compared([make_trial()], [make_trial()]), "plain")


@pytest.mark.slow
def test_more_rows_ask_for_more_evidence(make_trial):
    """Holm: a p of 3 % alone is none among ten rows that have not changed."""
    names = [f"net{i}" for i in range(10)]
    base = [make_trial(0.80, backbone=name) for name in names]
    head = [make_trial(0.80, backbone=name) for name in names]
    for change in range(5, 40):
        head[0] = make_trial(0.80 - change / 200, draw=0, backbone="net0")
        alone = compared(base[:1], head[:1]).changes[0].comparison
        if alone.p < 0.04:
            break
    assert 0.005 < alone.p < 0.05
    assert compared(base[:1], head[:1]).exit_code == ExitCode.GATE_FAILED
    among = compared(base, head)
    assert among.changes[0].comparison.p == pytest.approx(alone.p, rel=0.2)
    assert among.exit_code == ExitCode.OK


def test_an_unknown_metric_is_refused(make_trial):
    with pytest.raises(UnknownName, match="balanced_accuracy"):
        compared([make_trial()], [make_trial()], metrics=["balanced_acuracy"])


def test_the_text_says_first_what_the_gate_says(make_trial):
    worse = comparisons_text(compared([make_trial(0.9)], [make_trial(0.6, draw=1)]), "github")
    assert worse.startswith("**Significantly worse:** tiny@scratch (balanced accuracy).")
    assert "| tiny@scratch |" in worse
    assert "▼ worse" in worse
    other = {"dataset": "lines", "dataset_fingerprint": "e" * 64}
    two = compared(
        [make_trial(0.9), make_trial(0.9, **other)],
        [make_trial(0.6, draw=1), make_trial(0.9, **other)],
    )
    assert headline(two).startswith("**Significantly worse:** tiny@scratch on bands, fast (bal")
    equal = comparisons_text(compared([make_trial()], [make_trial()]), "plain")
    assert equal.startswith("No regression detected.\n")
    tolerated = compared(
        [make_trial(0.9)], [make_trial(0.7, draw=1)], rules=[Rule("balanced_accuracy", True, -0.3)]
    )
    assert headline(tolerated) == (
        "**No rule is broken.** Significantly worse, but by no rule: tiny@scratch (balanced "
        "accuracy)."
    )
    assert comparisons_as_data(tolerated)["worse"] == ["tiny@scratch: balanced_accuracy"]
    assert comparisons_as_data(tolerated)["regressions"] == []
    missing = comparisons_text(compared([make_trial()], []), "github")
    assert missing.startswith("**Nothing could be compared.**")
    assert "fold 0, seed 0 is missing in the head" in missing


def test_a_broken_rule_hides_no_row_that_is_worse_by_no_rule(make_trial):
    base = [make_trial(0.9), make_trial(0.9, backbone="other")]
    head = [make_trial(0.5, draw=1), make_trial(0.75, draw=1, backbone="other")]
    found = compared(base, head, rules=[Rule("balanced_accuracy", True, -0.2)])
    assert headline(found) == (
        "**Significantly worse:** tiny@scratch (balanced accuracy: balanced_accuracy < -0.2). "
        "Significantly worse, but by no rule: other (balanced accuracy)."
    )


def test_a_pass_says_if_something_could_not_be_compared(make_trial):
    lacking = compared([make_trial(), make_trial(seed=1)], [make_trial()])
    assert lacking.exit_code == ExitCode.UNAVAILABLE
    assert headline(lacking).startswith("**No regression detected in what could be tested.**")


def test_the_data_hold_what_the_text_holds(make_trial):
    found = compared([make_trial(0.9)], [make_trial(0.6, draw=1)])
    data = json.loads(json.dumps(comparisons_as_data(found)))
    (change,) = data["changes"]
    assert data["exit_code"] == 1
    assert data["regressions"] == ["tiny@scratch: balanced_accuracy"]
    assert change["verdict"] == "worse"
    assert math.isclose(change["difference"], change["head"] - change["base"])


@pytest.fixture
def of_ages(make_record):
    """A trial that predicts ages."""
    ages = make_record(dataset="ages", dataset_fingerprint="a" * 64, task=Regression(unit="years"))
    test = ages.predictions["test"]
    test.target, test.score = test.target.astype(float), test.score[:, 0].copy()
    ages.predictions = {"val": test, "test": test}
    return ages


def test_a_metric_without_a_direction_judges_nothing(of_ages):
    with pytest.raises(UsageError, match=r"bias has no direction.*give 'mritk compare' a rule"):
        compared([of_ages], [of_ages], metrics=["bias"])
    (change,) = compared([of_ages], [of_ages], rules=[Rule.from_text("bias > 0.5")]).changes
    assert change.verdict is Verdict.CANNOT_TELL


def test_a_dataset_whose_task_lacks_the_metric_is_no_pass(make_trial, of_ages):
    both = [make_trial(0.9), of_ages]
    with pytest.raises(UsageError, match="is no metric of regression, the task of ages"):
        compared(both, both, rules=[Rule.from_text("balanced_accuracy < -1pt")])


def test_a_rule_on_a_metric_that_no_dataset_has_is_no_pass(make_trial, of_ages):
    rules = [Rule.from_text(text) for text in ("balanced_accuracy < -1pt", "mae > 0.5")]
    found = compared([make_trial()], [make_trial()], rules=rules)
    assert found.exit_code == ExitCode.UNAVAILABLE
    assert "the task of no dataset of the base has:\n\n- mae" in comparisons_text(found, "plain")
    assert comparisons_as_data(found)["unused_metrics"] == ["mae"]
    both = [make_trial(), of_ages]
    assert compared(both, both, rules=rules).exit_code == ExitCode.OK


def test_a_metric_is_not_called_unused_because_trials_are_missing(make_trial, of_ages):
    rules = [Rule.from_text(text) for text in ("balanced_accuracy < -1pt", "mae > 0.5")]
    for head in ([], [make_trial()]):
        found = compared([make_trial(), of_ages], head, rules=rules)
        assert (found.exit_code, found.unused) == (ExitCode.UNAVAILABLE, [])
        assert len(found.pairs.missing) == 2 - len(head)
    assert compared([make_trial()], [], rules=rules).unused == ["mae"]
