"""A metric of a plugin that raises, writes or returns anything: one line, and no other score."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mritk.store.folder import ResultsFolder

METRICS = """
import numpy as np
from mritk import Metric, Undefined, hookimpl


def crash(targets, scores, weights):
    return 1 / 0


def silent(targets, scores, weights):
    pass


def pairs(targets, scores, weights):
    raise Undefined("there are no pairs")


def half(targets, scores, weights):
    return 0.5


def fail(*_):
    return 1 / 0


def in_place(targets, scores, weights):
    # The share of true classes with a probability above 0.4.
    scores -= scores.max(axis=1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=1, keepdims=True)
    return np.average(scores[np.arange(len(targets)), targets] > 0.4, weights=weights)


def from_shared(samples):
    # The share of right classes, by a table that mritk's own metrics are computed from, too.
    table = samples.confusion
    table /= samples.total[:, None, None]
    return np.trace(table, axis1=1, axis2=2)


@hookimpl
def mritk_metrics():
    yield Metric("crash", "Crash", True, crash)
    yield Metric("silent", "Silent", True, silent)
    yield Metric("pairs", "Pairs", True, pairs)
    yield Metric("half", "Half", True, half)
    yield Metric("no_resamples", "No resamples", True, half, resampled=fail)
    yield Metric("in_place", "In place", True, in_place)
    yield Metric("from_shared", "From shared", True, half, resampled=from_shared)
"""


@pytest.fixture
def crashing(tmp_path, make_record):
    """A plugin with metrics, most of which fail, and a folder with one finished trial."""
    ResultsFolder(tmp_path / "results").write(make_record())
    path = tmp_path / "crashing.py"
    path.write_text(METRICS)
    return path


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        ("crash", "ZeroDivisionError: division by zero (hook mritk_metrics, crashing.py line 7)"),
        ("silent", "TypeError: "),
        ("no_resamples", "ZeroDivisionError: division by zero (hook mritk_metrics, crashing.py"),
        ("in_place", "ValueError: output array is read-only (hook mritk_metrics, crashing.py"),
        ("from_shared", "ValueError: output array is read-only (hook mritk_metrics, crashing.py"),
    ],
)
def test_a_metric_that_raises_is_one_line(mritk, crashing, tmp_path, metric, why):
    ended = mritk("leaderboard", tmp_path / "results", "-p", crashing, "--metric", metric)
    assert ended.code == 3
    told = ended.err.strip().splitlines()[-1]
    assert told.startswith(f"mritk: metric {metric} of crashing.py sha256:")
    assert f"failed: {why}" in told
    assert told.endswith(f"mritk plugins check -p {crashing} {metric}")
    assert "Traceback" not in ended.err


def test_an_undefined_metric_of_a_plugin_is_no_failure(mritk, crashing, tmp_path):
    ended = mritk("leaderboard", tmp_path / "results", "-p", crashing, "--metric", "pairs")
    assert ended.code == 0
    assert "there are no pairs" in ended.out


def test_metrics_that_raise_take_no_scores_from_the_others(mritk, crashing, tmp_path):
    ended = mritk("rescore", tmp_path / "results", "-p", crashing, "--csv")
    assert ended.code == 3
    assert "Traceback" not in ended.err
    assert [line.split()[2] for line in ended.err.splitlines()] == ["crash", "in_place", "silent"]
    metrics = {line.split(",")[-3] for line in ended.out.splitlines()[1:]}
    assert {"half", "pairs", "accuracy"} <= metrics
    assert not metrics & {"crash", "silent", "in_place"}


def test_a_metric_that_works_in_place_changes_no_score_of_another(mritk, crashing, tmp_path):
    folder = tmp_path / "results"
    asked = ("leaderboard", folder, "--metric", "log_loss", "--level", "patient", "--json")
    right = mritk(*asked).out
    (folder / "trials.index").unlink()
    mritk("leaderboard", folder)  # an index without what is of patients
    spoilt = ("--metric", "in_place", "-p", crashing)
    mritk("leaderboard", folder, "--level", "patient", *spoilt, "--metric", "log_loss")
    assert mritk(*asked).out == right


RETURNS = """
import math
from fractions import Fraction

import numpy as np
import torch
from mritk import Metric, hookimpl


def returning(value):
    return lambda *_: value


def every(value):
    return lambda samples: np.full(len(samples.weights), value)


def by_torch(targets, scores, weights):
    right = torch.from_numpy(scores).argmax(1) == torch.from_numpy(targets)
    return (right * torch.from_numpy(weights)).sum() / weights.sum()


