"""Stored trials and their predictions as pandas data frames."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mritk.errors import UsageError, import_extra
from mritk.evaluate.metric import Metric
from mritk.evaluate.metrics import all_metrics, metrics_of
from mritk.files.user_path import user_path
from mritk.store.folder import ResultsFolder
from mritk.store.record import TrialRecord
from mritk.store.trial_state import UnusableTrial

if TYPE_CHECKING:
    import pandas as pd

# Fingerprints tell data and protocols apart that have one name, scheme and evaluation what a score
# is of: leaderboards average across none of them.
IDENTITY = (
    *("dataset", "dataset_fingerprint", "backbone", "augmentation", "method"),
    *("protocol", "fingerprint", "scheme", "evaluation", "fold", "seed"),
)
NAMED = {"dataset": "dataset_fingerprint", "protocol": "fingerprint"}
# What frames have beside it, whatever is in them.
OF_TRIALS = ("status", "error", "epochs")
OF_SAMPLES = ("part", "sample", "patient", "site", "source", "unit", "clean")
TOLD = ("target", "prediction")
NUMBERS = ("fold", "seed", "epochs")


class StoredResults(NamedTuple):
    """The contents of a results folder, as two data frames.

    Attributes:
        trials: One row per trial, in order of id: ``trial`` (its id), ``dataset``,
            ``dataset_fingerprint``, ``backbone``, ``augmentation``, ``method``, ``protocol``,
            ``fingerprint`` (of the protocol), ``scheme`` (of the split), ``evaluation`` (digest of
            what of a protocol belongs to it), ``fold``, ``seed``, ``status``, ``error`` of a failed
            trial, ``epochs``; a column for every metric on the test set (NaN where it is
            undefined); ``cost.*`` (seconds, bytes, …). An empty folder has no columns of metrics
            and cost.
        predictions: One row per trial, part and sample: ``trial``, the columns above from
            ``dataset`` to ``seed``, ``part`` (``val`` or ``test``), ``sample``, ``patient``,
            ``site``, ``source``, ``unit`` (the resampled group), ``clean`` (no duplicate and no
            image of the patient in training or validation; NA if unknown), ``target`` and
            ``prediction`` (names of classes; NA for samples without, unless none has any and these
            are the values of a regression), ``value.target`` and ``value.prediction`` of every
            regression, ``logit.CLASS`` for every class (NaN for classes of other datasets),
            ``spread`` (predicted standard deviation) and ``covariate.NAME``, such as
            ``covariate.sex`` (text, if it is text in one of the datasets; 60.0 is ``60`` there),
            where there are.
    """

    trials: pd.DataFrame
    predictions: pd.DataFrame


def read_results(folder: str | PathLike[str], metrics: Sequence[Metric] = ()) -> StoredResults:
    """Read all trials of a results folder into data frames.

    Needs pandas: ``pip install 'mritk-bench[pandas]'``.

    Args:
        folder: The results folder, such as ``mritk-results``.
        metrics: Additional metrics; those of ``Registry.load().metrics()`` check their values.

    Returns:
        The frames ``trials`` and ``predictions``. A damaged or unreadable file is skipped
        with a warning; another tells of a name that several datasets or protocols have.

    Raises:
        Unavailable: pandas is not installed.
        UsageError: There is no such folder, or a metric has the name of another column.

    Example:
        trials, predictions = mritk.read_results("mritk-results")
        table = ["dataset", "dataset_fingerprint", "scheme", "evaluation"]
        trials.groupby([*table, "backbone"])["balanced_accuracy"].agg(["mean", "std"])
    """
    pandas = import_extra("pandas", "read_results needs pandas", extra="pandas")
    _require_own_names(metrics)
    results = ResultsFolder(user_path(folder))
    results.require_there()
    rows: list[dict[str, Any]] = []
    frames: list[pd.DataFrame] = []
    for trial in results.trials():
        if isinstance(trial, UnusableTrial):
            warnings.warn(f"left out: {trial}", stacklevel=2)
            continue
        rows.append(_trial_row(trial, metrics))
        frames += [pandas.DataFrame(columns) for columns in _prediction_columns(trial)]
    trials = pandas.DataFrame(rows) if rows else _empty("trial", *IDENTITY, *OF_TRIALS)
    _warn_of_shared_names(trials)
    if not frames:
        frames = [_empty("trial", *IDENTITY, *OF_SAMPLES, *TOLD)]
    predictions = pandas.concat(frames, ignore_index=True)
    return StoredResults(trials, _of_one_type(predictions))


def _require_own_names(metrics: Sequence[Metric]) -> None:
    taken = {"trial", *IDENTITY, *OF_TRIALS, *all_metrics()}
    for metric in metrics:
        if metric.name in taken or metric.name.startswith("cost."):
            raise UsageError(f"another column is called {metric.name}; rename this metric")
        taken.add(metric.name)


def _empty(*names: str) -> pd.DataFrame:
    """Return no rows of columns that have the types that they have with rows."""
    import pandas

    row = {name: 0 if name in NUMBERS else "" for name in names}
    return pandas.DataFrame([row]).iloc[:0]


def _of_one_type(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return predictions with one type in each column, as Parquet and masks need it.

    Classes are nullable text: NA differs from nothing, so that a sample without is no error.
    """
    from pandas.api.types import infer_dtype

    types = {"clean": "boolean"}
    for name in TOLD:
        values = f"value.{name}"
        if values in predictions and predictions[name].isna().all():
            predictions[name] = predictions[values]
        else:
            types[name] = "string"
    for name in predictions.filter(regex="^covariate[.]"):
        if infer_dtype(predictions[name]).startswith("mixed"):  # text here, a number there
            predictions[name] = predictions[name].map(_text, na_action="ignore")
            types[name] = "string"
    return predictions.astype(types)


