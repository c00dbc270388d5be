"""Results for people who write Python: data frames of trials and predictions."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

import mritk
from mritk import Metric, Segmentation, UsageError, read_results
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import Predictions
from mritk.tasks.regression import Regression

pd = pytest.importorskip("pandas")


@pytest.fixture
def folder(tmp_path, make_record):
    """Two finished trials and a failed one."""
    results = ResultsFolder(tmp_path / "results")
    for seed in (0, 1):
        results.write(make_record(seed=seed))
    results.write(make_record(seed=2, status="failed"))
    return results


def test_trials_and_predictions_are_frames(folder):
    trials, predictions = mritk.read_results(folder.path)
    assert list(trials["trial"]) == sorted(record.id for record in folder.trials())
    assert list(trials["status"]).count("failed") == 1
    assert set(predictions["trial"]) == set(trials.loc[trials["status"] == "finished", "trial"])
    assert set(predictions["part"]) == {"val", "test"}


def test_every_stored_number_is_in_the_frame(folder):
    _, predictions = mritk.read_results(str(folder.path))
    for record in folder.trials():
        for part, stored in record.predictions.items():
            mine = predictions["trial"].eq(record.id) & predictions["part"].eq(part)
            rows = predictions[mine]
            assert list(rows["sample"]) == stored.id
            assert list(rows["patient"]) == stored.patient
            assert list(rows["unit"]) == stored.unit
            classes = record.task.classes
            assert list(rows["target"]) == [classes[i] for i in stored.target]
            logits = rows[[f"logit.{name}" for name in classes]].to_numpy()
            assert np.array_equal(logits, stored.score)


def test_scores_are_those_of_scikit_learn_on_the_predictions(folder):
    trials, predictions = mritk.read_results(folder.path)
    test = predictions[predictions["part"] == "test"]
    for trial in trials[trials["status"] == "finished"].itertuples():
        rows = test[test["trial"] == trial.trial]
        expected = balanced_accuracy_score(rows["target"], rows["prediction"])
        assert trial.balanced_accuracy == pytest.approx(expected, abs=1e-12)


def test_a_failed_trial_has_its_error_and_no_scores(folder):
    trials, _ = mritk.read_results(folder.path)
    (failed,) = trials[trials["status"] == "failed"].itertuples()
    assert ":" in failed.error
    assert np.isnan(failed.accuracy)


def test_where_every_trial_failed_each_metric_of_the_task_is_undefined(tmp_path, make_record):
    ResultsFolder(tmp_path / "finished").write(make_record())
    ResultsFolder(tmp_path / "failed").write(make_record(status="failed"))
    told, alone = (
        mritk.read_results(tmp_path / name).trials.drop(columns=["trial", "status", "error"])
        for name in ("finished", "failed")
    )
    assert list(alone) == list(told)
    assert alone.groupby("backbone")["balanced_accuracy"].mean().isna().tolist() == [True]
    assert alone["accuracy"].dtype == told["accuracy"].dtype


@pytest.mark.slow
def test_means_over_groups_are_those_of_the_leaderboard(mritk, tmp_path, make_record):
    """One name stands for two datasets, and one recipe was tested by two schemes."""
    results = ResultsFolder(tmp_path)
    for data, scheme, predicted in (
        ("d" * 64, "holdout", (0, 0, 1, 1)),
        ("e" * 64, "holdout", (0, 1, 1, 1)),
        ("e" * 64, "official", (1, 1, 1, 1)),
    ):
        results.write(make_record(predicted, dataset_fingerprint=data, scheme=scheme))
    csv_text = mritk("leaderboard", results.path, "--format", "csv").out
    told = pd.read_csv(io.StringIO(csv_text))
    with pytest.warns(UserWarning, match="^2 datasets are called bands; group by dataset_finger"):
        trials, predictions = read_results(results.path)
    table = ["dataset", "dataset_fingerprint", "scheme", "evaluation"]
    means = trials.groupby([*table, "backbone"])["balanced_accuracy"].mean()
    expected = told.set_index([*table, "backbone"])["balanced_accuracy_mean"]
    assert sorted(expected) == [0.5, 0.75, 1]
    pd.testing.assert_series_equal(means, expected.sort_index(), check_names=False)
    kept = predictions.groupby([*table, "backbone"])["trial"].first()
    assert kept.to_dict() == trials.set_index([*table, "backbone"])["trial"].to_dict()


def test_trials_of_other_data_seeds_and_folds_are_no_reason_to_warn(tmp_path, make_record):
    results = ResultsFolder(tmp_path)
    for changes in ({}, {"seed": 1}, {"fold": 1}, {"dataset": "x", "dataset_fingerprint": "x"}):
        results.write(make_record(**changes))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mritk.read_results(tmp_path)
    results.write(make_record(fingerprint="0" * 64, seed=3))
    with pytest.warns(UserWarning, match="^2 protocols are called fast; group by fingerprint, to"):
        mritk.read_results(tmp_path)


def test_metrics_of_a_plugin_are_columns_too(folder):
    worst = Metric("worst", "worst", None, lambda targets, scores, weights: float(scores.min()))
    trials, _ = mritk.read_results(folder.path, [worst])
    assert trials["worst"].notna().sum() == 2


@pytest.mark.parametrize(
    "name",
    ["seed", "fold", "backbone", "trial", "balanced_accuracy", "status", "cost.train_s", "ours"],
)
def test_a_metric_that_would_overwrite_another_column_is_refused(folder, name):
    metrics = [Metric(one, one, None, lambda *_: 0.0) for one in ("ours", name)]
    with pytest.raises(UsageError, match=f"another column is called {name}"):
        mritk.read_results(folder.path, metrics)


def as_other_task(record, task, target, score, cases=()):
    """Turn a trial into one of another task; a part has as many targets and scores as samples."""
    record.task = task
    for part, stored in record.predictions.items():
        n = len(stored.id)
        texts = (stored.id, stored.patient, stored.site, stored.source)
        record.predictions[part] = Predictions(*texts, target[:n], score[:n], cases=cases)
    return record


def as_regression(record):
    """Turn a trial into one that predicts one year too much."""
    years = np.arange(4.0)
    return as_other_task(record, Regression("years"), years, years.astype(np.float32) + 1)


def as_segmentation(record):
    """Turn a trial into one that finds half of a region."""
    task, cases = Segmentation(("background", "tumour")), ("dice[tumour]", "hd95[tumour]")
    return as_other_task(record, task, np.zeros(4), np.full((4, 2), 0.5), cases)


def test_values_of_a_regression_stay_numbers(tmp_path, make_record):
    ResultsFolder(tmp_path).write(as_regression(make_record()))
    trials, predictions = mritk.read_results(tmp_path)
    assert predictions["target"].dtype == np.float64
    assert (predictions["prediction"] - predictions["target"] == 1).all()
    assert trials["mae"].tolist() == [1.0]


def test_classes_and_values_of_several_tasks_are_in_columns_of_their_own(tmp_path, make_record):
    results = ResultsFolder(tmp_path)
    results.write(make_record((0, 1, 1, 1), seed=0))
    results.write(as_regression(make_record(seed=1)))
    results.write(as_segmentation(make_record(seed=2)))
    found = mritk.read_results(tmp_path).predictions
    wrong = found.query("part == 'test' and target != prediction")
    assert wrong[["seed", "sample", "target", "prediction"]].values.tolist() == [
        [0, "s1", "a", "b"]
    ]
    assert found["target"].isna().tolist() == found["seed"].ne(0).tolist()
    assert found["value.target"].isna().tolist() == found["seed"].ne(1).tolist()
    assert (found["value.prediction"] - found["value.target"]).dropna().eq(1).all()
    assert found["dice[tumour]"].isna().tolist() == found["seed"].ne(2).tolist()


def test_of_a_segmentation_no_case_is_wrongly_classified(tmp_path, make_record):
    ResultsFolder(tmp_path).write(as_segmentation(make_record()))
    found = mritk.read_results(tmp_path).predictions
    assert len(found) == 6
    assert found.query("part == 'test' and target != prediction").empty


def test_predictions_of_any_tasks_go_to_parquet_and_back(tmp_path, make_record):
    pytest.importorskip("pyarrow")
    results = ResultsFolder(tmp_path)
    sexes = {0: np.asarray([*"fmfm"]), 1: np.asarray([0.0, 1, np.nan, 1])}
    for seed, sex in sexes.items():
        record = make_record(seed=seed)
        record = as_regression(record) if seed else record
        record.predictions["test"].covariates = {"sex": sex}
        results.write(record)
    found = mritk.read_results(tmp_path).predictions
    found.to_parquet(tmp_path / "predictions.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "predictions.parquet"), found)
    told = found[found["part"] == "test"].groupby("seed")["covariate.sex"]
    assert told.get_group(0).tolist() == [*"fmfm"]
    assert told.get_group(1).fillna("NA").tolist() == ["0", "1", "NA", "1"]


def test_a_number_is_one_text_beside_texts(tmp_path, make_record):
    results = ResultsFolder(tmp_path)
    columns = [
        np.asarray([60, 61.5, -0.0, 1234567890123456.0]),
        np.asarray([60, 61, 0, 1234567890123457]),
        np.asarray(["60", "61.5", "0", "over 89"]),
    ]
    for seed, column in enumerate(columns):
        record = make_record(seed=seed)
        record.predictions["test"].covariates = {"age": column}
        results.write(record)
    found = mritk.read_results(tmp_path).predictions
    told = found[found["part"] == "test"].groupby("covariate.age")["seed"].agg(list)
    assert told.to_dict() == {
        "0": [0, 1, 2],
        "60": [0, 1, 2],
        "61": [1],
        "61.5": [0, 2],
        "1234567890123456": [0],
        "1234567890123457": [1],
        "over 89": [2],
    }


def test_covariates_and_predicted_deviations_are_columns(tmp_path, make_record):
    record = make_record()
    test = record.predictions["test"]
    test.covariates = {
        "age": np.asarray([40.0, np.nan, 61, 70]),
        "sex": np.asarray([*"fm", "", "m"]),
    }
    test.spread = np.arange(4.0)
    ResultsFolder(tmp_path).write(record)
    found = mritk.read_results(tmp_path).predictions
    rows = found[found["part"] == "test"]
    assert rows["covariate.sex"].tolist() == ["f", "m", "", "m"]
    np.testing.assert_array_equal(rows["covariate.age"], test.covariates["age"])
    np.testing.assert_array_equal(rows["spread"], test.spread)


def test_clean_is_a_mask_also_where_it_is_unknown(tmp_path, make_record):
    results, record = ResultsFolder(tmp_path), make_record(status="failed")
    results.write(record)
    assert mritk.read_results(tmp_path).predictions["clean"].dtype == "boolean"
    record = make_record()
    record.predictions["test"].clean = np.asarray([True, False, True, True])
    results.write(record)
    found = mritk.read_results(tmp_path).predictions
    assert found["clean"].isna().tolist() == found["part"].eq("val").tolist()
    assert found[found["clean"]]["sample"].tolist() == ["s0", "s2", "s3"]
    assert found[~found["clean"]]["sample"].tolist() == ["s1"]
    assert found.query("part == 'test' and not clean")["sample"].tolist() == ["s1"]


@pytest.mark.slow
def test_a_damaged_file_is_left_out_and_named(folder):
    path = folder.trial_files()[0]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.warns(UserWarning, match=path.name):
        trials, predictions = mritk.read_results(folder.path)
    assert path.stem not in {*trials["trial"], *predictions["trial"]}
    assert len(trials) == 2


def test_an_empty_folder_gives_empty_frames_and_none_an_error(tmp_path):
    (tmp_path / "trials").mkdir()
    trials, predictions = mritk.read_results(tmp_path)
    assert len(trials) == len(predictions) == 0
    assert "backbone" in trials
    with pytest.raises(UsageError):
        mritk.read_results(tmp_path / "nowhere")


def test_without_predictions_frames_have_the_columns_that_they_always_have(tmp_path, make_record):
    results = ResultsFolder(tmp_path / "results")
    results.write(make_record())
    told = mritk.read_results(results.path)
    results.write(make_record(status="failed", id=next(results.trials()).id))
    (tmp_path / "none").mkdir()
    for folder in (results.path, tmp_path / "none"):
        trials, predictions = mritk.read_results(folder)
        fixed = [name for name in told.predictions if not name.startswith("logit.")]
        assert list(predictions) == fixed
        assert predictions.query("part == 'test' and target != prediction").empty
        assert set(trials) <= set(told.trials)
        assert trials.dtypes.equals(told.trials.dtypes[list(trials)])
        assert predictions.dtypes.equals(told.predictions.dtypes[fixed])
        assert {"status", "error", "epochs", "fingerprint"} <= set(trials)
