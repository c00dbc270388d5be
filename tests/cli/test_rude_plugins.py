"""A dataset that fails to read, a method that leaves the program, notes of any kind."""

from __future__ import annotations

import pytest

from mritk.store.folder import ResultsFolder

PLUGIN_WITH_A_HABIT = """
from dataclasses import dataclass
import numpy as np
from mritk import Classification, Dataset, Method, ProtocolFile, Samples, hookimpl


def open_broken(workspace):
    def read(i):
        if i == 3:
            raise OSError("the disk hiccuped")
        return np.full((8, 8), i, np.uint8)

    ids = [f"s{i}" for i in range(40)]
    return Samples(ids, np.arange(40) % 2, Classification(("a", "b")), read)


@dataclass(frozen=True)
class Nothing:
    pass


class Fair:
    notes = {(1, 2): {3}, "array": np.arange(2)}

    def predict(self, subset):
        return np.zeros((len(subset), 2), np.float32)


def fit(setup):
    if setup.seed == 1:
        raise SystemExit(9)
    return Fair()


@hookimpl
def mritk_datasets():
    yield Dataset("broken", open_broken)


@hookimpl
def mritk_methods():
    yield Method("fair", fit, Nothing, uses_backbone=False)


@hookimpl
def mritk_protocols():
    yield ProtocolFile("fair", text=lambda: 'method = "fair"')
"""


@pytest.fixture
def run_habit(mritk, tmp_path):
    plugin = tmp_path / "habit.py"
    plugin.write_text(PLUGIN_WITH_A_HABIT)

    def run(*arguments):
        base = ("run", "-p", plugin, "-d", "broken", "--protocol", "fair", "--no-patient-ids")
        return mritk(*base, "-o", tmp_path / "results", *arguments)

    return run


def test_samples_without_files_that_cannot_be_read_are_listed_too(run_habit):
    ended = run_habit()
    assert ended.code == 2
    assert "1 of 40 samples are unreadable: s3 (the disk hiccuped)" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("where", [(), ("--executor", "processes", "--jobs", 2)])
def test_a_method_that_calls_sys_exit_is_named_and_fails_its_trial_alone(
    run_habit, tmp_path, where
):
    ended = run_habit("--skip-unreadable", "--seeds", 3, *where)
    assert ended.code == 3
    (told,) = (line for line in ended.err.splitlines() if line.startswith("failed: "))
    assert "seed 1: SystemExit: 9 (raised in method fair of habit.py sha256:" in told
    assert "hook mritk_methods, habit.py line" in told
    states = [trial.status for trial in ResultsFolder(tmp_path / "results").trials()]
    assert sorted(states) == ["failed", "finished", "finished"]


@pytest.mark.slow
def test_notes_of_any_kind_are_stored_as_plain_data(run_habit, tmp_path):
    run_habit("--skip-unreadable", "--seeds", 1)
    (trial,) = ResultsFolder(tmp_path / "results").trials()
    assert trial.notes == {"(1, 2)": [3], "array": [0, 1]}
