"""Each command runs at a tiny size, and its table and file have the columns that docs promise."""

from __future__ import annotations

import json
import os
import re
import sys
import time
from argparse import Namespace
from contextlib import redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from runpy import run_module, run_path

import pytest
import torch

from benchmarks.speed import (
    epoch,
    fresh_process,
    limit,
    many_trials,
    peers_epoch,
    probe,
    process,
    study,
    trials,
)
from benchmarks.speed.command_line import BACKBONES
from benchmarks.speed.fresh_process import ProcessFailed, run_for_facts, run_python
from benchmarks.speed.gpu_busy import gpu_busy
from benchmarks.speed.measurement import Sample
from benchmarks.speed.report import Report
from mritk.cli.main import main
from mritk.plugins.registry import Registry

ROOT = Path(__file__).parents[2]
SMALL = ("--size", "32", "--batch", "4", "--repeats", "1")


def run(command, file: Path, *arguments: str) -> dict:
    assert command.main([*arguments, "--json", str(file)]) == 0
    content = json.loads(file.read_text(encoding="utf-8"))
    assert content["command"] == command.__name__
    return content


@pytest.fixture
def in_this_process(monkeypatch):
    """Programs run here, where their libraries are imported already.

    A program of a peer and mritk are processes in test_programs_make_as_many_steps.
    """

    def run_here(arguments, changes=None):
        first, *rest = map(str, arguments)
        out = StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
            for name, value in (changes or {}).items():
                patch.setenv(name, str(value))
            if [first, *rest[:1]] == ["-m", "mritk"]:
                assert main(rest[1:]) == 0
            elif first == "-m":
                patch.setattr(sys, "argv", rest)
                run_module(rest[0], run_name="__main__")
            else:
                patch.setattr(sys, "argv", [first, *rest])
                run_path(first, run_name="__main__")
        return out.getvalue()

    for module in (fresh_process, many_trials):
        monkeypatch.setattr(module, "run_python", run_here)


@pytest.fixture
def tiny_network(monkeypatch):
    """A network of timm that trains in no time, by mritk's name."""
    monkeypatch.setitem(process.TIMM_NAMES, "timm:test_resnet", "test_resnet")
    return "timm:test_resnet"


def test_expected_time_of_ten_trials():
    (sample,) = trials.expected([Sample(10.0, 0)], [Sample(4.0, 0)], 10)
    assert sample.seconds == 6 + 10 * 4


def test_a_side_is_compared_with_mritk_cold_and_warm(capsys):
    report = Report("benchmarks.speed.process", Namespace(repeats=1, json=None), "cpu")
    contest = process.Contest("resnet18", 128, Namespace(), "cpu", Path())
    facts = {"steps": 30, "trained": 960, "validated": 200}
    names = ("timm, defaults", process.COLD, process.WARM)
    contest.facts.update(dict.fromkeys(names, facts))
    seconds = dict(zip(names, (50.0, 40.0, 25.0), strict=True))
    process.add_rows(report, contest, {n: [Sample(s, 2 * s)] for n, s in seconds.items()})
    report.show()
    lines = capsys.readouterr().out.splitlines()
    (row,) = [line for line in lines if "timm, defaults" in line]
    assert re.search(r"\|\s+50\s+\|\s+100\s+\|\s+1.25\s+\|\s+2\s+\| ≥ 1.25: met", row)


