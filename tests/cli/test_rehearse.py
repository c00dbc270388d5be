"""A long study at small scale."""

from __future__ import annotations

import json

import pytest

from mritk.benchmark import find_protocol
from mritk.cli.run import REHEARSAL
from mritk.registry import Registry
from mritk.rehearsal import rehearsed
from mritk.results.folder import ResultsFolder


@pytest.fixture(scope="module")
def registry():
    return Registry.load(environ={})


def trials_in(folder):
    return list(ResultsFolder(folder).trials())


def test_a_rehearsal_is_small_in_every_respect(registry):
    standard = find_protocol("standard", registry)
    small = rehearsed(find_protocol("standard", registry, {"split.shots": 40, "split.repeats": 3}))
    assert small.name == "standard[shots=40, repeats=3] (rehearsal)"
    assert (small.image_size, small.volume_size) == (64, 32)
    assert (small.split.shots, small.split.repeats) == (5, 1)
    assert [stage.epochs for stage in small.parameters.stages] == [1, 1]
    assert small.parameters.head == standard.parameters.head
    assert small.fingerprint != standard.fingerprint


def test_what_is_small_already_stays_so(registry):
    small = rehearsed(find_protocol("linear_probe", registry, {"image_size": 32}))
    assert small.image_size == 32
    assert small.split.shots == 0
    assert small.parameters == find_protocol("linear_probe", registry).parameters


def test_one_seed_one_fold_and_no_weights(run_toy, fast_protocol, tmp_path, mritk):
    folds = fast_protocol.read_text() + '\n[split]\nscheme = "kfold"\nfolds = 3\n'
    fast_protocol.write_text(folds)
    weights = tmp_path / "absent.pt"
    weights.write_bytes(b"no weights at all")
    ended = run_toy("--rehearse", "--seeds", 3, "-b", f"tiny@file:{weights}")
    assert ended.code == 0, ended.err
    (trial,) = trials_in(tmp_path / "results")
    assert (trial.backbone, trial.seed, trial.fold) == ("tiny@scratch", 0, 0)
    assert [epoch.stage for epoch in trial.history] == ["head", "all"]
    assert trial.protocol == "fast (rehearsal)"


def test_it_never_shares_a_table_with_results(run_toy, mritk, tmp_path):
    assert run_toy("--seeds", 1).code == 0
    assert run_toy("--rehearse").code == 0
    board = json.loads(mritk("leaderboard", tmp_path / "results", "--json").out)
    assert sorted(table["protocol"] for table in board["tables"]) == ["fast", "fast (rehearsal)"]


def test_results_go_to_a_folder_of_their_own(toy, fast_protocol, mritk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
    assert mritk(*call, "--rehearse", "--device", "cpu").code == 0
    assert len(trials_in(tmp_path / REHEARSAL)) == 1
    assert not (tmp_path / "mritk-results").exists()


def test_a_dry_run_shows_it_and_workers_train_it(run_toy, tmp_path):
    planned = run_toy("--rehearse", "--dry-run")
    assert "fast (rehearsal)" in planned.out
    assert not (tmp_path / "results" / "trials").exists()
    assert run_toy("--rehearse", "--vary", "split.shots=2,3", "--jobs", 2).code == 0
    assert len(trials_in(tmp_path / "results")) == 2
