"""The command for a GPU: what it runs, what it leaves out, what it says and how it ends."""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import count

import pytest
import torch

from benchmarks.speed import gpu
from benchmarks.speed.gpu import Ledger, Step, TooLong, all_steps, at_most, check_steps
from benchmarks.speed.gpu_checks import Found
from mritk.errors import NonFiniteLoss

FACTS = {"device": "NVIDIA H200", "torch": "2.15"}


def step(run, part="checks", name="one", seconds=1):
    return Step(part, name, seconds, run)


def fail(error):
    def run():
        raise error

    return run


@pytest.fixture
def ledger(tmp_path):
    return Ledger(FACTS, seconds=60, file=tmp_path / "x.json")


def written(tmp_path):
    return json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))


def test_the_file_is_written_after_each_step(ledger, tmp_path):
    ledger.run(step(lambda: {"measured": "equal", "ok": True}))
    assert written(tmp_path)["checks"] == [{"name": "one", "measured": "equal", "ok": True}]
    ledger.run(step(lambda: {"images/s": 5, "samples": {"a": [1.0]}}, "epoch"))
    content = written(tmp_path)
    assert content["epoch"] == [{"name": "one", "images/s": 5, "samples": {"a": [1.0]}}]
    assert content["device"] == "NVIDIA H200"
    assert content["command"] == "benchmarks.speed.gpu"
    assert not ledger.failed


def test_a_check_that_fails_is_remembered(ledger):
    ledger.run(step(lambda: {"measured": "they differ", "ok": False}))
    ledger.run(step(lambda: {"measured": "equal", "ok": True}))
    assert ledger.failed


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("CUDA error: 716\nlong\nadvice"), "RuntimeError: CUDA error: 716"),
        (NonFiniteLoss("the loss is nan"), "NonFiniteLoss: the loss is nan"),
        (AssertionError(), "AssertionError"),
        (SystemExit("python ended with 1:\nwords"), "SystemExit: python ended with 1:"),
        (TooLong("it took more than 5 s"), "TooLong: it took more than 5 s"),
    ],
)  # fmt: skip
def test_what_breaks_is_told_in_a_line_and_the_rest_goes_on(ledger, tmp_path, capsys, error, why):
    ledger.run(step(fail(error)))
    ledger.run(step(lambda: {"measured": "equal", "ok": True}, name="two"))
    assert capsys.readouterr().err.splitlines()[0] == f"checks: one: broken: {why}"
    content = written(tmp_path)
    assert content["broken"] == [{"part": "checks", "name": "one", "why": why}]
    assert [row["name"] for row in content["checks"]] == ["two"]
    assert ledger.failed


def test_an_interruption_by_the_user_passes(ledger):
    with pytest.raises(KeyboardInterrupt):
        ledger.run(step(fail(KeyboardInterrupt())))


