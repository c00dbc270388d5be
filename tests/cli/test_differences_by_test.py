"""``mritk differences --test``: McNemar, DeLong, the corrected t test over folds, Bayes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from mritk import Regression
from mritk.evaluate.corrected_t import corrected_t
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Predictions
from tests.cli.paired_trials import GIVEN, as_json, folds, made_trial, record_of

# -- McNemar -------------------------------------------------------------------------------------


def test_mcnemar_is_that_of_statsmodels(mritk, three_rows):
    right = {}
    for trial in ResultsFolder(three_rows).trials():
        test = trial.predictions["test"]
        right[trial.backbone] = test.score.argmax(axis=1) == test.target
    (table,) = as_json(mritk, three_rows, "--test", "mcnemar")
    assert table["metric"] == "accuracy"
    for pair in table["pairs"]:
        one, other = right[pair["first"]], right[pair["second"]]
        cells = [[0, int((one & ~other).sum())], [int((~one & other).sum()), 0]]
        assert pair["p"] == pytest.approx(mcnemar(cells, exact=True).pvalue)
        assert pair["difference"] == pytest.approx(one.mean() - other.mean())


def test_mcnemar_refuses_several_images_of_a_patient_and_names_the_way_out(mritk, store):
    folder = store(made_trial("a", 0.9, images=3), made_trial("b", 0.6, images=3))
    ended = mritk("differences", folder, "--test", "mcnemar")
    assert ended.code == 2
    assert ended.out == ""
    assert len(ended.err.strip().splitlines()) == 1
    assert "240 test samples are of 80 patients" in ended.err
    assert "--level patient" in ended.err
    (table,) = as_json(mritk, folder, "--test", "mcnemar", "--level", "patient")
    assert table["pairs"][0]["verdict"] == "better"


@pytest.mark.slow
@pytest.mark.parametrize("test", ["mcnemar", "delong"])
def test_the_models_of_several_folds_are_tested_one_by_one(mritk, store, test):
    trials = [trial for name in "ab" for trial in folds(name, [0.9, 0.7], scheme="kfold")]
    ended = mritk("differences", store(*trials), "--test", test)
    assert ended.code == 2
    assert "2 folds are 2 models per row" in ended.err
    tables = as_json(mritk, store(), "--test", test, "--group-by", "fold")
    assert [table["fold"] for table in tables] == [0, 1]
    assert all(0 <= table["pairs"][0]["p"] <= 1 for table in tables)


@pytest.mark.slow
def test_bayes_takes_the_models_of_one_fold_as_they_are(mritk, store):
    shares = {"a": [0.9, 0.7], "b": [0.6, 0.8]}
    trials = [t for name, of in shares.items() for t in folds(name, of, scheme="kfold")]
    arguments = ("--test=bayes", "--group-by=fold", GIVEN)
    tables = as_json(mritk, store(*trials), *arguments)
    assert [table["fold"] for table in tables] == [0, 1]
    ended = mritk("differences", store(), "--test=corrected_t", "--group-by=fold")
    assert "it requires folds" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("test", ["mcnemar", "delong"])
def test_several_seeds_are_tested_one_by_one(mritk, store, test):
    trials = [made_trial(name, 0.8, draw=seed, seed=seed) for name in "ab" for seed in (0, 1)]
    ended = mritk("differences", store(*trials), "--test", test)
    assert ended.code == 2
    assert "there are several seeds; test each with --group-by seed" in ended.err
    tables = as_json(mritk, store(), "--test", test, "--group-by", "seed")
    assert [table["seed"] for table in tables] == [0, 1]


@pytest.mark.parametrize("test", ["mcnemar", "delong"])
def test_all_that_a_test_of_two_models_asks_for_is_named_at_once(mritk, store, test):
    trials = [made_trial(n, 0.8, draw=s, seed=s, images=3) for n in "ab" for s in (0, 1)]
    joined = " --level patient" if test == "mcnemar" else ""
    ended = mritk("differences", store(*trials), "--test", test)
    assert f"; test each with --group-by seed{joined}, or all by --test bootstrap" in ended.err
    assert ("240 test samples are of 80 patients" in ended.err) == bool(joined)
    tables = as_json(mritk, store(), "--test", test, *f"--group-by seed{joined}".split())
    assert [table["seed"] for table in tables] == [0, 1]


@pytest.mark.parametrize("seeds", [1, 2])
@pytest.mark.parametrize("why", ["copies link patients", "a patient has both classes"])
def test_patients_are_not_offered_as_samples_where_they_would_be_refused(mritk, store, seeds, why):
    trials = [made_trial(n, 0.8, draw=s, seed=s, images=3) for n in "ab" for s in range(seeds)]
    for trial in trials:
        test = trial.predictions["test"]
        if why == "copies link patients":
            test.unit[3:6] = test.unit[:3]
        else:
            test.target[0] = 1 - test.target[0]
    ended = mritk("differences", store(*trials), "--test", "mcnemar")
    assert ended.code == 2
    assert "--test bootstrap" in ended.err
    assert "--level patient" not in ended.err


@pytest.mark.slow
def test_seeds_of_folds_are_told_apart_by_both(mritk, store):
    trials = [
        trial
        for name in "ab"
        for seed in (0, 1)
        for trial in folds(name, [0.9, 0.7], scheme="kfold", seed=seed)
    ]
    ended = mritk("differences", store(*trials), "--test", "mcnemar")
    assert "there are several seeds, and 2 folds are 2 models per row" in ended.err
    assert "--group-by seed,fold, or all by --test corrected_t or --test bootstrap" in ended.err
    tables = as_json(mritk, store(), "--test", "mcnemar", "--group-by", "seed,fold")
    assert len(tables) == 4


def test_repeats_of_a_split_are_no_new_samples(mritk, store):
    split = json.dumps({"split": {"repeats": 2}})
    folder = store(*(t for n in "ab" for t in folds(n, [0.8, 0.7], protocol_json=split)))
    ended = mritk("differences", folder, "--test", "mcnemar")
    assert ended.code == 2
    assert "repeated splits" in ended.err


def test_trials_of_other_samples_are_not_paired(mritk, store):
    other = made_trial("b", 0.7)
    other.predictions["test"].id[0] = "another"
    ended = mritk("differences", store(made_trial("a", 0.8), other), "--test", "delong")
    assert ended.code == 2
    assert "tested on different samples" in ended.err


# -- DeLong --------------------------------------------------------------------------------------


def test_delong_of_two_classes_compares_one_area(mritk, three_rows):
    areas = {}
    for trial in ResultsFolder(three_rows).trials():
        test = trial.predictions["test"]
        areas[trial.backbone] = roc_auc_score(test.target, test.score[:, 1] - test.score[:, 0])
    (table,) = as_json(mritk, three_rows, "--test", "delong")
    for pair in table["pairs"]:
        expected = areas[pair["first"]] - areas[pair["second"]]
        assert pair["difference"] == pytest.approx(expected)
        assert pair["class"] is None


def test_delong_of_more_classes_compares_each_with_the_rest(mritk, store):
    folder = store(made_trial("a", 0.9, classes=3), made_trial("b", 0.5, classes=3))
    (table,) = as_json(mritk, folder, "--test", "delong")
    assert [pair["class"] for pair in table["pairs"]] == ["a", "b", "c"]
    assert "over 3 comparisons" in " ".join(table["notes"])
    p = [pair["p"] for pair in table["pairs"]]
    assert min(pair["p_adjusted"] for pair in table["pairs"]) == pytest.approx(3 * min(p))
    assert "| class " in mritk("differences", folder, "--test", "delong").out


def test_delong_takes_several_images_of_a_patient(mritk, store):
    folder = store(made_trial("a", 0.9, images=3), made_trial("b", 0.6, images=3))
    assert as_json(mritk, folder, "--test", "delong")[0]["pairs"][0]["verdict"] == "better"


# -- folds ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_corrected_t_is_over_folds_averaged_over_seeds(mritk, store):
    shares = {"a": [0.9, 0.85, 0.95, 0.9, 0.8], "b": [0.7, 0.6, 0.65, 0.75, 0.7]}
    trials = [t for n, s in shares.items() for seed in (0, 1) for t in folds(n, s, seed=seed)]
    for trial in trials:
        trial.scheme = "kfold"
    folder = store(*trials)
    right = {name: np.zeros(5) for name in "ab"}
    for trial in trials:
        test = trial.predictions["test"]
        hits = (test.score.argmax(axis=1) == test.target).mean()
        right[trial.backbone][trial.fold] += hits / 2
    expected = corrected_t(right["a"] - right["b"], 1 / 4)
    (table,) = as_json(mritk, folder, "--test", "corrected_t", "--metric", "accuracy")
    (pair,) = table["pairs"]
    assert pair["difference"] == pytest.approx(expected.difference)
    assert pair["p"] == pytest.approx(expected.p)
    assert pair["verdict"] == "better"


@pytest.mark.slow
def test_corrected_t_wants_folds_and_all_of_them(mritk, store, three_rows):
    ended = mritk("differences", three_rows, "--test", "corrected_t")
    assert ended.code == 2
    assert "it requires folds" in ended.err
    some = [trial for name in "ab" for trial in folds(name, [0.9, 0.8, 0.7], dataset="half")]
    ended = mritk("differences", store(*some[:-1]), "--test", "corrected_t")
    assert "both have 2 of 3 folds" in ended.err


# -- Bayes ---------------------------------------------------------------------------------------


def test_bayes_gives_three_probabilities(mritk, three_rows):
    (table,) = as_json(mritk, three_rows, "--test", "bayes", "--rope", "2pt")
    assert table["rope"] == 0.02
    for pair in table["pairs"]:
        assert sum(pair["probabilities"].values()) == pytest.approx(1)
        assert pair["p"] is None
    assert table["pairs"][0]["verdict"] == "better"
    text = mritk("differences", three_rows, "--test", "bayes", GIVEN).out
    assert "P(worse)" in text
    assert "within ±0.01" in text


def test_bayes_can_say_that_two_are_practically_equal(mritk, three_rows):
    (table,) = as_json(mritk, three_rows, "--test", "bayes", "--rope", "0.6")
    assert [pair["verdict"] for pair in table["pairs"]] == ["practically equal"] * 3


@pytest.mark.parametrize("test", ["bootstrap", "bayes"])
def test_one_run_per_row_is_not_tested(mritk, three_rows, test):
    ended = mritk("differences", three_rows, "--test", test)
    assert GIVEN in f"{ended.out}{ended.err}"
    assert "better" not in ended.out
    assert ended.code == (2 if test == "bayes" else 0)


@pytest.mark.slow
def test_bayes_over_folds_is_centred_on_the_mean_of_the_folds(mritk, store):
    trials = folds("a", [0.9, 0.8, 0.7], scheme="kfold") + folds("b", [0.6] * 3, scheme="kfold")
    (table,) = as_json(mritk, store(*trials), "--test", "bayes", "--metric", "accuracy")
    (pair,) = table["pairs"]
    assert pair["probabilities"]["better"] > 0.5
    assert pair["interval"]["resamples"] == 0


@pytest.mark.parametrize("test", ["corrected_t", "bayes"])
def test_a_group_of_few_folds_is_named_and_no_training_is_advised(mritk, store, test):
    trials = [trial for name in "ab" for trial in folds(name, [0.9, 0.7, 0.8], scheme="kfold")]
    for trial in trials:
        some = trial.predictions["test"]
        some.site[:] = [
            "small" if k < 40 and not trial.fold else "all" for k in range(len(some.id))
        ]
    asked = ("differences", store(*trials), f"--test={test}", "--metric=accuracy", "--by=site")
    told = mritk(*asked).err
    assert "bands, protocol fast, site small: " in told
    assert "both were tested on this group in 1 of 3 folds; use --test bootstrap" in told
    assert "mritk run" not in told
    assert "site all" not in told

    (store() / "trials" / f"{trials[0].id}.h5").unlink()
    assert "both have 2 of 3 folds; 'mritk run' trains the rest" in mritk(*asked[:3]).err


def test_an_error_in_years_has_no_usual_rope_and_none_in_points(mritk, store):
    def ages(name, offset):
        target = np.linspace(20, 80, 30)
        noise = offset * np.random.default_rng(0).normal(size=30)
        ids, none = [f"s{i}" for i in range(30)], [""] * 30
        test = Predictions(ids, ids, none, none, target, (target + noise).astype(np.float32))
        return record_of(test, name, Regression("years"))

    folder = store(ages("near", 1), ages("far", 4))
    ended = mritk("differences", folder, "--test", "bayes")
    assert ended.code == 2
    assert "MAE has no default region of practical equivalence; specify the" in ended.err
    ended = mritk("differences", folder, "--test", "bayes", "--rope", "1pt")
    assert ended.code == 2
    assert "MAE has no largest value, so it has no percentage points; spec" in ended.err
    (table,) = as_json(mritk, folder, "--test", "bayes", "--rope", "0.5")
    assert table["metric"] == "mae"
    assert (table["pairs"][0]["first"], table["pairs"][0]["verdict"]) == ("near", "better")
    assert mritk("differences", folder, "--test", "delong").code == 2
    assert "Temperature" not in mritk("differences", folder, "--temperature").out


@pytest.mark.parametrize("test", ["mcnemar", "delong"])
def test_scores_that_are_no_numbers_are_not_tested(mritk, store, test):
    broken = made_trial("b", 0.7)
    broken.predictions["test"].score[0, 0] = np.nan
    ended = mritk("differences", store(made_trial("a", 0.9), broken), "--test", test)
    assert ended.code == 2
    assert "some scores are NaN or infinite" in ended.err
