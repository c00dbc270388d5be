"""Trials as a probe of their embeddings sees them, in the tables of any classification."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.errors import StoreError, UsageError
from mritk.results.covariate import Covariate
from mritk.results.leaderboard import build_leaderboard
from mritk.results.probed import probed
from mritk.store.trial_file import Predictions

N = 60


def trial(make_record, backbone: str, shown: float, seed: int = 0):
    """Return a trial whose embedding shows the site more or less."""
    site = np.repeat(["north", "south", "west"], N // 3)
    names, target = [f"s{i}" for i in range(N)], np.arange(N) % 2
    score = np.eye(2, dtype=np.float32)[target]
    test = Predictions(names, names, site.tolist(), [""] * N, target, score)
    noise = np.random.default_rng(seed).normal(size=(N, 3))
    embedding = shown * np.eye(3)[np.repeat(range(3), N // 3)] + noise
    test.embedding = embedding.astype(np.float16)
    name = f"{backbone}@scratch"
    return make_record(
        backbone=name, seed=seed, id=f"{backbone}{seed}", predictions={"val": test, "test": test}
    )


@pytest.mark.slow
def test_an_embedding_that_shows_the_site_scores_higher_and_the_table_says_so(make_record):
    trials = [
        trial(make_record, name, shown, seed)
        for name, shown in (("plain", 4.0), ("fader", 0.0))
        for seed in (0, 1, 2)
    ]
    board = build_leaderboard(probed(trials, Covariate("site")))
    (table,) = board.tables
    assert table.keys["dataset"] == "bands, site predicted from embeddings"
    assert table.task.classes == ("north", "south", "west")
    means = {row.name: row.cells["balanced_accuracy"].mean for row in table.rows}
    assert means["plain@scratch"] > 0.9
    assert abs(means["fader@scratch"] - 1 / 3) < 0.2
    (pair,) = table.comparisons["balanced_accuracy"]
    assert pair.p < 0.01


def test_samples_of_unknown_site_are_left_out(make_record):
    record = trial(make_record, "plain", 4.0)
    record.predictions["test"].site[:3] = ["", "", ""]
    (told,) = probed([record], Covariate("site"))
    assert len(told.predictions["test"].id) == N - 3


def test_trials_without_embeddings_say_how_to_get_them(make_record):
    with pytest.raises(UsageError, match="mritk run --keep-embeddings"):
        probed([make_record()], Covariate("site"))
    others = [make_record(status="failed"), StoreError("damaged")]
    assert probed(others, Covariate("site")) == others


def test_too_few_patients_of_a_site_are_said(make_record):
    record = trial(make_record, "plain", 4.0)
    record.predictions["test"].site[:18] = ["east"] * 18
    with pytest.raises(
        UsageError, match="site cannot be predicted for trial plain0: 'north' has 2 pat"
    ):
        probed([record], Covariate("site"))


def test_a_fold_without_a_site_does_not_take_other_sites_for_it(make_record):
    whole, lacking = (trial(make_record, "plain", 4.0, seed) for seed in (0, 1))
    test = lacking.predictions["test"]
    lacking.predictions["test"] = test.only(np.asarray(test.site) != "south")
    with pytest.raises(UsageError, match="for trial plain1: 'south' has 0 patients"):
        probed([whole, lacking], Covariate("site"))
    (alone,) = probed([lacking], Covariate("site"))
    assert alone.task.classes == ("north", "west")


def test_the_class_itself_can_be_predicted_from_embeddings(make_record):
    (told,) = probed([trial(make_record, "plain", 4.0)], Covariate("class"))
    assert told.task.classes == ("a", "b")
    assert told.predictions["test"].target.tolist() == (np.arange(N) % 2).tolist()
