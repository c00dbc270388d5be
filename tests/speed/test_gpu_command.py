"""The command for a GPU: what it runs, what it leaves out, what it says and how it ends."""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import count
from unittest.mock import ANY

import pytest
import torch

from benchmarks.speed import gpu, gpu_checks, ledger
from benchmarks.speed.gpu import time_steps
from benchmarks.speed.gpu_checks import run_checks
from benchmarks.speed.ledger import Ledger, Step, TooLong, at_most
from mritk.errors import NonFiniteLoss

PASSED = {"measured": "equal", "ok": True}
FACTS = {"command": "benchmarks.speed.gpu", "device": "NVIDIA H200", "torch": "2.15"}


def step(run, part="checks", name="one", seconds=1):
    return Step(part, name, seconds, run)


def fail(error):
    def run():
        raise error

    return run


@pytest.fixture
def book(tmp_path):
    return Ledger(FACTS, gpu.PARTS, seconds=60, file=tmp_path / "x.json")


def written(tmp_path):
    return json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_file_is_written_after_each_step(book, tmp_path):
    book.run(step(lambda: {"measured": "equal", "ok": True}))
    assert written(tmp_path)["checks"] == [{"name": "one", "measured": "equal", "ok": True}]
    book.run(step(lambda: {"images/s": 5, "samples": {"a": [1.0]}}, "epoch"))
    content = written(tmp_path)
    assert content["epoch"] == [{"name": "one", "images/s": 5, "samples": {"a": [1.0]}}]
    assert content["device"] == "NVIDIA H200"
    assert content["command"] == "benchmarks.speed.gpu"
    assert not book.failed


@pytest.mark.slow
def test_a_check_that_fails_is_remembered(book):
    book.run(step(lambda: {"measured": "they differ", "ok": False}))
    book.run(step(lambda: {"measured": "equal", "ok": True}))
    assert book.failed


@pytest.mark.slow
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
def test_what_breaks_is_told_in_a_line_and_the_rest_goes_on(book, tmp_path, capsys, error, why):
    book.run(step(fail(error)))
    book.run(step(lambda: {"measured": "equal", "ok": True}, name="two"))
    assert capsys.readouterr().err.splitlines()[0] == f"checks: one: broken: {why}"
    content = written(tmp_path)
    assert content["broken"] == [{"part": "checks", "name": "one", "why": why}]
    assert [row["name"] for row in content["checks"]] == ["two"]
    assert book.failed


def test_an_interruption_by_the_user_passes(book):
    with pytest.raises(KeyboardInterrupt):
        book.run(step(fail(KeyboardInterrupt())))


@pytest.mark.slow
def test_what_there_is_no_time_for_is_left_out_and_no_failure(tmp_path, monkeypatch):
    clock = count(0, 10)
    monkeypatch.setattr(ledger.time, "monotonic", lambda: float(next(clock)))
    monkeypatch.setattr(ledger, "at_most", lambda seconds: at_most(60))
    book = Ledger(FACTS, gpu.PARTS, seconds=60, file=tmp_path / "x.json")
    for seconds in (50, 45, 5):
        book.run(step(lambda: {"ok": True}, name=f"{seconds}", seconds=seconds))
    content = written(tmp_path)
    assert [row["name"] for row in content["checks"]] == ["50", "5"]
    (left_out,) = content["left out"]
    assert left_out["name"] == "45"
    assert left_out["why"].startswith("it takes 45 s, and ")
    assert not book.failed


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no alarms")
def test_a_step_that_hangs_is_ended_whatever_it_catches(book, monkeypatch):
    monkeypatch.setattr(ledger, "PATIENCE", 0.1)

    def hang():
        while True:
            try:
                time.sleep(10)
            except Exception:
                continue

    book.run(step(hang))
    assert book.content["broken"][0]["why"].startswith("TooLong: it took more than ")


def test_an_alarm_does_not_outlast_its_step():
    with at_most(0.05):
        pass
    time.sleep(0.1)


@pytest.mark.slow
def test_a_table_for_each_part_and_a_line_for_what_is_in_none(book, capsys):
    book.run(step(lambda: {"measured": "equal", "ok": True}))
    book.run(step(lambda: {"images/s": 5, "samples": {"a": [1.0]}}, "epoch", "resnet18"))
    book.run(step(fail(ValueError("planted")), "peers"))
    book.run(step(dict, "packing", "late", seconds=10**6))
    capsys.readouterr()
    book.show()
    out = capsys.readouterr().out
    for line in (
        "| name   | measured   | ok   |",
        "| name     |   images/s |",
        "broken: peers: one: ValueError: planted",
    ):
        assert line in out
    assert "left out: packing: late: it takes 1000000 s, and " in out
    assert "samples" not in out


