"""The gate asks for evidence: seeds, folds and protocols are paired, and one seed shows little."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.compare.gate_text import comparisons_as_data, comparisons_text
from mritk.compare.rule import Rule
from mritk.errors import ExitCode
from mritk.evaluate.comparison import Verdict
from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.store.trial_file import Predictions
from mritk.tasks.classification import Classification
from mritk.tasks.unlabelled import Unlabelled
from tests.compare.test_gate import compared, verdicts

WITH_RETRAINING = Analysis(resamples=500)


def trials_of(make_record, right, *, targets, folds=1, seeds=1):
    """Trials of a row that is right on this share of patients, in folds that are dealt in turn."""
    found = []
    classes = int(max(targets)) + 1
    fold_of = np.arange(len(targets)) // classes % folds
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        hit = rng.random(len(targets)) < right
        shown = np.where(hit, targets, (targets + 1) % classes)
        for fold in range(folds):
            some = np.flatnonzero(fold_of == fold)
            names = [f"s{i}" for i in some]
            none = [""] * len(some)
            score = 3 * np.eye(classes, dtype=np.float32)[shown[some]]
            test = Predictions(names, names, none, none, targets[some], score)
            found.append(
                make_record(
                    predictions={"val": test, "test": test},
                    task=Classification(tuple("abcd"[:classes])),
                    fold=fold,
                    folds=folds,
                    seed=seed,
                    scheme="kfold" if folds > 1 else "official",
                )
            )
    return found


COHORT = np.arange(48) % 4
LONE = np.r_[np.arange(60) % 3, 3]  # one patient of the last class


@pytest.mark.parametrize("rules", [(), (Rule("balanced_accuracy", True, -0.01),)])
@pytest.mark.parametrize(
    ("targets", "folds", "seeds"), [(COHORT, 5, 1), (COHORT, 5, 2), (LONE, 1, 3)]
)
def test_a_total_collapse_fails(make_record, rules, targets, folds, seeds):
    base, head = (
        trials_of(make_record, right, targets=targets, folds=folds, seeds=seeds)
        for right in (0.8, 0.0)
    )
    found = compared(base, head, rules=rules, analysis=WITH_RETRAINING)
    assert found.exit_code == ExitCode.GATE_FAILED
    assert "Significantly worse" in comparisons_text(found, "plain")


def test_a_collapse_of_one_seed_that_cannot_be_tested_is_no_pass(make_record):
    """One training before and one after: another seed might have collapsed before."""
    base, head = (trials_of(make_record, right, targets=LONE) for right in (0.95, 0.0))
    found = compared(base, head, analysis=WITH_RETRAINING)
    assert found.exit_code == ExitCode.UNAVAILABLE
    text = comparisons_text(found, "plain")
    assert text.startswith("Nothing could be tested. ")
    assert "cannot tell (not tested)" in text
    assert "--given-these-models" in text
    assert comparisons_as_data(found)["not_tested"] == ["tiny@scratch: balanced_accuracy"]
    given = compared(base, head)
    assert given.exit_code == ExitCode.GATE_FAILED


def test_one_seed_is_no_evidence_of_a_rise_either(make_trial):
    found = compared([make_trial(0.6)], [make_trial(0.9, draw=1)], analysis=WITH_RETRAINING)
    assert verdicts(found) == {"tiny@scratch": Verdict.CANNOT_TELL}
    assert found.exit_code == ExitCode.UNAVAILABLE


def test_one_seed_of_equal_predictions_passes(make_trial):
    found = compared([make_trial()], [make_trial()], analysis=WITH_RETRAINING)
    assert found.exit_code == ExitCode.OK


def test_a_seed_that_lacks_folds_on_both_sides_is_named_and_left_out_as_on_a_leaderboard(
    make_record,
):
    """As on a leaderboard: there is one mean of a row, whichever command prints it."""

    def lacking(right):
        trials = trials_of(make_record, right, targets=COHORT, folds=5, seeds=2)
        return [trial for trial in trials if (trial.seed, trial.fold) not in ((1, 2), (1, 4))]

    base, head = lacking(0.8), lacking(0.75)
    found = compared(base, head, analysis=WITH_RETRAINING)
    (change,) = found.changes
    for trials, mean in ((base, change.base), (head, change.head)):
        (row,) = build_leaderboard(trials).tables[0].rows
        assert mean == pytest.approx(row.cells["balanced_accuracy"].mean)
    assert change.comparison.runs == 1
    assert found.exit_code == ExitCode.UNAVAILABLE
    text = comparisons_text(found, "plain")
    assert "tiny@scratch on bands, fast: seed 1 lacks folds 2, 4, and is excluded" in text


def test_several_protocols_of_one_backbone_are_paired_with_their_own(make_trial):
    """Each row is paired with that of its recipe; what one folder lacks is named with its."""

    def trial(protocol, right=0.8, draw=0):
        return make_trial(right, draw=draw, protocol=protocol, fingerprint=protocol[0] * 64)

    base = [trial("lpft", 0.9), trial("probe", 0.6, draw=1), trial("quick")]
    head = [trial("probe", 0.6, draw=1), trial("lpft", 0.6, draw=1), trial("standard")]
    found = compared(base, head)
    assert {change.protocol: change.verdict for change in found.changes} == {
        "lpft": Verdict.WORSE,
        "probe": Verdict.CANNOT_TELL,
    }
    assert found.pairs.missing == [
        "tiny@scratch on bands, quick, fold 0, seed 0 is missing in the head"
    ]
    assert found.pairs.added == ["tiny@scratch on bands, standard"]
    text = comparisons_text(found, "plain")
    assert all(name in text for name in ("lpft", "probe", "quick", "standard"))


def test_what_learned_from_unlabelled_data_is_named_and_not_compared(make_record):
    pretrained = make_record(task=Unlabelled(), predictions={}, backbone="mae@scratch")
    found = compared([pretrained, make_record()], [pretrained, make_record()])
    assert found.pairs.unscored == ["mae@scratch on bands, fast"]
    assert not found.pairs.missing
    text = comparisons_text(found, "github")
    assert "Not compared, without scores (unlabelled data):\n\n- mae@scratch" in text
