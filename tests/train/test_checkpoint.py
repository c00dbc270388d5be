"""A checkpoint is whole, or not there; one that must not be used is refused by name."""

from __future__ import annotations

import logging
import os
import random
import threading
import time

import pytest
import torch

from mritk.method import Epoch
from mritk.train.checkpoint import MAGIC, Checkpoint

IDENTITY = {"trial": "a1b2", "torch": "2.9"}
STATE = {"epoch": 3, "tensors": {"w": torch.arange(6.0).reshape(2, 3)}, "rates": [0.1, None]}


def epoch(number):
    return Epoch(number, 9, "all", 1e-3, 0.5, 0.25, 0.125, 1.5)


@pytest.fixture
def make(tmp_path):
    """Make a checkpoint at one and the same place."""
    made = []

    def build(history=(), identity=IDENTITY, **fields):
        path = tmp_path / "checkpoints" / "a1b2.ckpt"
        made.append(Checkpoint(path, identity, list(history), **fields))
        return made[-1]

    yield build
    for checkpoint in made:
        checkpoint.close()


@pytest.fixture
def saved(make):
    """The path of a checkpoint that is on disk."""
    checkpoint = make([epoch(1), epoch(2)])
    checkpoint.save(STATE)
    checkpoint.wait()
    return checkpoint.path


def test_what_is_saved_is_loaded_with_the_history(make, saved):
    later = make()
    state = later.load()
    assert state["epoch"] == 3
    assert state["rates"] == [0.1, None]
    assert torch.equal(state["tensors"]["w"], STATE["tensors"]["w"])
    assert later.history == [epoch(1), epoch(2)]


def test_the_history_is_the_list_of_whoever_keeps_it(make, saved):
    """The trial file is written from the list that the checkpoint was given."""
    later, shared = make(), []
    later.history = shared
    later.load()
    assert shared == [epoch(1), epoch(2)]
    shared.append(epoch(3))
    later.save(STATE)
    later.wait()
    again = make()
    again.load()
    assert [line.epoch for line in again.history] == [1, 2, 3]


def test_where_there_is_none_there_is_no_state_and_no_word(make, caplog):
    with caplog.at_level(logging.DEBUG, "mritk"):
        assert make().load() is None
    assert not caplog.records


def test_training_may_change_the_tensors_while_they_are_written(make, monkeypatch):
    """The copy is made before ``save`` returns, the writing happens beside the training."""
    checkpoint, go = make(), threading.Event()
    write = checkpoint._write
    monkeypatch.setattr(checkpoint, "_write", lambda *content: (go.wait(10), write(*content)))
    weight = torch.ones(3)
    checkpoint.save({"nested": [{"weight": weight}]})
    weight.zero_()
    go.set()
    checkpoint.wait()
    assert torch.equal(make().load()["nested"][0]["weight"], torch.ones(3))


def test_a_later_one_takes_the_place_of_an_earlier_one(make, saved):
    checkpoint = make()
    for number in range(4, 7):
        checkpoint.save({"epoch": number})
    checkpoint.wait()
    assert make().load()["epoch"] == 6
    assert [path.name for path in saved.parent.iterdir()] == ["a1b2.ckpt"]


def refusal(caplog, checkpoint):
    with caplog.at_level(logging.WARNING, "mritk"):
        assert checkpoint.load() is None
    (record,) = caplog.records
    return record.getMessage()


def truncated(content):
    return content[: len(content) // 2]


def altered(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (truncated, "it is damaged"),
        (altered, "it is damaged"),
        (lambda content: content[:-1], "it is damaged"),
        (lambda content: content + b"\0", "it is damaged"),
        (lambda content: content[: len(MAGIC)], "it is damaged"),
        (lambda content: b"", "it is not a checkpoint of this format"),
        (lambda content: b"PK\3\4" + content, "it is not a checkpoint of this format"),
        (lambda content: content.replace(b" 2\n", b" 1\n", 1), "not a checkpoint of this format"),
    ],
)
def test_a_damaged_file_is_refused_by_name(make, saved, caplog, harm, reason):
    saved.write_bytes(harm(saved.read_bytes()))
    later = make([epoch(7)])
    told = refusal(caplog, later)
    assert str(saved) in told
    assert reason in told
    assert told.endswith("the trial restarts")
    assert later.history == [epoch(7)], "nothing was taken from it"


def test_a_file_that_torch_cannot_read_is_refused(make, saved, caplog):
    from mritk.train.checkpoint import _digest

    junk = b"whole, and yet nothing that torch wrote"
    saved.write_bytes(MAGIC + _digest(junk) + b"\n" + junk)
    assert "torch cannot read it" in refusal(caplog, make())


