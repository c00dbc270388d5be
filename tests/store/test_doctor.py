"""``mritk doctor``, ``verify``, ``merge`` and ``rescore``: every kind of damage is named."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import shutil
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from mritk.errors import StoreError
from mritk.evaluate.metrics import metrics_of
from mritk.store.doctor import cure, diagnose
from mritk.store.folder import ResultsFolder
from mritk.store.raw_seal import seal_bytes
from mritk.store.trial_file import SCHEMA, write_trial
from tests.store.conftest import states


def test_a_sound_folder_is_well_and_a_failed_trial_is_a_note(mritk, folder):
    code, found = states(mritk, folder)
    assert (code, found) == (0, {("trials/cccc.h5", "failed trial")})
    assert "3 trials are intact; no problems found." in mritk("doctor", folder.path).out


def truncate(folder):
    path = folder.trial_path("aaaa")
    path.write_bytes(path.read_bytes()[:-500])


def alter(folder):
    with h5py.File(folder.trial_path("aaaa"), "r+") as file:
        file["predictions/test/score"][0, 0] = 5


def replace_by_foreign(folder):
    with h5py.File(folder.trial_path("aaaa"), "w") as file:
        file["data"] = [1, 2]


def make_newer(folder):
    with h5py.File(folder.trial_path("aaaa"), "r+") as file:
        file.attrs["schema"] = SCHEMA + 1


DAMAGE = {
    "torn": truncate,
    "altered": alter,
    "foreign": replace_by_foreign,
    "newer schema": make_newer,
}


@pytest.mark.slow
def test_files_of_a_schema_without_a_seal_are_noted(mritk, folder, as_schema):
    as_schema(folder.trial_path("aaaa"), 2)
    code, found = states(mritk, folder)
    assert code == 0
    assert ("trials/aaaa.h5", "unsealed") in found


@pytest.mark.slow
@pytest.mark.parametrize("state", DAMAGE)
def test_each_kind_of_damage_is_named(mritk, folder, state):
    DAMAGE[state](folder)
    code, found = states(mritk, folder)
    assert ("trials/aaaa.h5", state) in found
    assert code == (0 if state == "newer schema" else 1)


@pytest.mark.slow
@pytest.mark.parametrize("state", DAMAGE)
def test_damage_never_stops_a_leaderboard_and_is_named_there_too(mritk, folder, state):
    DAMAGE[state](folder)
    ended = mritk("leaderboard", folder.path)
    assert ended.code == 0
    assert "| tiny@scratch" in ended.out
    assert "aaaa.h5" in ended.err


def test_numbers_that_do_not_agree_are_inconsistent(mritk, folder, sound):
    wrong = sound(id="dddd", seed=3)
    wrong.fingerprint = "0" * 64
    wrong.splits["test"] = ["s0", "s1"]
    wrong.predictions["test"].score[0, 0] = np.nan
    folder.write(wrong)
    folder.rebuild_view()
    code, found = states(mritk, folder)
    assert code == 1
    assert ("trials/dddd.h5", "inconsistent") in found
    text = mritk("doctor", folder.path).out
    for part in (
        "not 00000000",
        "the split has digest",
        "its samples are not those of the split",
        "some scores are NaN",
    ):
        assert part in text


def test_two_trials_of_one_identity_are_pointed_out(mritk, folder, sound):
    folder.write(sound(id="dddd", seed=1))
    folder.rebuild_view()
    code, found = states(mritk, folder)
    assert code == 0
    assert ("trials/bbbb.h5", "duplicate") in found, "bbbb and dddd; the first is named"


@pytest.mark.slow
def test_leftovers_and_a_stale_view_are_cleared_away_and_nothing_else(mritk, folder):
    (folder.path / "trials" / ".x.h5.1.tmp").write_bytes(b"half")
    folder.checkpoint_path("aaaa").parent.mkdir()
    folder.checkpoint_path("aaaa").write_bytes(b"state")
    folder.checkpoint_path("zzzz").write_bytes(b"state")
    folder.trial_path("bbbb").unlink()
    (folder.path / "trials" / "notes.txt").write_text("mine")
    truncate(folder)
    an_hour_ago = time.time() - 3700
    for path in folder.path.rglob("*"):
        os.utime(path, (an_hour_ago, an_hour_ago))
    torn = folder.trial_path("aaaa").read_bytes()
    code, found = states(mritk, folder, "--fix")
    assert code == 0, "what was serious is set aside"
    assert ("trials/.x.h5.1.tmp", "leftover") in found
    assert ("results.h5", "stale") in found
    assert (folder.path / "quarantine" / "aaaa.h5").read_bytes() == torn
    assert (folder.path / "quarantine" / "notes.txt").read_text() == "mine"
    assert folder.checkpoint_path("zzzz").exists(), "its trial may go on"
    begun = {(f"checkpoints/{name}.ckpt", "interrupted trial") for name in ("aaaa", "zzzz")}
    assert states(mritk, folder) == (0, {("trials/cccc.h5", "failed trial"), *begun})


def test_a_view_of_as_many_but_other_trials_is_told_by_what_differs(mritk, folder):
    folder.trial_path("bbbb").rename(folder.trial_path("dddd"))
    told = mritk("doctor", folder.path).out
    assert "results.h5 is outdated (trials it lacks: 1, listed but gone: 1); 'mritk doctor" in told


def test_a_file_that_cannot_be_read_now_is_left_where_it_is_and_gives_4(mritk, folder, monkeypatch):
    path, real = folder.trial_path("aaaa"), Path.read_bytes

    def read_bytes(self):
        if self == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    code, found = states(mritk, folder, "--fix")
    assert code == 4
    assert ("trials/aaaa.h5", "currently inaccessible") in found
    assert path.is_file()
    assert (
        "1 currently inaccessible; others: no problems found." in mritk("doctor", folder.path).out
    )


def test_a_trial_that_took_the_place_of_a_torn_one_meanwhile_is_not_moved(folder, sound):
    folder.trial_path("aaaa").write_bytes(b"torn")
    found = diagnose(folder)
    folder.trial_path("aaaa").unlink()
    folder.write(sound(id="aaaa", seed=0))
    cure(folder, found)
    assert folder.status("aaaa") == "finished"


@pytest.mark.slow
def test_a_copy_under_another_name_is_no_trial_and_is_set_aside(mritk, folder):
    shutil.copy(folder.trial_path("bbbb"), folder.trial_path("eeee"))
    ended = mritk("doctor", folder.path)
    assert ended.code == 1
    assert "contains trial bbbb, not the one in its name" in ended.out
    assert "3 trials are intact" in ended.out
    assert ("trials/eeee.h5", "misnamed") in states(mritk, folder, "--fix")[1]
    assert states(mritk, folder)[0] == 0
    assert (folder.path / "quarantine" / "eeee.h5").is_file()
    ended = mritk("verify", folder.path / "quarantine" / "eeee.h5")
    assert "the file of bbbb is named eeee" in ended.out


def test_a_second_torn_file_of_one_name_is_set_aside_beside_the_first(mritk, folder):
    for content in (b"one", b"two"):
        folder.trial_path("aaaa").write_bytes(content)
        assert states(mritk, folder, "--fix")[0] == 0
    aside = folder.path / "quarantine"
    assert {path.read_bytes() for path in aside.iterdir()} == {b"one", b"two"}


@pytest.mark.parametrize("there", [[], ["trials"], ["trials", "checkpoints"]])
def test_a_folder_without_trials_is_nothing_to_look_into_or_merge(mritk, tmp_path, there):
    results = tmp_path / "results"
    for name in ("", *there):
        (results / name).mkdir()
    for command in (("doctor",), ("merge", "-o", tmp_path / "other")):
        ended = mritk(command[0], results, *command[1:])
        assert (ended.code, ended.out) == (5, "")
        assert f"no trials in {results}" in ended.err


def test_the_trials_of_a_results_folder_are_not_taken_for_another(mritk, folder, tmp_path):
    trials = folder.path / "trials"
    for command in (
        *(("doctor", trials), ("merge", trials, "-o", tmp_path / "other"), ("status", trials)),
        *(("leaderboard", trials), ("rescore", trials), ("differences", trials)),
        ("verify", "aaaa", "--results", trials),
    ):
        ended = mritk(*command)
        assert ended.code == 2
        assert f"did you mean {folder.path}?" in ended.err


def test_a_results_folder_may_be_called_trials(mritk, tmp_path, sound):
    results = ResultsFolder(tmp_path / "trials")
    results.require_writable()
    assert "no trials in" in mritk("doctor", results.path).err
    results.write(sound(id="aaaa"))
    assert mritk("doctor", results.path).code == 0


def test_an_interrupted_trial_is_named(mritk, folder):
    folder.checkpoint_path("zzzz").parent.mkdir()
    folder.checkpoint_path("zzzz").write_bytes(b"state")
    code, found = states(mritk, folder)
    assert (code, ("checkpoints/zzzz.ckpt", "interrupted trial") in found) == (0, True)
    ended = mritk("doctor", folder.path)
    assert "'mritk run' resumes it" in ended.out
    assert "3 trials are intact, 1 interrupted; no problems found." in ended.out


def test_one_trial_is_spoken_of_as_one(mritk, folder):
    for path in sorted((folder.path / "trials").glob("*.h5"))[1:]:
        path.unlink()
    assert "1 trial is intact; " in mritk("doctor", folder.path, "--fix").out


def test_a_run_that_was_killed_before_it_wrote_the_view_is_no_harm(mritk, folder):
    (folder.path / "results.h5").unlink()
    code, found = states(mritk, folder)
    assert code == 0
    assert ("results.h5", "stale") in found


def without_columns(view):
    del view["scores/digest"]


def without_table(view):
    del view["scores"]
    view["scores"] = [1]


def without_links(view):
    del view["trials"]


@pytest.mark.slow
@pytest.mark.parametrize("change", [without_columns, without_table, without_links])
def test_a_view_that_lacks_something_is_stale_and_renewed(mritk, folder, change):
    mritk("rescore", folder.path)
    with h5py.File(folder.path / "results.h5", "r+") as view:
        change(view)
    view = folder.path / "results.h5"
    view.write_bytes(seal_bytes(view.read_bytes()))
    code, found = states(mritk, folder, "--fix")
    assert code == 0
    assert ("results.h5", "stale") in found
    assert states(mritk, folder)[1] == {("trials/cccc.h5", "failed trial")}


def test_a_folder_that_is_not_there_is_a_usage_error(mritk, tmp_path):
    ended = mritk("doctor", tmp_path / "nowhere")
    assert ended.code == 2
    assert "no results folder" in ended.err


def test_verify_shows_each_check_and_the_numbers(mritk, folder, sound):
    ended = mritk("verify", "aaaa", "--results", folder.path)
    assert ended.code == 0
    data = json.loads(mritk("verify", folder.trial_path("aaaa"), "--json").out)
    assert set(data["checks"].values()) == {"ok"}
    record = sound()
    test = record.predictions["test"]
    for metric in metrics_of(record.task, shown=False):
        value = metric.compute(test.target, test.score).value
        shown = data["scores"]["test"][metric.name]
        assert shown == (None if np.isnan(value) else pytest.approx(value))
    alter(folder)
    ended = mritk("verify", "aaaa", "--results", folder.path)
    assert ended.code == 1
    assert "was modified after it was written" in ended.out
    assert mritk("verify", "zzzz", "--results", folder.path).code == 2


def test_rescore_writes_all_metrics_as_a_tidy_table(mritk, folder, sound):
    ended = mritk("rescore", folder.path, "--csv")
    assert ended.code == 0
    rows = list(csv.DictReader(io.StringIO(ended.out)))
    metrics = metrics_of(sound().task, shown=False)
    assert len(rows) == 2 * 2 * len(metrics), "two finished trials, two parts"
    with h5py.File(folder.path / "results.h5") as view:
        table = {name: view[f"scores/{name}"][()] for name in view["scores"]}
        assert set(view["trials"]) == {"aaaa", "bbbb", "cccc"}
    assert [f"{value}" for value in table["value"]] == [row["value"] for row in rows]
    for name in ("metric", "dataset_fingerprint", "fingerprint", "scheme", "evaluation"):
        assert table[name].astype(str).tolist() == [row[name] for row in rows]
    records = {record.id: record for record in folder.trials()}
    for row in rows:
        record = records[row["trial"]]
        assert row["dataset_fingerprint"] == record.dataset_fingerprint
        assert (row["scheme"], row["evaluation"]) == (record.scheme, record.evaluation)
    assert states(mritk, folder)[1] == {("trials/cccc.h5", "failed trial")}


def test_scores_of_a_trial_that_was_written_anew_are_stale(mritk, folder, sound):
    mritk("rescore", folder.path)
    folder.write(sound((0, 1, 1, 0), id="aaaa", seed=0))
    assert ("results.h5", "stale") in states(mritk, folder)[1]


@pytest.mark.slow
def test_a_trial_that_cannot_be_read_is_no_record(folder):
    truncate(folder)
    assert [isinstance(t, StoreError) for t in folder.trials()] == [True, False, False]


def test_writing_seals_what_is_written(sound, tmp_path):
    write_trial(sound(), tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert len(file.attrs["digest"]) == 64
