"""``mritk plugins``: what is loaded, what is not and why, each call of a hook, and the checks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

BROKEN = Path(__file__).parents[1] / "testing" / "broken"


def rows(mritk, *arguments):
    ended = mritk("plugins", "--json", *arguments)
    assert ended.code == 0
    return {row["plugin"]: row for row in json.loads(ended.out)}


def test_lists_hooks_and_what_they_yield(mritk, toy):
    row = rows(mritk, "-p", toy)["toy"]
    assert row["distribution"] == "toy.py"
    assert row["version"].startswith("sha256:")
    assert (row["state"], row["reason"]) == ("loaded", "")
    assert set(row["hooks"]) == {"backbones", "datasets"}
    assert row["contributions"] == {"architecture": 1, "dataset": 1}
    assert row["records"] == [
        {"kind": "architecture", "name": "tiny"},
        {"kind": "dataset", "name": "bands"},
    ]


def test_says_why_a_plugin_was_left_out(mritk, monkeypatch):
    assert rows(mritk, "-p", "no:timm")["timm"]["reason"] == "-p no:timm"
    monkeypatch.setenv("MRITK_DISABLE_PLUGIN_AUTOLOAD", "1")
    found = rows(mritk, "-p", "small_cnn")
    assert found["small_cnn"]["state"] == "loaded"
    assert found["timm"]["state"] == "left out"
    assert found["timm"]["reason"] == "MRITK_DISABLE_PLUGIN_AUTOLOAD is set"


def test_the_table_tells_the_same(mritk, toy):
    ended = mritk("plugins", "-p", toy, "-p", "no:timm")
    line = next(line for line in ended.out.splitlines() if line.startswith("toy"))
    assert "1 architecture, 1 dataset" in line
    assert "timm left out: -p no:timm" in ended.out


@pytest.mark.slow
def test_traces_every_call_of_a_hook(run_toy, monkeypatch):
    monkeypatch.setenv("MRITK_TRACE_PLUGINS", "1")
    ended = run_toy("--seeds", 1)
    traced = [line for line in ended.err.splitlines() if "trace: " in line]
    assert any("(toy): mritk_backbones() returned 1 record in" in line for line in traced)
    assert any(
        "(progress): mritk_trial_start(trial=tiny@scratch on bands seed 0, position=1, total=1)"
        in line
        for line in traced
    )
    assert sum("(progress): mritk_epoch_end" in line for line in traced) == 3


@pytest.mark.slow
def test_traces_a_call_that_raises(run_toy, tmp_path, monkeypatch):
    (tmp_path / "shaky.py").write_text(
        "from mritk import hookimpl\n@hookimpl\ndef mritk_epoch_end(epoch):\n    {}['x']\n"
    )
    monkeypatch.setenv("MRITK_TRACE_PLUGINS", "1")
    ended = run_toy("--seeds", 1, "-p", tmp_path / "shaky.py")
    assert ended.code == 0
    assert "(shaky): mritk_epoch_end(epoch=Epoch) raised KeyError: 'x' in" in ended.err


@pytest.mark.slow
def test_no_trace_without_being_asked(run_toy):
    assert "trace: " not in run_toy("--seeds", 1).err


def test_check_prints_a_table_and_the_defects(mritk):
    ended = mritk("plugins", "check", "-p", BROKEN / "metrics.py", "good", "weights_count_samples")
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert any(line.split() == ["metric", "good", "5", "4"] for line in lines)
    defect = next(line for line in lines if line.startswith("failed: "))
    assert defect.startswith("failed: metric weights_count_samples – weights count samples: with ")
    assert lines[-1] == "9 passed, 1 failed, 0 skipped, 8 n/a"


@pytest.mark.slow
def test_check_of_a_plugin_without_defects_ends_with_0(mritk, toy):
    ended = mritk("plugins", "check", "small_cnn")
    assert ended.code == 0, ended.out
    assert "0 failed" in ended.out


def test_check_as_json(mritk):
    ended = mritk("plugins", "check", "--json", "-p", BROKEN / "augmentations.py", "good")
    verdicts = json.loads(ended.out)
    assert {verdict["subject"] for verdict in verdicts} == {"augmentation good"}
    assert {verdict["state"] for verdict in verdicts} == {"passed"}
    assert "keeps images apart" in [verdict["check"] for verdict in verdicts]


@pytest.mark.slow
def test_check_of_a_whole_plugin_finds_all_that_is_planted_in_it(mritk):
    ended = mritk("plugins", "check", "-p", BROKEN / "augmentations.py", "augmentations")
    assert ended.code == 1
    assert ended.out.count("\nfailed: ") >= 6


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nothing"], 2, "no plugin, and nothing that one provides, is named 'nothing'"),
        (["quick"], 2, "is checked with its plugin: 'mritk plugins check finetune'"),
        ([], 2, "Missing argument"),
        (["-p", "no:timm", "timm"], 4, "timm) left out: -p no:timm"),
    ],
)
def test_check_of_what_is_not_there(mritk, arguments, code, text):
    ended = mritk("plugins", "check", *arguments)
    assert ended.code == code
    assert text in ended.err


REMOTE = """
from mritk import Dataset, Unavailable, hookimpl
from mritk.testing import tiny_samples


def open_remote(workspace):
    if workspace.offline:
        raise Unavailable("no images here; 'mritk fetch -d remote' gets them")
    return tiny_samples()


@hookimpl
def mritk_datasets():
    yield Dataset("remote", open_remote, ("made up",), "CC0-1.0", summary="far away")
"""


def test_check_fetches_nothing_unless_it_is_asked_to(mritk, tmp_path):
    (tmp_path / "far.py").write_text(REMOTE)
    ended = mritk("plugins", "check", "-p", tmp_path / "far.py", "remote")
    assert ended.code == 0
    assert "skipped: dataset remote – patients are told: no images here" in ended.out
    ended = mritk("plugins", "check", "-p", tmp_path / "far.py", "remote", "--fetch")
    assert ended.code == 0
    assert "0 skipped" in ended.out