def test_a_file_can_run_no_code(make, saved, caplog, tmp_path):
    """Only tensors and plain data are read back, so a folder of results may come from anybody."""
    from mritk.train.checkpoint import _digest

    class Touch:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    content = tmp_path / "content"
    torch.save({"identity": IDENTITY, "history": [], "state": Touch()}, content)
    payload = content.read_bytes()
    saved.write_bytes(MAGIC + _digest(payload) + b"\n" + payload)
    assert "torch cannot read it" in refusal(caplog, make())
    assert not (tmp_path / "harm").exists()


def test_a_checkpoint_of_another_trial_or_version_is_refused(make, saved, caplog):
    told = refusal(caplog, make(identity={"trial": "a1b2", "torch": "2.10", "device": "cuda"}))
    assert "it belongs to device None, not cuda, torch 2.9, not 2.10" in told
    assert "trial a1b2" not in told, "what agrees is not worth a word"


def test_something_that_is_no_file_is_refused(make, caplog):
    checkpoint = make()
    checkpoint.path.mkdir(parents=True)
    assert "it cannot be read (Is a directory)" in refusal(caplog, checkpoint)


def test_one_that_cannot_be_written_is_told_once_and_harms_nothing(make, tmp_path, caplog):
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    checkpoint = make()
    for _ in range(3):
        checkpoint.save(STATE)
    checkpoint.close()
    (record,) = caplog.records
    assert "a1b2.ckpt cannot be written (File exists); the trial continues" in record.getMessage()


def test_a_stop_while_it_is_written_leaves_the_one_before(make, saved, monkeypatch, caplog):
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space")))
    checkpoint = make()
    checkpoint.save({"epoch": 99})
    checkpoint.wait()
    assert "No space" in caplog.text
    assert make().load()["epoch"] == 3
    assert [path.name for path in saved.parent.iterdir()] == ["a1b2.ckpt"], "no remains"


def test_a_state_that_cannot_be_stored_is_told_likewise(make, monkeypatch, caplog):
    monkeypatch.setattr(torch, "save", lambda *_: (_ for _ in ()).throw(MemoryError()))
    checkpoint = make()
    checkpoint.save(STATE)
    checkpoint.close()
    assert "cannot be written (MemoryError)" in caplog.text


def test_one_is_due_when_its_time_has_come(make, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    checkpoint = make(every=60)
    assert not checkpoint.due
    clock[0] += 60
    assert checkpoint.due
    checkpoint.save(STATE)
    assert not checkpoint.due
    checkpoint.wait()


@pytest.mark.slow
def test_no_damage_is_accepted(make, saved, mutated):
    """2,000 damaged states: none is gone on from, and none raises."""
    whole, draw = saved.read_bytes(), random.Random(0)
    for number in range(2000):
        content = mutated(whole, number % 5, draw)
        saved.write_bytes(content)
        checkpoint = Checkpoint(saved, IDENTITY, [])
        state = checkpoint.load()
        checkpoint.close()
        assert (state is None) == (content != whole), f"mutation {number}"


def test_epochs_that_are_short_beside_their_checkpoint_are_not_all_kept(tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "thrifty", {}, [], share=0.05)
    assert checkpoint.worthwhile, "what it costs is not known yet"

    def slowly(value):
        now[0] += 2.0
        return value

    monkeypatch.setattr("mritk.train.checkpoint._copied", slowly)
    checkpoint.save({"step": 1})
    checkpoint.wait()
    now[0] += 39.0
    assert not checkpoint.worthwhile
    now[0] += 2.0
    assert checkpoint.worthwhile
    checkpoint.close()


def test_without_a_share_every_epoch_is_kept(tmp_path):
    checkpoint = Checkpoint(tmp_path / "all", {}, [])
    checkpoint.save({"step": 1})
    checkpoint.wait()
    assert checkpoint.worthwhile
    checkpoint.close()


def test_its_folder_stays_and_is_emptied_of_another_identity(make, caplog):
    folder = make().folder
    (folder / "plan").write_text("mine")
    assert make().folder == folder
    assert (folder / "plan").read_text() == "mine"
    with caplog.at_level(logging.WARNING, logger="mritk"):
        other = make(identity={**IDENTITY, "torch": "3.0"}).folder
    assert other == folder
    assert not (folder / "plan").exists()
    assert "is of another attempt and is emptied; the trial restarts" in caplog.text
