"""Tables that lack a fold, a class or a seed are the same from the index."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from mritk.results.analysis import Analysis
from mritk.results.leaderboard import build_leaderboard
from mritk.store import index_file
from mritk.store.folder import ResultsFolder
from tests.results.trial_index.conftest import MEANS, board_of, text


def cross_validated(folder, make_record, *, without=(), failed=(), folds_of_one_class=()):
    """Store two rows of two seeds with two folds each; only row ``one`` lacks trials."""
    rng = np.random.default_rng(3)
    for backbone, seed, fold in product(("one", "two"), range(2), range(2)):
        name = f"{backbone}{seed}{fold}"
        record = make_record(id=name, backbone=backbone, seed=seed, fold=fold, folds=2)
        test = record.predictions["test"]
        test.id = [f"{fold}{id_}" for id_ in test.id]
        test.patient = [f"{id_}p" for id_ in test.id]
        test.score = rng.normal(size=test.score.shape).astype(np.float32)
        test.clean = np.asarray([True, True, fold > 0, True])
        if fold in folds_of_one_class:
            test.target = np.zeros(4, dtype=np.int64)
        if name in failed:
            record = make_record(
                id=name, backbone=backbone, seed=seed, fold=fold, folds=2, status="failed"
            )
        if name not in without:
            folder.write(record)
    written = max(path.stat().st_ctime_ns for path in folder.trial_files())
    while index_file.time_of(folder.path) <= written:
        pass


LACKING = {
    "an incomplete seed": {"without": ["one11"]},
    "no whole seed": {"without": ["one01", "one11"]},
    "failed trials": {"failed": ["one00", "two11"]},
    "a row that failed": {"failed": ["one00", "one01", "one10", "one11"]},
    "a fold without a class": {"folds_of_one_class": [1]},
    "no fold with a class": {"folds_of_one_class": [0, 1], "without": ["one11"]},
}


@pytest.mark.slow
@pytest.mark.parametrize("lacking", LACKING.values(), ids=LACKING)
def test_tables_that_lack_something_are_those_without_an_index(
    make_record, tmp_path, reads, lacking
):
    folder = ResultsFolder(tmp_path / "results")
    cross_validated(folder, make_record, **lacking)
    columns = {"metrics": ["balanced_accuracy", "accuracy"]}
    few = Analysis(resamples=20)
    for analysis in (MEANS, few, replace(few, given_these_models=True)):
        expected = text(build_leaderboard(folder.trials(), analysis=analysis, **columns))
        assert text(board_of(folder, analysis, **columns)) == expected, "made anew"
        reads.clear()
        assert text(board_of(folder, analysis, **columns)) == expected, "from the index"
        assert not reads


@pytest.mark.slow
def test_what_is_lacking_is_told_from_the_index_too(make_record, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    cross_validated(folder, make_record, without=["one11"], folds_of_one_class=[1])
    for _ in range(2):
        board = board_of(folder)
        assert "one: seed 1 lacks fold 1, and is excluded" in "".join(board.tables[0].warnings)
        one = next(row for row in board.tables[0].rows if row.name == "one")
        assert one.cells["balanced_accuracy"].over_runs is not None
        assert one.trials == 2


@pytest.mark.slow
def test_a_trial_that_makes_a_seed_whole_changes_the_table(make_record, tmp_path):
    folder = ResultsFolder(tmp_path / "results")
    cross_validated(folder, make_record, without=["one11"], folds_of_one_class=[1])
    before = text(board_of(folder))
    cross_validated(folder, make_record, folds_of_one_class=[1])
    after = text(board_of(folder))
    assert after == text(build_leaderboard(folder.trials(), analysis=MEANS)) != before
