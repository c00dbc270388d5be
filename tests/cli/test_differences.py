"""``mritk differences``: all pairs of rows, by the bootstrap or by a test that the data allow."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar

from mritk import Classification, Regression, Segmentation
from mritk.evaluate.corrected_t import corrected_t
from mritk.method import Epoch
from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Predictions, TrialRecord

PATIENTS = 80


def made_trial(backbone, right, *, draw=0, images=1, classes=2, patients=True, **columns):
    """Make a trial that scores this share of its images right."""
    rng = np.random.default_rng([draw, round(1000 * right)])
    target = np.repeat(np.arange(PATIENTS) % classes, images)
    hit = rng.random(len(target)) < right
    predicted = np.where(hit, target, (target + 1) % classes)
    score = 2 * np.eye(classes)[predicted] + 0.5 * rng.normal(size=(len(target), classes))
    owner = [f"p{number}" for number in np.repeat(np.arange(PATIENTS), images)]
    none = [""] * len(target)
    fold = columns.get("fold", 0)
    test = Predictions(
        [f"s{fold}-{number}" for number in range(len(target))],
        [f"{fold}-{name}" for name in owner] if patients else none,
        none,
        none,
        target,
        score.astype(np.float32),
    )
    return record_of(test, backbone, Classification(tuple("abcdef"[:classes])), **columns)


def record_of(test, backbone, task, **columns):
    known = {
        "dataset": "bands",
        "dataset_fingerprint": "d" * 64,
        "protocol": "fast",
        "fingerprint": "f" * 64,
        "protocol_json": "{}",
        "scheme": "holdout",
        "folds": 1,
        "fold": 0,
        "seed": 0,
        **columns,
    }
    name = "-".join(str(known[key]) for key in ("dataset", "fold", "seed"))
    parts = {"train": ["t"] * 3 * len(test.id), "val": ["v"] * len(test.id), "test": test.id}
    return TrialRecord(
        id=hashlib.sha256(f"{backbone}-{name}".encode()).hexdigest()[:20],
        backbone=backbone,
        augmentation="none",
        method="finetune",
        task=task,
        grouped=any(test.patient),
        status="finished",
        splits=parts,
        history=[Epoch(1, 2, "head", 1e-3, 0.7, 0.6, -0.6, 1.5)],
        predictions={"val": test, "test": test},
        **known,
    )


@pytest.fixture
def store(tmp_path):
    """Write trials into a results folder and return its path."""

    def write(*trials):
        folder = ResultsFolder(tmp_path / "results")
        for trial in trials:
            folder.write(trial)
        return folder.path

    return write


@pytest.fixture
def three_rows(store):
    return store(made_trial("best", 0.95), made_trial("middle", 0.76), made_trial("worst", 0.66))


# The rows have one run each.
GIVEN = "--given-these-models"


def as_json(mritk, *arguments):
    ended = mritk("differences", *arguments, GIVEN, "--json")
    assert ended.code == 0, ended.err
    return json.loads(ended.out)["tables"]


def folds(backbone, shares, *, seed=0, **columns):
    return [
        made_trial(backbone, right, fold=fold, seed=seed, folds=len(shares), draw=seed, **columns)
        for fold, right in enumerate(shares)
    ]


# -- the bootstrap -------------------------------------------------------------------------------


def test_all_pairs_best_first_with_interval_p_holm_and_verdict(mritk, three_rows):
    ended = mritk("differences", three_rows, GIVEN)
    assert ended.code == 0, ended.err
    lines = [line for line in ended.out.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["first", "second", "difference", "p", "p (Holm)", "verdict"]
    assert [(row[0], row[1], row[5]) for row in cells[1:]] == [
        ("best", "middle", "better"),
        ("best", "worst", "better"),
        ("middle", "worst", "cannot tell"),
    ]
    assert "[" in cells[1][2]
    assert "Paired clustered bootstrap: difference in balanced accuracy ↑" in ended.out
    assert "Holm correction over 3 comparisons, 5 %." in ended.out


def test_the_numbers_are_those_of_the_leaderboard(mritk, three_rows):
    given = Analysis(given_these_models=True)
    trials = ResultsFolder(three_rows).trials()
    (table,) = build_leaderboard(trials, metrics=["mcc"], analysis=given).tables
    (found,) = as_json(mritk, three_rows, "--metric", "mcc")
    for pair, comparison in zip(found["pairs"], table.comparisons["mcc"], strict=True):
        assert pair["difference"] == comparison.difference
        assert pair["p_adjusted"] == comparison.p_adjusted
        assert pair["interval"]["low"] == comparison.interval.low


def test_a_baseline_leaves_the_pairs_with_it_and_corrects_over_these(mritk, three_rows):
    (every,) = as_json(mritk, three_rows)
    (found,) = as_json(mritk, three_rows, "--baseline", "midd")
    assert [(p["first"], p["second"]) for p in found["pairs"]] == [
        ("best", "middle"),
        ("worst", "middle"),
    ]
    pairs = {(p["first"], p["second"]): p for p in every["pairs"]}
    worst, mirrored = found["pairs"][1], pairs["middle", "worst"]
    assert worst["difference"] == -mirrored["difference"]
    assert worst["interval"]["low"] == -mirrored["interval"]["high"]
    assert worst["p"] == mirrored["p"]
    # Holm over two comparisons instead of three: the larger p is left as it is.
    assert worst["p_adjusted"] == worst["p"]
    assert found["pairs"][0]["p_adjusted"] == 2 * pairs["best", "middle"]["p"]


def test_a_bayesian_comparison_with_a_baseline_is_mirrored_too(mritk, three_rows):
    every, found = (
        as_json(mritk, three_rows, "--test", "bayes", *options)[0]["pairs"]
        for options in ((), ("--baseline", "best"))
    )
    assert found[0]["probabilities"]["worse"] == every[0]["probabilities"]["better"]
    assert found[0]["verdict"] == "worse"


def test_a_baseline_that_is_no_row_or_several_is_refused_with_their_names(mritk, three_rows):
    for text, count in (("nobody", "no"), ("t", "2")):
        ended = mritk("differences", three_rows, GIVEN, "--baseline", text)
        assert ended.code == 2
        assert f"{count} rows contain '{text}'; name one of: best; middle; worst" in ended.err


def test_only_trials_of_a_protocol_are_compared(mritk, store):
    named = [("quick[a=1]", 0.95), ("quick[a=2]", 0.7), ("other", 0.6)]
    results = store(
        *(
            made_trial(f"net{n}", right, protocol=name, fingerprint=str(n) * 64)
            for n, (name, right) in enumerate(named)
        )
    )
    (found,) = as_json(mritk, results, "--protocol", "quick[*")
    assert [(p["first"], p["second"]) for p in found["pairs"]] == [
        ("net0, quick[a=1]", "net1, quick[a=2]")
    ]
    ended = mritk("differences", results, "--protocol", "quick")
    assert (ended.code, ended.err.strip()) == (5, f"mritk: no trials of quick in {results}")


def test_a_row_without_a_rank_is_compared_and_said_to_have_none(mritk, store):
    text = '{"split": {"validation": "test"}}'
    peeking = made_trial("peeking", 0.95, protocol="p", fingerprint="e" * 64, protocol_json=text)
    fair = made_trial("fair", 0.6, protocol_json='{"split": {}}')
    ended = mritk("differences", store(peeking, fair), GIVEN)
    assert ended.code == 0, ended.err
    assert "Not ranked, because the test set helped to make it: peeking, p." in ended.out
    assert any("peeking, p" in line and "fair, fast" in line for line in ended.out.splitlines())


@pytest.mark.slow
def test_formats(mritk, three_rows):
    ended = mritk("differences", three_rows, GIVEN, "--format=csv")
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    (table,) = as_json(mritk, three_rows)
    assert [float(row["p"]) for row in rows] == [pair["p"] for pair in table["pairs"]]
    assert rows[0]["dataset"] == "bands"
    assert rows[0]["verdict"] == "better"
    plain = mritk("differences", three_rows, "--format", "plain").out
    assert "best    middle" in plain
    assert "|" not in plain


def test_a_name_cannot_break_the_table(mritk, store):
    folder = store(made_trial("a|b<i>", 0.9), made_trial("c", 0.6))
    assert r"a\|b&lt;i&gt;" in mritk("differences", folder).out


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


@pytest.mark.parametrize("test", ["mcnemar", "delong"])
def test_several_seeds_are_tested_one_by_one(mritk, store, test):
    trials = [made_trial(name, 0.8, draw=seed, seed=seed) for name in "ab" for seed in (0, 1)]
    ended = mritk("differences", store(*trials), "--test", test)
    assert ended.code == 2
    assert "there are several seeds; test each with --group-by seed" in ended.err
    tables = as_json(mritk, store(), "--test", test, "--group-by", "seed")
    assert [table["seed"] for table in tables] == [0, 1]


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


def test_bayes_over_folds_is_centred_on_the_mean_of_the_folds(mritk, store):
    trials = folds("a", [0.9, 0.8, 0.7], scheme="kfold") + folds("b", [0.6] * 3, scheme="kfold")
    (table,) = as_json(mritk, store(*trials), "--test", "bayes", "--metric", "accuracy")
    (pair,) = table["pairs"]
    assert pair["probabilities"]["better"] > 0.5
    assert pair["interval"]["resamples"] == 0


def test_an_error_in_years_has_no_usual_rope(mritk, store):
    def ages(name, offset):
        target = np.linspace(20, 80, 30)
        noise = offset * np.random.default_rng(0).normal(size=30)
        ids, none = [f"s{i}" for i in range(30)], [""] * 30
        test = Predictions(ids, ids, none, none, target, (target + noise).astype(np.float32))
        return record_of(test, name, Regression("years"))

    folder = store(ages("near", 1), ages("far", 4))
    ended = mritk("differences", folder, "--test", "bayes")
    assert ended.code == 2
    assert "--rope" in ended.err
    (table,) = as_json(mritk, folder, "--test", "bayes", "--rope", "0.5")
    assert table["metric"] == "mae"
    assert (table["pairs"][0]["first"], table["pairs"][0]["verdict"]) == ("near", "better")
    assert mritk("differences", folder, "--test", "delong").code == 2


# -- over datasets -------------------------------------------------------------------------------


@pytest.fixture
def six_datasets(store):
    shares = {"best": 0.9, "middle": 0.75, "worst": 0.6}
    return store(
        *(
            made_trial(name, right, dataset=f"set{d}", dataset_fingerprint=str(d) * 64, draw=d)
            for d in range(6)
            for name, right in shares.items()
        )
    )


@pytest.mark.slow
def test_across_datasets_ranks_rows_and_tests_them_by_friedman_and_nemenyi(mritk, six_datasets):
    (found,) = as_json(mritk, six_datasets, "--across", "datasets")
    assert found["ranks"] == {"best": 1, "middle": 2, "worst": 3}
    assert found["chi_squared"] == pytest.approx(12)
    assert len(found["datasets"]) == 6
    verdicts = {(p["first"], p["second"]): p["verdict"] for p in found["pairs"]}
    assert verdicts["best", "worst"] == "better"
    assert verdicts["best", "middle"] == "cannot tell"
    text = mritk("differences", six_datasets, "--across", "datasets").out
    assert "Friedman's test: χ² = 12.00" in text
    assert "Iman–Davenport F = inf (p < 0.001)" in text
    assert "Critical difference" in text
    assert "p (Nemenyi)" in text


@pytest.mark.slow
def test_across_datasets_by_bayes(mritk, six_datasets):
    (found,) = as_json(mritk, six_datasets, "--across", "datasets", "--test", "bayes")
    assert found["pairs"][0]["probabilities"]["better"] > 0.95
    assert found["rope"] == 0.01
    lines = mritk(
        "differences", six_datasets, "--across=datasets", "--test=bayes", "--format=csv"
    ).out.splitlines()
    assert lines[1].startswith('"set0, set1')


@pytest.mark.slow
def test_a_row_that_a_dataset_lacks_is_left_out_and_named(mritk, six_datasets, store):
    store(made_trial("new", 0.9, dataset="set0", dataset_fingerprint="0" * 64))
    (found,) = as_json(mritk, six_datasets, "--across", "datasets")
    assert found["left_out"] == ["new"]
    assert "new" not in found["ranks"]


def test_too_few_datasets_or_two_versions_of_one_are_refused(mritk, three_rows, store):
    ended = mritk("differences", three_rows, "--across", "datasets")
    assert ended.code == 2
    assert "requires at least 5; there are 1" in ended.err
    store(made_trial("best", 0.9, dataset_fingerprint="e" * 64, seed=7))
    assert "several tables of bands" in mritk("differences", three_rows, "--across=datasets").err


def test_by_class_a_difference_is_that_of_recalls(mritk, three_rows):
    by_class = ("--by", "class", "--baseline", "worst", GIVEN)
    ended = mritk("differences", three_rows, *by_class)
    assert ended.code == 2
    assert "a mean over classes, but --by class divides samples by class" in ended.err
    tables = as_json(mritk, three_rows, *by_class, "--metric", "accuracy")
    recalls = {}
    for record in ResultsFolder(three_rows).trials():
        test = record.predictions["test"]
        hit = test.score.argmax(axis=1) == test.target
        recalls[record.backbone] = [hit[test.target == k].mean() for k in range(2)]
    for k, table in enumerate(tables):
        assert table["class"] == "ab"[k]
        found = {pair["first"]: pair["difference"] for pair in table["pairs"]}
        expected = {n: r[k] - recalls["worst"][k] for n, r in recalls.items() if n != "worst"}
        assert found == pytest.approx(expected)
    told = (*by_class, "--metric=accuracy", "--format=csv")
    lines = csv.DictReader(io.StringIO(mritk("differences", three_rows, *told).out))
    assert [line["table"] for line in lines] == ["class a", "class a", "class b", "class b"]


@pytest.mark.parametrize(("absent", "code"), [([2], 0), ([3], 2)])
def test_distances_of_other_cases_are_not_ranked_across_datasets(mritk, store, absent, code):
    task, none = Segmentation(("background", "tumour")), [""] * 6

    def of_cases(row, dataset, lost):
        score = np.random.default_rng(dataset).uniform(row + 1, 9, (6, 2))
        score[lost] = 0.0, np.nan
        ids = [f"case {number}" for number in range(6)]
        test = Predictions(ids, ids, none, none, np.zeros(6), score, cases=task.columns)
        named = {"dataset": f"set{dataset}", "dataset_fingerprint": str(dataset) * 64}
        return record_of(test, f"net{row}", task, **named)

    lost = {(2, 4): absent}  # of one row on one dataset; as many as the others lack there
    folder = store(
        *(of_cases(row, d, lost.get((row, d), [2])) for row in range(3) for d in range(5))
    )
    ended = mritk("differences", folder, "--across", "datasets", "--metric", "hd95")
    assert ended.code == code
    if code:
        assert "set4, net0 and net2: HD95 (mm) leaves out 2 cases of one row only" in ended.err
        assert mritk("differences", folder, "--across", "datasets", "--metric", "dice").code == 0


# -- misuse --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--across", "datasets", "--test", "mcnemar"], "is not a test across datasets"),
        (["--across", "datasets", "--baseline", "best"], "over all pairs; remove --baseline"),
        (["--rope", "1pt"], "--rope requires --test bayes"),
        (["--test", "bayes", "--rope", "wide"], "use 0.01, or 1pt"),
        (["--test", "bayes", "--rope", "-1pt"], "use 0.01, or 1pt"),
        (["--test", "mcnemar", "--metric", "mcc"], "remove --metric mcc"),
        (["--interval", "none"], "--interval none allows no test"),
        (["--metric", "acuracy"], "did you mean accuracy"),
    ],
)
def test_options_that_do_not_go_together(mritk, three_rows, arguments, said):
    ended = mritk("differences", three_rows, *arguments)
    assert ended.code == 2
    assert said in ended.err


def test_one_row_has_no_pairs(mritk, store):
    ended = mritk("differences", store(made_trial("a", 0.9)))
    assert ended.code == 2
    assert "fewer than two rows" in ended.err


def test_an_empty_folder_and_none(mritk, tmp_path):
    (tmp_path / "empty").mkdir()
    assert mritk("differences", tmp_path / "empty").code == 5
    assert "no results folder" in mritk("differences", tmp_path / "none").err


def test_data_without_patients_are_said_to_be_too_sure(mritk, store):
    folder = store(made_trial("a", 0.9, patients=False), made_trial("b", 0.6, patients=False))
    assert "p may be too small" in mritk("differences", folder, "--test", "mcnemar").out


@pytest.mark.slow
def test_it_takes_the_results_of_a_real_run(mritk, run_toy, tmp_path):
    assert run_toy("-b", "small_cnn").code == 0
    (table,) = as_json(mritk, tmp_path / "results")
    (pair,) = table["pairs"]
    assert {pair["first"], pair["second"]} == {"tiny@scratch", "small_cnn@scratch"}
    assert math.isfinite(pair["difference"])
    ended = mritk("differences", tmp_path / "results", "--test=mcnemar", "--group-by=seed")
    assert ended.code == 2
    assert "patients (or duplicate groups) and not independent" in ended.err


@pytest.mark.slow
def test_it_starts_without_torch(three_rows):
    code = (
        "import sys; from mritk.cli.main import main\n"
        f"code = main(['differences', {str(three_rows)!r}, '--test', 'delong'])\n"
        "sys.exit(9 if 'torch' in sys.modules else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
