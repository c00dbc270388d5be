"""``mritk status``."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from mritk.execute.claim import claimed
from mritk.execute.diary import Diary
from mritk.method import Epoch
from mritk.store.folder import ResultsFolder

WATCHING = """
import subprocess, sys
from mritk import hookimpl


@hookimpl
def mritk_epoch_end(trial, epoch):
    if epoch.epoch == 2:
        command = [sys.executable, "-m", "mritk", "status", {results!r}]
        for more, name in (((), "text"), (("--json",), "json")):
            with open({folder!r} + f"/{{trial.seed}}.{{name}}", "w") as stream:
                subprocess.run([*command, *more], stdout=stream, check=True)
"""


@pytest.mark.slow
def test_trials_are_seen_running_finished_and_to_do(run_toy, tmp_path):
    plugin = tmp_path / "watching.py"
    plugin.write_text(WATCHING.format(results=str(tmp_path / "results"), folder=str(tmp_path)))
    assert run_toy("-p", plugin, "--seeds", 2).code == 0
    text = (tmp_path / "0.text").read_text()
    assert text.startswith("0 finished, 1 running, 0 failed, 1 to do\n\nrunning")
    assert "tiny@scratch on bands seed 0" in text.split("to do\n")[1]
    assert " 2/3 " in text
    assert text.rstrip().endswith("tiny@scratch on bands seed 1")
    second = json.loads((tmp_path / "1.json").read_text())
    assert (second["finished"], second["to_do"]) == (1, {})
    (running,) = second["running"]
    assert running["name"] == "tiny@scratch on bands seed 1"
    assert (running["epoch"], running["epochs"]) == (2, 3)


def test_an_epoch_is_told_of_those_planned_if_it_is_one_of_them(mritk, tmp_path):
    results = ResultsFolder(tmp_path)
    results.require_writable()
    with claimed(results, "1", wait=False), Diary(results, "1") as diary:
        for planned, shown in ((3, r" 3/3 .* about "), (2, r" 3  .* –$"), (0, r" 3  .* –$")):
            diary.note(Epoch(3, planned, "all", 1e-3, 0.1, 0.5, 0.6, 1.0))
            assert re.search(shown, mritk("status", tmp_path).out.rstrip())


@pytest.mark.slow
def test_of_a_failed_trial_the_reason_is_told(run_toy, mritk, tmp_path):
    (tmp_path / "failing.py").write_text(
        "from mritk import Augmentation, hookimpl\n\n\n"
        "def fail(images, generator):\n    raise ValueError('no such scanner')\n\n\n"
        "@hookimpl\ndef mritk_augmentations():\n    yield Augmentation('failing', fail)\n"
    )
    assert run_toy("-p", tmp_path / "failing.py", "-a", "failing", "--seeds", 1).code == 3
    ended = mritk("status", tmp_path / "results")
    assert ended.code == 0
    assert ended.out.startswith("0 finished, 0 running, 1 failed, 0 to do\n")
    assert "tiny@scratch on bands seed 0" in ended.out
    assert "no such scanner" in ended.out


def test_a_folder_that_is_none_is_refused(mritk, tmp_path):
    ended = mritk("status", tmp_path / "nothing")
    assert ended.code == 2
    assert "no results folder" in ended.err


def test_watching_ends_when_nothing_is_to_do(mritk, tmp_path):
    (tmp_path / "empty").mkdir()
    ended = mritk("status", tmp_path / "empty", "--watch")
    assert ended.code == 0
    assert mritk("status", tmp_path / "empty", "--watch", "--json").code == 2


def test_a_folder_without_trials_has_none_and_what_trains_some(mritk, tmp_path):
    folder = tmp_path / "none here"
    folder.mkdir()
    ended = mritk("status", folder)
    none = f"no trials in {folder}"
    assert (ended.code, ended.out) == (
        0,
        f"{none}; to train some: mritk run --results '{folder}'\n",
    )
    assert none in mritk("leaderboard", folder).err
    found = json.loads(mritk("status", folder, "--json").out)
    assert set(found) == {
        "finished",
        "running",
        "failed",
        "unusable",
        "to_do",
        "interrupted",
        "left",
    }
    assert not any(found.values())


def test_watching_ends_where_only_interrupted_trials_are_left_that_no_run_names(mritk, tmp_path):
    results = ResultsFolder(tmp_path / "my results")
    results.checkpoint_path("1e5").parent.mkdir(parents=True)
    results.checkpoint_path("1e5").touch()
    ended = mritk("status", results.path, "--watch")
    assert ended.out.startswith("0 finished, 0 running, 0 failed, 0 to do, 1 interrupted\n")
    assert "\n1e5\n" in ended.out
    discard = ended.out.rstrip().rpartition(": mritk ")[2]
    assert mritk(*shlex.split(discard)).code == 0
    assert not results.checkpoint_path("1e5").exists()
    told = json.loads(mritk("status", results.path, "--json").out)
    assert (told["to_do"], told["interrupted"], told["left"]) == ({}, 0, [])