def test_an_unknown_side_is_refused_with_those_that_exist(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(process, "lay_out", lambda *_: None)
    with pytest.raises(SystemExit):
        process.main(["--side", "keras"])
    assert "timm, defaults" in capsys.readouterr().err


@pytest.mark.slow
def test_all_sides_train_one_network():
    """timm's name must stand for the network behind mritk's, or steps would not compare."""
    import timm

    registry = Registry.load(environ={})
    for name in BACKBONES:
        with torch.device("meta"):  # shapes alone: nothing is drawn
            ours = registry.backbone(f"{name}@scratch").architecture.build().state_dict()
            peer = timm.create_model(process.TIMM_NAMES.get(name, name), num_classes=0)
        theirs = peer.state_dict()
        assert {k: t.shape for k, t in ours.items()} == {k: t.shape for k, t in theirs.items()}


def test_a_process_that_fails_ends_the_command_with_its_last_words():
    with pytest.raises(ProcessFailed, match=r"(?s)ended with 3.*no more"):
        run_python(["-c", "import sys; print('no more', file=sys.stderr); sys.exit(3)"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt others")
def test_the_time_of_a_process_that_its_parent_does_not_wait_for_counts():
    """Otherwise the workers of a run would be taken for others that load the machine."""
    computes = "import time\nwhile time.process_time() < 0.5: pass"
    leaves = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {computes!r}])"
    before = os.times()
    run_python(["-c", leaves])
    after = os.times()
    user, system = after.children_user, after.children_system
    assert user + system - before.children_user - before.children_system >= 0.45


def test_facts_stand_on_the_last_line():
    assert run_for_facts(["-c", "print('hello'); print('{\"steps\": 2}')"]) == {"steps": 2}


def steps_of(sides, network, file):
    """Return the sides in order, and each number of steps and images that any of them had."""
    rows = run(
        process,
        file,
        *("--backbone", network, "--images", "48", *SMALL),
        *(word for side in sides for word in ("--side", side)),
    )["rows"]
    counts = {(r["steps"], r["images trained"], r["images scored"]) for r in rows}
    return [row["side"] for row in rows], counts


@pytest.mark.slow
def test_programs_make_as_many_steps(tmp_path, monkeypatch):
    """With a network for each that the program has itself: timm takes seconds to import."""
    monkeypatch.setitem(process.TIMM_NAMES, "small_cnn", "shufflenet_v2_x0_5")
    sides = ["torchvision, 0 workers", process.COLD]
    counts = {(2 * 10, 2 * 40, 2 * 8)}
    assert steps_of(sides, "small_cnn", tmp_path / "x.json") == (sides, counts)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_so_do_timm_and_mritk_with_the_caches_of_the_run_before(tmp_path, tiny_network):
    sides = ["timm, best", process.COLD, process.WARM]
    counts = {(2 * 10, 2 * 40, 2 * 8)}
    assert steps_of(sides, tiny_network, tmp_path / "x.json") == (sides, counts)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_probe_runs_all_folds_and_seeds_against_one_pass(tmp_path):
    content = run(
        probe,
        tmp_path / "x.json",
        *("--backbone", "small_cnn", "--images", "60", "--seeds", "2", *SMALL),
    )
    (row,) = content["rows"]
    assert row["trials"] == 10
    assert set(row["samples"]) == {"mritk", "feature_pass", "in_trials", "forward"}
    assert row["samples"]["in_trials"][0]["seconds"] < row["samples"]["mritk"][0]["seconds"]


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_trials_compares_one_run_with_many(tmp_path):
    content = run(
        trials,
        tmp_path / "x.json",
        *("--backbone", "small_cnn", "--images", "48", "--trials", "2", "--epochs", "1", *SMALL),
    )
    (row,) = content["rows"]
    assert set(row["samples"]) == {"one", "in_one", "many", "in_many"}
    one, in_one = row["samples"]["one"][0], row["samples"]["in_one"][0]
    assert 0 < in_one["seconds"] < one["seconds"]


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_study_runs_the_command_and_timm_trial_after_trial(tmp_path, tiny_network):
    small = ("--size", "32", "--batch", "4", "--epochs", "1", "--images", "24", "--seeds", "2")
    content = run(
        study,
        tmp_path / "x.json",
        *("--case", "networks", "--backbone", tiny_network, "--jobs", "1", "--peer", *small),
    )
    (row,) = content["rows"]
    assert (row["case"], row["backbones"], row["seeds"], row["px"]) == ("networks", 1, 2, 32)
    assert 0 < row["in fit"] < 1
    assert row["GPU busy"] is None
    assert row["timm / mritk"] > 0
    seconds = {name: of[0]["seconds"] for name, of in row["samples"].items()}
    assert 0 < seconds["in_fit"] < seconds["in_trials"] < seconds["whole"]
    assert row["s per trial"] == pytest.approx(seconds["in_trials"] / 2, rel=0.01)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
@pytest.mark.parametrize("case", ["quick", "probe"])
def test_study_varies_the_size_of_stock_protocols(tmp_path, case):
    (row,) = run(
        study,
        tmp_path / "x.json",
        *("--case", case, "--backbone", "small_cnn", "--size", "32"),
        *("--images", "24", "--seeds", "1", "--peer"),
    )["rows"]
    assert row["case"] == case
    assert row["timm, s"] is None  # timm has no such training


def test_what_a_study_runs_can_be_made_smaller():
    options = Namespace(backbone=["resnet18"], seeds=1, size=None, batch=8)
    small = study.chosen("small", options)
    assert small == study.Study(("resnet18",), 1, 96, 8)
    assert study.chosen("quick", options).protocol == "quick"


def test_the_share_of_a_busy_gpu_is_a_mean_of_what_nvidia_smi_says(tmp_path, monkeypatch):
    told = tmp_path / "nvidia-smi"
    told.write_text(
        f"#!/bin/sh\nprintf '0\\n100\\n50\\n[N/A]\\n'\ntouch {tmp_path}/said\nexec sleep 60\n"
    )
    told.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with gpu_busy("cuda:1") as gpu:
        while not (tmp_path / "said").exists():
            time.sleep(0.01)
    assert gpu.share == 0.5
    with gpu_busy("cpu") as nothing:
        pass
    assert nothing.share is None


def test_without_nvidia_smi_nothing_is_said_of_the_gpu(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with gpu_busy("cuda") as gpu:
        pass
    assert gpu.share is None


def test_the_document_names_commands_that_exist():
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    named = set(re.findall(r"python -m (benchmarks\.speed\.\w+)", text))
    modules = {
        module.__name__ for module in (epoch, limit, peers_epoch, process, probe, study, trials)
    }
    assert modules <= named
    assert all(find_spec(name) for name in named)


@pytest.mark.slow
@pytest.mark.usefixtures("in_this_process")
def test_many_trials_counts_what_further_ones_cost(tmp_path, capsys):
    file = tmp_path / "x.json"
    size = ("--rows", "1", "--seeds", "2")
    only = ("--only", "states of all", "--only", "run of what is done")
    assert many_trials.main([*size, *only, "--json", str(file)]) == 0
    states, run = json.loads(file.read_text(encoding="utf-8"))
    columns = [
        f"{what}, {index}"
        for index in ("without", "with")
        for what in ("s", "ms per trial", "peak MB")
    ]
    assert list(states) == list(run) == ["command", *columns]
    assert states["peak MB, with"] > 10
    assert "| run of what is done |" in capsys.readouterr().out
