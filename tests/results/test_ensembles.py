"""Ensembles of stored predictions: rows made of other rows, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from mritk.errors import UsageError
from mritk.evaluate.evidence import ONE_ENSEMBLE
from mritk.protocol.evaluation import evaluation_fingerprint
from mritk.results.footnotes import footnotes
from mritk.results.formats import as_data, format_leaderboard
from mritk.results.leaderboard import build_leaderboard
from tests.results.mixed_rows import QUICK, SEEDS, row_of, table_of, trials


@pytest.mark.slow
def test_seeds_are_one_row_with_the_mean_of_their_probabilities(make_record):
    records = trials(make_record)
    table = table_of(records, "seeds")
    assert {row.name for row in table.rows if row.derived} == {
        "strong ×4 seeds", "weak ×4 seeds", "lost ×4 seeds"
    }  # fmt: skip
    tests = [record.predictions["test"] for record in records if record.backbone == "strong"]
    mean = np.mean([softmax(test.score.astype(np.float64), axis=1) for test in tests], axis=0)
    (mixed,) = table.records["strong ×4 seeds"]
    assert np.abs(np.exp(mixed.predictions["test"].score) - mean).max() < 1e-12
    row = row_of(table, "strong ×4 seeds")
    expected = balanced_accuracy_score(tests[0].target, mean.argmax(axis=1))
    assert row.cells["balanced_accuracy"].mean == pytest.approx(expected, abs=1e-12)
    assert row.cells["balanced_accuracy"].ends is not None
    assert row.cells["balanced_accuracy"].mean > row_of(table, "strong").cells[
        "balanced_accuracy"
    ].mean  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["seeds", "backbones", "greedy"])
def test_what_is_said_of_trained_rows_stays_but_for_their_number(make_record, kind):
    records = trials(make_record)
    alone, beside = table_of(records), table_of(records, kind)
    for row in alone.rows:
        with_ensembles = row_of(beside, row.name)
        assert with_ensembles.cells == row.cells
        assert (with_ensembles.cost, with_ensembles.marks) == (row.cost, row.marks)
    pairs = {(c.first, c.second): c for c in beside.comparisons["balanced_accuracy"]}
    for before in alone.comparisons["balanced_accuracy"]:
        after = pairs[before.first, before.second]
        assert (after.difference, after.interval, after.p) == (
            before.difference, before.interval, before.p
        )  # fmt: skip
        assert after.p_adjusted >= before.p_adjusted
    assert beside.verdict == alone.verdict
    assert (beside.test_samples, beside.warnings) == (alone.test_samples, alone.warnings)


@pytest.mark.slow
def test_an_ensemble_of_seeds_is_one_run_that_is_tested_by_the_spread_of_the_others(make_record):
    table = table_of(trials(make_record), "seeds")
    pairs = {(c.first, c.second): c for c in table.comparisons["balanced_accuracy"]}
    scores = {row.name: row.cells["balanced_accuracy"].mean for row in table.rows}
    for (first, second), pair in pairs.items():
        assert pair.difference == pytest.approx(scores[first] - scores[second], abs=1e-9)
        assert pair.tested
        assert pair.runs == (1 if "×" in first + second else SEEDS)
    # One run has the whole variance of a run, where the mean of four has a quarter of it.
    errors = {names: pair.interval.standard_error for names, pair in pairs.items()}
    single = next(v for k, v in errors.items() if set(k) == {"strong", "weak"})
    of_one = next(v for k, v in errors.items() if set(k) == {"strong ×4 seeds", "weak"})
    assert of_one > single


def test_without_other_rows_it_is_not_tested_unless_models_are_taken_as_they_are(make_record):
    records = trials(make_record, names=("strong",))
    table = table_of(records, "seeds")
    (pair,) = table.comparisons["balanced_accuracy"]
    assert not pair.tested
    assert pair.reason == ONE_ENSEMBLE
    assert any(ONE_ENSEMBLE in note for note in footnotes(table))
    (pair,) = table_of(records, "seeds", given_these_models=True).comparisons["balanced_accuracy"]
    assert pair.tested
    scores = {row.name: row.cells["balanced_accuracy"].mean for row in table.rows}
    expected = scores[pair.first] - scores[pair.second]
    assert pair.difference == pytest.approx(expected, abs=1e-9)


@pytest.mark.slow
def test_its_cost_is_that_of_its_members_together(make_record):
    table = table_of(trials(make_record), "seeds", "backbones")
    seeds, rows = row_of(table, "weak ×4 seeds"), row_of(table, "ensemble of 3 rows")
    assert seeds.cost["hours"] == pytest.approx(4)
    assert (seeds.cost["parameters"], seeds.cost["memory"]) == (8.0, 1.0)
    assert seeds.cost["speed"] == pytest.approx(25)
    assert (rows.cost["parameters"], rows.cost["hours"]) == (6.0, 3.0 * SEEDS)


@pytest.mark.slow
def test_rows_are_mixed_seed_by_seed_and_named(make_record):
    table = table_of(trials(make_record), "backbones")
    assert row_of(table, "ensemble of 3 rows").seeds == tuple(range(SEEDS))
    assert any("mean prediction of lost, strong, weak, seed by seed" in n for n in footnotes(table))


def scrambled(records):
    """Return the trials with other test labels."""
    found = []
    for record in records:
        test = record.predictions["test"]
        other = replace(test, target=np.random.default_rng(7).permutation(test.target))
        found.append(replace(record, predictions=record.predictions | {"test": other}))
    return found


@pytest.mark.slow
def test_greedy_members_are_chosen_without_test_labels(make_record):
    records = trials(make_record)
    chosen = [
        next(n for n in footnotes(table_of(of, "greedy")) if n.startswith("greedy ensemble"))
        for of in (records, scrambled(records))
    ]
    assert chosen[0] == chosen[1]
    assert chosen[0].startswith(
        "greedy ensemble: selected by the loss on the validation set (mean weights over 4 trials): "
        "strong 0."
    )
    table = table_of(records, "greedy")
    assert row_of(table, "greedy ensemble").seeds == tuple(range(SEEDS))
    before, after = (
        [r.predictions["test"].score for r in table_of(of, "greedy").records["greedy ensemble"]]
        for of in (records, scrambled(records))
    )
    assert np.array_equal(before, after)


def test_greedy_is_one_row_whichever_recipes_are_chosen_for_a_seed(make_record):
    records = trials(make_record, names=("strong",))
    records += trials(
        make_record, names=("lost",), fingerprint="e" * 64, protocol="probe", augmentation="flip"
    )
    for record in records:  # for seed 1 the other one is better, on validation samples
        if record.seed == 1:
            val = record.predictions["val"]
            skill = {"strong": -3.0, "lost": 3.0}[record.backbone]
            score = (val.score + skill * np.eye(3)[val.target]).astype(np.float32)
            record.predictions["val"] = replace(val, score=score)
    table = table_of(records, "greedy")
    (row,) = (row for row in table.rows if row.derived)
    assert row.seeds == tuple(range(SEEDS))
    assert row.keys["protocol"] == "fast + probe"
    assert row.keys["augmentation"] == "mixed"


@pytest.mark.slow
def test_greedy_is_refused_where_validation_is_the_test_set(make_record):
    text = json.dumps({"image_size": 32, "split": {"validation": "test"}})
    with pytest.raises(UsageError, match="the validation set is the test set, which must not"):
        table_of(trials(make_record, protocol_json=text), "greedy")


def test_an_ensemble_bears_the_marks_of_its_members(make_record):
    plain = json.dumps({"image_size": 32, "split": {}})
    text = json.dumps({"image_size": 32, "split": {"validation": "test"}})
    records = trials(make_record, names=("weak",), protocol_json=plain)
    records += trials(
        make_record, names=("strong",), protocol_json=text, fingerprint="e" * 64, protocol="peeking"
    )
    table = table_of(records, "backbones")
    assert row_of(table, "ensemble of 2 rows, fast + peeking").marks == "§"
    assert row_of(table, "weak, fast").marks == ""


def test_an_ensemble_of_two_recipes_has_what_they_share_and_their_evaluation(make_record):
    first = {"method": "finetune", "image_size": 32, "split": {"scheme": "holdout", "seed": 1}}
    second = first | {"method": "probe", "image_size": 64}
    records = trials(make_record, names=("weak",), protocol_json=json.dumps(first))
    records += trials(
        make_record, names=("strong",), protocol_json=json.dumps(second), fingerprint="e" * 64,
        protocol="probe", method="probe",
    )  # fmt: skip
    table = table_of(records, "backbones")
    (mixed,) = {r.protocol_json for r in table.records["ensemble of 2 rows, fast + probe"]}
    assert json.loads(mixed) == {"split": {"scheme": "holdout", "seed": 1}}
    assert evaluation_fingerprint(mixed) == evaluation_fingerprint(json.dumps(first))
    assert row_of(table, "ensemble of 2 rows, fast + probe").keys["method"] == "mixed"


@pytest.mark.slow
@pytest.mark.parametrize("style", ["github", "plain", "latex", "html", "csv", "json"])
def test_every_format_shows_ensembles_as_rows(make_record, style):
    analysis = replace(QUICK, ensembles=("seeds",))
    board = build_leaderboard(trials(make_record), analysis=analysis)
    assert "strong" in format_leaderboard(board, style)
    assert "4 seeds" in format_leaderboard(board, style)


@pytest.mark.slow
def test_data_hold_the_seed_of_all_seeds_and_the_notes(make_record):
    analysis = replace(QUICK, ensembles=("seeds",))
    (table,) = as_data(build_leaderboard(trials(make_record), analysis=analysis))["tables"]
    row = next(row for row in table["rows"] if row["backbone"] == "weak ×4 seeds")
    assert row["seeds"] == [-1]
    assert [r["name"] for r in table["rows"] if r["ensemble"]] == [
        r["name"] for r in table["rows"] if "×" in r["name"]
    ]
    assert any(note.startswith("× seeds: ") for note in table["notes"])
