"""``mritk differences --across datasets``: ranks by Friedman and Nemenyi, and Bayes."""

from __future__ import annotations

import numpy as np
import pytest

from mritk import Segmentation
from mritk.store.trial_file import Predictions
from tests.cli.paired_trials import as_json, made_trial, record_of


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
    of_group = mritk(
        "differences", three_rows, "--across=datasets", "--by=class", "--metric=accuracy"
    )
    assert "protocol fast, class a: " in of_group.err


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize(("lost", "left_out"), [(range(4), []), ({1}, ["net1"])])
def test_a_row_without_values_in_a_fold_in_which_others_have_some_is_left_out(
    mritk, store, lost, left_out
):
    task, none = Segmentation(("background", "tumour")), [""] * 6

    def of_fold(row, dataset, fold):
        score = np.random.default_rng([row, dataset]).uniform(0.5, 0.9, (6, 2)) - row / 10
        if row in lost and (dataset, fold) == (4, 1):
            score[:] = np.nan
        ids = [f"case {fold} {number}" for number in range(6)]
        test = Predictions(ids, ids, none, none, np.zeros(6), score, cases=task.columns)
        named = {"dataset": f"set{dataset}", "dataset_fingerprint": str(dataset) * 64}
        return record_of(test, f"net{row}", task, fold=fold, folds=2, scheme="kfold", **named)

    rows = ((row, d, fold) for row in range(4) for d in range(5) for fold in range(2))
    folder = store(*(of_fold(*one) for one in rows))
    (found,) = as_json(mritk, folder, "--across", "datasets", "--metric", "dice")
    assert found["left_out"] == left_out
    assert len(found["ranks"]) == 4 - len(left_out)


@pytest.mark.slow
def test_one_name_for_two_augmentations_is_no_row(mritk, store):
    trials = [
        made_trial(name, right, dataset=f"set{d}", dataset_fingerprint=str(d) * 64)
        for d in range(6)
        for name, right in {"a": 0.9, "b": 0.7, "c": 0.8}.items()
    ]
    for trial in trials[-3:]:
        trial.augmentation = "flip"
    ended = mritk("differences", store(*trials), "--across", "datasets")
    assert ended.code == 2
    assert "has augmentation flip in some tables and none in others; use --group-by" in ended.err


@pytest.mark.slow
def test_a_row_that_lacks_a_fold_of_a_dataset_is_left_out_and_named(mritk, store):
    trials = [
        made_trial(
            *(name, right),
            dataset=f"set{d}",
            dataset_fingerprint=str(d) * 64,
            scheme="kfold",
            fold=fold,
            folds=2,
            draw=2 * d + fold,
        )
        for d in range(6)
        for fold in (0, 1)
        for name, right in {"a": 0.9, "b": 0.7, "c": 0.6, "partial": 0.8}.items()
        if (d, fold, name) != (3, 1, "partial")
    ]
    (found,) = as_json(mritk, store(*trials), "--across", "datasets")
    assert found["left_out"] == ["partial"]
    assert sorted(found["ranks"]) == ["a", "b", "c"]
