"""``mritk run``: train, store, skip what is done, go on after trouble."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from mritk.cli.run_report import show_table, untrained
from mritk.cli.tell import say
from mritk.results import quick_analysis
from mritk.results.table_trial import TableTrial
from mritk.store.folder import ResultsFolder
from mritk.store.trial_state import TrialState, UnreadableTrial
from mritk.train.stage_run import StageRun


def trials_in(folder: Path) -> list[Path]:
    return sorted((folder / "trials").glob("*.h5"))


@pytest.mark.slow
def test_a_run_ends_with_a_leaderboard_on_stdout_and_the_rest_on_stderr(run_toy, tmp_path):
    ended = run_toy("--seeds", 2)
    assert ended.code == 0
    assert "| tiny@scratch" in ended.out
    assert "preparing" not in ended.out
    assert str(tmp_path / "results") in ended.err
    assert "mritk leaderboard" in ended.err
    assert "-d folder:PATH    your own images" in ended.err
    assert len(trials_in(tmp_path / "results")) == 2


@pytest.mark.slow
def test_the_toy_is_learnt(run_toy):
    """A run that only pretended to train would score at chance, 1/3."""
    data = json.loads(run_toy("--seeds", 1, "--json").out)
    row = data["leaderboard"]["tables"][0]["rows"][0]
    assert row["metrics"]["macro_auroc"]["mean"] > 0.9


@pytest.mark.slow
def test_a_second_run_trains_nothing_and_prints_the_same_table(run_toy, monkeypatch):
    first = run_toy("--seeds", 1)
    monkeypatch.setattr(StageRun, "batches", lambda *_: pytest.fail("retraining"))
    second = run_toy("--seeds", 1)
    assert second.code == 0
    assert second.out == first.out
    assert "1 of 1 trials were already finished" in second.err


@pytest.mark.slow
def test_json_lists_all_trials_of_a_run_and_which_were_trained_now(run_toy, tmp_path):
    planned = json.loads(run_toy("--seeds", 2, "-n", "--json").out)
    for seeds, trained in ((1, [True]), (2, [False, True]), (2, [False, False])):
        trials = json.loads(run_toy("--seeds", seeds, "--json").out)["trials"]
        assert [trial["id"] for trial in trials] == [row["id"] for row in planned[:seeds]]
        assert [trial["trained"] for trial in trials] == trained
        assert [Path(trial["file"]).stem for trial in trials] == [t["id"] for t in trials]
        assert all(Path(trial["file"]).is_file() and not trial["error"] for trial in trials)


@pytest.mark.slow
def test_trials_without_a_model_are_named_below_the_table(run_toy, tmp_path, monkeypatch):
    """So are those that another process has stored once the run was planned."""

    def marked(*given, **options):
        say("the table")
        return show_table(*given, **options)

    run_toy("--seeds", 1)
    (path,) = trials_in(tmp_path / "results")
    aside = path.rename(tmp_path / "stored.h5")
    monkeypatch.setattr("mritk.cli.run.make_room", lambda *_: aside.rename(path))
    monkeypatch.setattr("mritk.cli.run.show_table", marked)
    for how in ("stored by another process", "already finished"):
        ended = run_toy("--seeds", 1, "--keep-models")
        below = ended.err.partition("the table")[2]
        assert f"no model is stored of 1 finished trial: {path.stem[:8]}" in below
        assert how in below
        monkeypatch.setattr("mritk.cli.run.make_room", lambda *_: None)


def test_a_file_that_cannot_be_read_is_not_said_to_be_of_another_process(make_record, tmp_path):
    states = {"theirs": TrialState.FINISHED, "shut": TrialState.UNREADABLE, "left": TrialState.TORN}
    results = SimpleNamespace(trial_path=lambda _: Path(__file__), status=states.get)
    plan = SimpleNamespace(todo=[SimpleNamespace(id=name) for name in states], stamp=lambda _: 0)
    shut = UnreadableTrial(tmp_path, "cannot be read")
    found = {"theirs": TableTrial.of(make_record()), "shut": shut, "left": None}
    named = [[trial.id for trial in told] for told in untrained(plan, [], results, found)]
    assert named == [["left"], ["theirs"]]


@pytest.mark.slow
def test_adding_a_seed_trains_only_that_seed(run_toy, tmp_path):
    run_toy("--seeds", 1)
    before = {path: path.stat().st_mtime_ns for path in trials_in(tmp_path / "results")}
    run_toy("--seeds", 2)
    after = trials_in(tmp_path / "results")
    assert len(after) == 2
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())


@pytest.mark.slow
def test_same_seed_same_predictions_bit_for_bit(run_toy, tmp_path):
    def scores(folder):
        with h5py.File(trials_in(folder)[0]) as file:
            parts = [file[f"predictions/{part}/score"][()] for part in ("val", "test")]
        return np.concatenate(parts)

    run_toy("--seeds", 1, "-a", "affine")
    first = scores(tmp_path / "results")
    (tmp_path / "results").rename(tmp_path / "earlier")
    run_toy("--seeds", 1, "-a", "affine")
    second = scores(tmp_path / "results")
    np.testing.assert_array_equal(first, second)


@pytest.mark.slow
def test_other_seeds_give_other_predictions(run_toy, tmp_path):
    run_toy("--seeds", 2)
    scores = []
    for path in trials_in(tmp_path / "results"):
        with h5py.File(path) as file:
            scores.append(file["predictions/test/score"][()])
    assert not np.array_equal(*scores)


def test_the_order_of_options_changes_no_trial(mritk, toy, fast_protocol, tmp_path):
    def ids(*arguments):
        plan = mritk("run", *arguments, "-n", "--json", "-o", tmp_path / "none")
        return sorted(row["id"] for row in json.loads(plan.out))

    one = ids(
        "-p", toy, "-b", "tiny", "-b", "small_cnn", "-d", "bands", "--protocol", fast_protocol
    )
    other = ids(
        "--protocol",
        fast_protocol,
        "-d",
        "bands",
        "-b",
        "small_cnn@scratch",
        "-b",
        "tiny",
        "-p",
        toy,
    )
    assert one == other


@pytest.mark.slow
def test_dry_run_shows_what_would_run_is_done_and_failed_before(run_toy, tmp_path, monkeypatch):
    assert [row["state"] for row in json.loads(run_toy("-n", "--json", "--seeds", 2).out)] == [
        "would run",
        "would run",
    ]
    assert not (tmp_path / "results").exists()

    real = StageRun.batches

    def fail_for_seed_1(self, epoch):
        if self.training.setup.seed == 1:
            raise RuntimeError("planted")
        return real(self, epoch)

    monkeypatch.setattr(StageRun, "batches", fail_for_seed_1)
    run_toy("--seeds", 2)
    states = [row["state"] for row in json.loads(run_toy("-n", "--json", "--seeds", 3).out)]
    assert states == ["done", "failed before, would be retried", "would run"]
    told = run_toy("-n", "--seeds", 3).err
    assert re.search(
        r"The trials would take about \d+ s one after .*\n2 of 3 trials would run\.", told
    )


@pytest.mark.slow
def test_a_failed_trial_is_stored_shown_and_tried_again(run_toy, tmp_path, monkeypatch):
    real = StageRun.batches

    def fail_for_seed_0(self, epoch):
        if self.training.setup.seed == 0 and self.name == "all":
            raise RuntimeError("planted")
        return real(self, epoch)

    monkeypatch.setattr(StageRun, "batches", fail_for_seed_0)
    ended = run_toy("--seeds", 2)
    assert ended.code == 3, "a run with a failed trial never ends with 0"
    assert "failed: tiny@scratch on bands seed 0: RuntimeError: planted" in ended.err
    assert "1 failed" in ended.out, "the other trial is ranked, the failed one counted"
    failed = [t for t in ResultsFolder(tmp_path / "results").trials() if t.status == "failed"]
    assert [f.failure.type for f in failed] == ["RuntimeError"]
    assert failed[0].failure.epoch == 1, "the last complete epoch"
    assert "planted" in failed[0].failure.traceback
    assert len(failed[0].history) == 1

    monkeypatch.setattr(StageRun, "batches", real)
    assert run_toy("--seeds", 2).code == 0
    assert all(t.status == "finished" for t in ResultsFolder(tmp_path / "results").trials())


@pytest.mark.slow
def test_ctrl_c_keeps_finished_trials_and_exits_130(run_toy, tmp_path, monkeypatch):
    real = StageRun.batches

    def interrupt_seed_1(self, epoch):
        if self.training.setup.seed == 1:
            raise KeyboardInterrupt
        return real(self, epoch)

    monkeypatch.setattr(StageRun, "batches", interrupt_seed_1)
    ended = run_toy("--seeds", 3)
    assert ended.code == 130
    assert "1 of 3 trials are stored" in ended.err
    assert [t.status for t in ResultsFolder(tmp_path / "results").trials()] == ["finished"]
    with h5py.File(tmp_path / "results" / "results.h5") as view:
        assert len(view["trials"]) == 1


def test_a_benchmark_file_and_options_over_it(mritk, toy, tmp_path, fast_protocol):
    file = tmp_path / "study.toml"
    file.write_text(
        'backbones = ["tiny"]\ndatasets = ["bands"]\nprotocols = ["fast.toml"]\nseeds = [3, 5]\n'
    )
    plan = json.loads(mritk("run", file, "-p", toy, "-n", "--json").out)
    assert [row["seed"] for row in plan] == [3, 5]
    plan = json.loads(mritk("run", file, "-p", toy, "-n", "--json", "--seeds", 1).out)
    assert [row["seed"] for row in plan] == [0]


@pytest.mark.slow
def test_folds_of_a_cross_validation_share_no_patient_and_cover_all_samples(
    run_toy, fast_protocol, tmp_path
):
    fast_protocol.write_text(fast_protocol.read_text() + '\n[split]\nscheme = "kfold"\nfolds = 3\n')
    ended = run_toy("--seeds", 1)
    assert "3-fold cross-validation" in ended.out
    trials = list(ResultsFolder(tmp_path / "results").trials())
    tested = [id_ for trial in trials for id_ in trial.splits["test"]]
    assert sorted(tested) == sorted(f"image-{i:02d}" for i in range(90))
    for trial in trials:
        patients = {p: set(trial.predictions[p].patient) for p in ("val", "test")}
        assert not patients["val"] & patients["test"]
    assert len(json.loads(run_toy("--seeds", 1, "--fold", 1, "-n", "--json").out)) == 1


def test_a_fold_that_does_not_exist(run_toy):
    ended = run_toy("--fold", 4)
    assert ended.code == 2
    assert "no fold 4" in ended.err


@pytest.mark.slow
def test_a_changed_one_file_plugin_makes_another_trial(run_toy, toy, tmp_path):
    run_toy("--seeds", 1)
    toy.write_text(toy.read_text() + "\n# another idea\n")
    run_toy("--seeds", 1)
    assert len(trials_in(tmp_path / "results")) == 2


@pytest.mark.slow
def test_rerun_trains_again_what_is_done(run_toy, tmp_path):
    run_toy("--seeds", 1)
    (path,) = trials_in(tmp_path / "results")
    before = path.stat().st_mtime_ns
    ended = run_toy("--seeds", 1, "--rerun")
    assert path.stat().st_mtime_ns > before
    assert "already finished" not in ended.err


@pytest.mark.slow
def test_two_readers_of_the_same_files_are_two_datasets(mritk, tmp_path, toy, fast_protocol):
    source = toy.read_text().replace("patients=", "digest=lambda i: f'{i:064x}', patients=")
    other = source.replace('"bands"', '"dark"').replace("+= 120", "+= 60").replace('"tiny"', '"t2"')
    (tmp_path / "one.py").write_text(source)
    (tmp_path / "two.py").write_text(other)
    plugins = ("-p", tmp_path / "one.py", "-p", tmp_path / "two.py")
    plan = mritk(
        *("run", *plugins, "-d", "bands", "-d", "dark", "-b", "tiny", "--seeds", 1),
        *("--protocol", fast_protocol, "-n", "--json"),
    )
    assert {row["dataset"] for row in json.loads(plan.out)} == {"bands", "dark"}


@pytest.mark.slow
def test_selection_on_the_test_part_is_marked_in_every_row(run_toy, mritk, fast_protocol, tmp_path):
    text = fast_protocol.read_text() + '\n[split]\nvalidation = "test"\n'
    (tmp_path / "replica.toml").write_text(text)
    ended = run_toy("--seeds", 1, "--protocol", tmp_path / "replica.toml")
    assert ended.code == 0, ended.err
    rows = [line for line in ended.out.splitlines() if line.startswith("| tiny@scratch")]
    assert sum("§" in row for row in rows) == 1
    assert "§ Checkpoint selected on the test set" in ended.out
    assert mritk("doctor", tmp_path / "results").code == 0
    for trial in ResultsFolder(tmp_path / "results").trials():
        replica = '"validation":"test"' in trial.protocol_json
        assert (trial.splits["val"] == trial.splits["test"]) == replica


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["MOST_TRIALS", "MOST_ROWS"])
def test_a_run_of_very_many_trials_ends_with_a_table_without_intervals(run_toy, monkeypatch, limit):
    monkeypatch.setattr(quick_analysis, limit, {"MOST_TRIALS": 1, "MOST_ROWS": 0}[limit])
    ended = run_toy("--seeds", 2)
    assert "2 trials: the table is without intervals" in ended.err
    assert "[" not in next(line for line in ended.out.splitlines() if "tiny" in line)
    monkeypatch.undo()
    assert "the table is without" not in run_toy("--seeds", 2).err