def test_what_there_is_no_time_for_is_left_out_and_no_failure(tmp_path, monkeypatch):
    clock = count(0, 5)
    monkeypatch.setattr(gpu.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(gpu, "at_most", lambda seconds: at_most(60))
    ledger = Ledger(FACTS, seconds=60, file=tmp_path / "x.json")
    for seconds in (50, 45, 5):
        ledger.run(step(lambda: {"ok": True}, name=f"{seconds}", seconds=seconds))
    content = written(tmp_path)
    assert [row["name"] for row in content["checks"]] == ["50", "5"]
    (left_out,) = content["left out"]
    assert left_out["name"] == "45"
    assert left_out["why"].startswith("it takes 45 s, and ")
    assert not ledger.failed


@pytest.mark.skipif(sys.platform == "win32", reason="there are no alarms")
def test_a_step_that_hangs_is_ended_whatever_it_catches(ledger, monkeypatch):
    monkeypatch.setattr(gpu, "PATIENCE", 0.1)

    def hang():
        while True:
            try:
                time.sleep(10)
            except Exception:
                continue

    ledger.run(step(hang))
    assert ledger.content["broken"][0]["why"].startswith("TooLong: it took more than ")


def test_an_alarm_does_not_outlast_its_step():
    with at_most(0.05):
        pass
    time.sleep(0.1)


def test_a_table_for_each_part_and_a_line_for_what_is_in_none(ledger, capsys):
    ledger.run(step(lambda: {"measured": "equal", "ok": True}))
    ledger.run(step(lambda: {"images/s": 5, "samples": {"a": [1.0]}}, "epoch", "resnet18"))
    ledger.run(step(fail(ValueError("planted")), "peers"))
    ledger.run(step(dict, "packing", "late", seconds=10**6))
    capsys.readouterr()
    ledger.show()
    out = capsys.readouterr().out
    for line in (
        "| name   | measured   | ok   |",
        "| name     |   images/s |",
        "broken: peers: one: ValueError: planted",
    ):
        assert line in out
    assert "left out: packing: late: it takes 1000000 s, and " in out
    assert "samples" not in out


def test_a_check_is_a_row():
    (made,) = check_steps([("name", 7, lambda scene: Found(f"on {scene}", ok=True))], "scene")
    assert (made.part, made.name, made.seconds) == ("checks", "name", 7)
    assert made.run() == {"measured": "on scene", "ok": True}


def test_all_that_is_promised_is_there_and_fits_but_for_the_compiler(tmp_path):
    steps = all_steps("cuda:0", tmp_path)
    named = [(step.part, step.name) for step in steps]
    assert len(set(named)) == len(named)
    assert {step.part for step in steps} == set(gpu.PARTS)
    for engine in ("eager", "graphs", "compile"):
        for backbone in ("resnet18", "convnext_tiny", "efficientnetv2_s", "densenet121"):
            assert ("epoch", f"{backbone}, 224 px, batch 128, {engine}") in named
    compiled = [step for step in steps if "compile" in step.name]
    assert steps[-len(compiled) :] == compiled
    # What is planned is what may be taken; most steps need half of it.
    assert sum(step.seconds for step in steps if step not in compiled) < 1.8 * 60 * gpu.MINUTES


# -- the command -----------------------------------------------------------------------------------


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3", "cpu"])
def test_without_a_gpu_it_says_so_in_a_line(capsys, device):
    assert gpu.main(["--device", device]) == 4
    captured = capsys.readouterr()
    assert len(captured.err.strip().splitlines()) == 1
    assert not captured.out


@pytest.fixture
def pretend_gpu(monkeypatch):
    """Let the command believe in a GPU, and give it these steps."""

    def use(*steps):
        monkeypatch.setattr(gpu, "choose_device", lambda wish: "cuda:0")
        monkeypatch.setattr(gpu, "machine", lambda device: FACTS)
        monkeypatch.setattr(gpu, "all_steps", lambda device, home: list(steps))
        monkeypatch.setattr(os, "environ", {**os.environ})

    return use


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_it_ends_with_1_if_a_check_fails(pretend_gpu, tmp_path, capsys, ok, code):
    pretend_gpu(step(lambda: {"measured": "", "ok": ok}), step(lambda: {"images/s": 1}, "epoch"))
    assert gpu.main(["--json", str(tmp_path / "x.json")]) == code
    assert len(written(tmp_path)["epoch"]) == 1


def test_it_ends_with_1_if_a_time_breaks(pretend_gpu, capsys):
    pretend_gpu(step(fail(RuntimeError("planted")), "packing"))
    assert gpu.main([]) == 1


def test_a_part_alone(pretend_gpu, tmp_path, capsys):
    pretend_gpu(*(step(lambda: {"x": 1}, part) for part in gpu.PARTS))
    file = tmp_path / "x.json"
    assert gpu.main(["--only", "peers", "--only", "checks", "--json", str(file)]) == 0
    assert {part: len(written(tmp_path)[part]) for part in gpu.PARTS} == {
        "checks": 1,
        "epoch": 0,
        "peers": 1,
        "packing": 0,
    }