def of_drawn(samples):
    # Of a class without weight there is no value, so what stands there is of no account.
    drawn = samples.confusion.sum(axis=2) > 0
    return np.where(drawn, 0.5, 7.0)


@hookimpl
def mritk_metrics():
    values = {"text": "0.5", "none": None, "complex": 0.5j, "array": np.zeros(3), "percent": 55.5}
    for name, value in values.items():
        yield Metric(name, name, True, returning(value), bounds=(0, 1))
    yield Metric("classes", "classes", True, returning(np.zeros(5)), bounds=(0, 1), per_class=True)
    yield Metric("resampled", "r", True, returning(0.5), resampled=returning(np.zeros(3)))
    yield Metric("far", "far", True, returning(math.inf), bounds=(0, 1))
    yield Metric("drawn", "d", True, returning(0.5), resampled=every(7), bounds=(0, 1))
    more = {"per_class": True, "resampled": of_drawn, "bounds": (0, 1)}
    yield Metric("absent", "a", True, returning(np.full(2, 0.5)), **more)
    yield Metric("divided", "d", True, returning(0.5), divided_by=every(7), bounds=(0, 1))
    yield Metric("masked", "masked", True, returning(np.ma.masked), bounds=(0, 1))
    yield Metric("half", "half", True, returning(Fraction(1, 2)), bounds=(0, 1))
    yield Metric("by_torch", "by_torch", True, by_torch, bounds=(0, 1))
    yield Metric("fine", "fine", True, returning(np.float32(1.0000001)), bounds=(0, 1))
"""


@pytest.mark.slow
def test_a_metric_that_returns_no_number_within_its_bounds_is_one_line(
    mritk, make_record, tmp_path
):
    ResultsFolder(tmp_path / "results").write(make_record())
    (tmp_path / "returns.py").write_text(RETURNS)
    told = {
        "text": "TypeError: function returned what is no number (<U3)",
        "none": "TypeError: function returned what is no number (object)",
        "complex": "TypeError: function returned what is no number (complex128)",
        "array": "ValueError: function returned an array (3,), not one number",
        "percent": "ValueError: 55.5 is outside its bounds, 0 to 1",
        "classes": "ValueError: function returned an array (5,), not (2,)",
        "resampled": "ValueError: resampled returned an array (3,), not (",
        "far": "ValueError: inf is outside its bounds, 0 to 1",
        "drawn": "ValueError: 7 is outside its bounds, 0 to 1",
        **dict.fromkeys(["absent", "divided", "masked", "half", "by_torch", "fine"], ""),
    }
    more = ("-p", tmp_path / "returns.py")
    for name, why in told.items():
        ended = mritk("leaderboard", tmp_path / "results", *more, "--metric", name)
        assert ended.code == (3 if why else 0), name
        assert why in ended.err and "Traceback" not in ended.err and "Warning" not in ended.err
        assert name != "masked" or "0.000" not in ended.out
    ended = mritk("rescore", tmp_path / "results", *more, "--csv")
    of_resamples = ("resampled", "drawn")
    of_one_value = sorted(name for name, why in told.items() if why and name not in of_resamples)
    assert [line.split()[2] for line in ended.err.splitlines()] == of_one_value
    assert {"accuracy", "fine"} <= {line.split(",")[-3] for line in ended.out.splitlines()[1:]}


WARNS = """
import warnings

import torch
from mritk import Metric, hookimpl


def warning(targets, scores, weights):
    torch.from_numpy(scores)
    warnings.warn("few cases", stacklevel=1)
    return 0.5


@hookimpl
def mritk_metrics():
    yield Metric("warning", "warning", True, warning)
"""


@pytest.mark.slow
def test_a_metric_warns_once_and_never_that_it_reads_what_it_may_not_write(make_record, tmp_path):
    ResultsFolder(tmp_path / "results").write(make_record())
    (tmp_path / "warns.py").write_text(WARNS)
    asked = ("leaderboard", tmp_path / "results", "-p", tmp_path / "warns.py", "--metric")
    command = [sys.executable, "-m", "mritk", *asked, "warning"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stderr.count("UserWarning: few cases") == 1
    assert "not writable" not in ended.stderr


def test_a_bug_of_a_metric_of_mritk_keeps_its_traceback(mritk, crashing, tmp_path, monkeypatch):
    from mritk.evaluate.metrics import find_metric

    monkeypatch.setitem(vars(find_metric("accuracy")), "function", lambda *_: 1 / 0)
    ended = mritk("rescore", tmp_path / "results")
    assert ended.code == 3
    assert "Traceback" in ended.err