def _text(value: str | float) -> str:
    """Return a number as text with all its digits; 60, 60.0 and the text ``60`` are one."""
    return value if isinstance(value, str) else str(value + 0.0).removesuffix(".0")


def _warn_of_shared_names(trials: pd.DataFrame) -> None:
    for noun, content in NAMED.items():
        counts = trials.groupby(noun)[content].nunique()
        for name, count in counts[counts > 1].items():
            message = f"{count} {noun}s are called {name}; group by {content}, too"
            warnings.warn(message, stacklevel=3)


def _identity(trial: TrialRecord) -> dict[str, Any]:
    return {"trial": trial.id} | {name: getattr(trial, name) for name in IDENTITY}


def _trial_row(trial: TrialRecord, extra: Sequence[Metric]) -> dict[str, Any]:
    row = _identity(trial)
    row["status"] = trial.status
    row["error"] = f"{trial.failure.type}: {trial.failure.message}" if trial.failure else ""
    row["epochs"] = len(trial.history)
    test = trial.predictions.get("test")
    for metric in metrics_of(trial.task, extra, shown=False):
        row[metric.name] = np.nan
        if test is not None:
            scores = test.scores_for(metric, trial.task)
            row[metric.name] = metric.compute(test.target, scores).value
    return row | {f"cost.{name}": value for name, value in trial.cost.items()}


def _prediction_columns(trial: TrialRecord) -> Iterator[dict[str, Any]]:
    for part, predicted in trial.predictions.items():
        columns = _identity(trial) | {
            "part": part,
            "sample": predicted.id,
            "patient": predicted.patient,
            "site": predicted.site,
            "source": predicted.source,
            "unit": predicted.unit,
            "clean": predicted.clean,
            **dict.fromkeys(TOLD),
        }
        if trial.task.classes:
            names = np.asarray(trial.task.classes, dtype=object)
            columns["target"] = names[predicted.target]
            columns["prediction"] = names[predicted.score.argmax(axis=1)]
            for number, name in enumerate(trial.task.classes):
                columns[f"logit.{name}"] = predicted.score[:, number]
        elif predicted.cases:
            columns |= dict(zip(predicted.cases, predicted.score.T, strict=True))
        else:
            columns["value.target"], columns["value.prediction"] = predicted.target, predicted.score
        if predicted.spread is not None:
            columns["spread"] = predicted.spread
        columns |= {f"covariate.{name}": column for name, column in predicted.covariates.items()}
        yield columns