def test_all_that_is_promised_is_there_in_order_and_each_part_fits(tmp_path):
    steps = time_steps("cuda:0", tmp_path)
    named = [(step.part, step.name) for step in steps]
    assert len(set(named)) == len(named)
    assert {"checks", *(step.part for step in steps)} == set(gpu.PARTS)
    for part, engine in (("eager", "eager"), ("epoch", "graphs"), ("compile", "compile")):
        for backbone in ("resnet18", "convnext_tiny", "efficientnetv2_s", "densenet121"):
            assert (part, f"{backbone}, 224 px, batch 128, {engine}") in named
    assert [step.part for step in steps] == sorted(
        (step.part for step in steps), key=gpu.PARTS.index
    )
    for part in gpu.PARTS:
        assert sum(step.seconds for step in steps if step.part == part) < 60 * gpu.MINUTES


# -- the checks --------------------------------------------------------------------------------

CHECKS = """
import time
import pytest


@pytest.fixture
def measure(record_property):
    words = []
    yield words.append
    record_property("measured", "; ".join(words))


@pytest.mark.gpu
def test_what_is_right(measure):
    measure("equal bit for bit")


@pytest.mark.gpu
def test_what_is_wrong(measure):
    measure("they differ")
    raise AssertionError("they differ by 1e-3\\nand more")


@pytest.mark.gpu
def test_what_hangs():
    while True:
        try:
            time.sleep(10)
        except Exception:
            continue


@pytest.mark.gpu
@pytest.mark.slow
def test_what_takes_long():
    raise AssertionError("there was no time for it")


def test_what_needs_no_gpu():
    raise AssertionError("it was run")
"""


@pytest.fixture
def planted(tmp_path, monkeypatch):
    """Tests of no other house: pytest is told of the markers alone."""
    folder = tmp_path / "checks"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    gpu\n    slow\n")
    (folder / "test_planted.py").write_text(CHECKS)
    monkeypatch.setattr(gpu_checks, "CHECK_SECONDS", 0.5)
    return folder


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no alarms")
def test_each_check_is_a_row_with_what_it_measured_or_why_it_failed(planted, book, tmp_path):

    run_checks(book, planted)
    assert written(tmp_path)["checks"] == [
        {"name": "what is right", "measured": "equal bit for bit", "ok": True},
        {"name": "what is wrong", "measured": "AssertionError: they differ by 1e-3", "ok": False},
        {"name": "what hangs", "measured": ANY, "ok": False},
    ]
    assert "TooLong: it took more than 1 s" in written(tmp_path)["checks"][2]["measured"]
    (left_out,) = written(tmp_path)["left out"]
    assert left_out["name"] == "what takes long"
    assert left_out["why"].startswith("Skipped: it takes 60 s, and ")
    assert book.failed


@pytest.mark.slow
def test_checks_that_cannot_be_collected_are_broken(planted, book):
    (planted / "test_planted.py").write_text("import nothing_of_that_name")
    run_checks(book, planted)
    (broken,) = book.content["broken"]
    assert broken["why"].startswith("pytest ended with")
    assert book.failed


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

    def use(*steps, check=PASSED):
        monkeypatch.setattr(gpu, "choose_device", lambda wish: "cuda:0")
        monkeypatch.setattr(gpu, "machine", lambda device: FACTS)
        monkeypatch.setattr(gpu.torch.cuda, "set_device", lambda device: None)
        monkeypatch.setattr(gpu, "run_checks", lambda book: book.add("checks", "one", check))
        monkeypatch.setattr(gpu, "time_steps", lambda device, home: list(steps))
        monkeypatch.setattr(os, "environ", {**os.environ})

    return use


@pytest.mark.slow
@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1)])
def test_it_ends_with_1_if_a_check_fails(pretend_gpu, tmp_path, capsys, ok, code):
    check = {"measured": "", "ok": ok}
    pretend_gpu(step(lambda: {"images/s": 1}, "epoch"), check=check)
    assert gpu.main(["--json", str(tmp_path / "x.json")]) == code
    assert len(written(tmp_path)["epoch"]) == 1


@pytest.mark.slow
def test_it_ends_with_1_if_a_time_breaks(pretend_gpu, capsys):
    pretend_gpu(step(fail(RuntimeError("planted")), "packing"))
    assert gpu.main([]) == 1


@pytest.mark.slow
def test_a_part_alone(pretend_gpu, tmp_path, capsys):
    pretend_gpu(*(step(lambda: {"x": 1}, part) for part in gpu.PARTS if part != "checks"))
    file = tmp_path / "x.json"
    assert gpu.main(["--only", "peers", "--only", "checks", "--json", str(file)]) == 0
    assert {part: len(written(tmp_path)[part]) for part in gpu.PARTS} == {
        **dict.fromkeys(gpu.PARTS, 0),
        "checks": 1,
        "peers": 1,
    }
