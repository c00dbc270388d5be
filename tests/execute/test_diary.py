"""The epochs of a trial, followed while it is trained elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mritk.execute.claim import claimed
from mritk.execute.diary import Diary, Reader, diary_path, forget_killed
from mritk.execute.time_limit import at_most, forget_overrun, note_path
from mritk.method import Epoch
from mritk.store.folder import ResultsFolder


@pytest.fixture
def results(tmp_path):
    (tmp_path / "claims").mkdir()
    folder = ResultsFolder(tmp_path)
    folder.require_writable()
    return folder


def epoch(number, val=0.5):
    return Epoch(number, 4, "all", 1e-3, 0.1, val, 0.6, 1.5, {"kl": 0.25})


def test_a_reader_is_told_each_epoch_once(results):
    reader = Reader(results)
    assert reader.news("t") is None, "not started"
    with Diary(results, "t") as diary:
        assert reader.news("t") == []
        diary.note(epoch(1))
        assert reader.news("t") == [epoch(1)]
        diary.note(epoch(2))
        diary.note(epoch(3))
        assert reader.news("t") == [epoch(2), epoch(3)]
        assert reader.news("t") == []
        assert reader.news("another") is None
    assert reader.news("t") is None, "it is stored"
    assert not diary_path(results, "t").exists()


def test_an_undefined_loss_is_told_as_such(results):
    with Diary(results, "t") as diary:
        diary.note(epoch(1, val=math.nan))
        (told,) = Reader(results).news("t")
    assert math.isnan(told.val_loss)


def test_numbers_of_numpy_and_torch_are_told_as_plain_ones(results):
    half = np.mean(np.float32([0.25, 0.75]))
    odd = Epoch(np.int64(1), np.int64(4), "all", half, torch.tensor(0.5), half, half, half)
    assert odd == Epoch(1, 4, "all", 0.5, 0.5, 0.5, 0.5, 0.5)
    with Diary(results, "t") as diary:
        diary.note(odd)
        assert Reader(results).news("t") == [odd]


def test_an_epoch_that_cannot_be_written_harms_no_trial(results):
    with Diary(results, "t") as diary:
        diary.note(Epoch(1, 4, object(), 1e-3, 0.1, 0.5, 0.6, 1.5))
        assert Reader(results).news("t") == []


def test_what_ended_an_earlier_attempt_is_not_told_of_one_without_a_limit(results):
    """A person had stopped that run before it asked."""
    note_path(results, "t").write_text("")
    with at_most(math.inf, note_path(results, "t")):
        pass
    assert not forget_overrun(results, "t")


def test_a_half_written_line_waits_for_its_end(results):
    reader = Reader(results)
    with Diary(results, "t") as diary:
        diary.note(epoch(1))
        path = diary_path(results, "t")
        line = path.read_bytes()
        path.write_bytes(line + line[:20])
        assert reader.news("t") == [epoch(1)]
        assert reader.news("t") == []
        path.write_bytes(line + line)
        assert reader.news("t") == [epoch(1)]


@pytest.mark.parametrize("line", [b"\xff\n", b"nonsense\n", b'{"epoch": 1}\n', b"[]\n", b"3\n"])
def test_what_is_no_epoch_is_passed_over(results, line):
    with Diary(results, "t") as diary:
        diary_path(results, "t").write_bytes(line)
        diary.note(epoch(2))
        assert Reader(results).news("t") == [epoch(2)]


def test_a_folder_that_cannot_be_written_stops_no_training(tmp_path):
    with Diary(ResultsFolder(tmp_path / "missing"), "t") as diary:
        diary.note(epoch(1))
    assert list(tmp_path.iterdir()) == []


def test_a_training_that_begins_again_is_told_from_its_first_epoch(results):
    reader = Reader(results)
    with Diary(results, "t") as diary:
        diary.note(epoch(1))
        diary.note(epoch(2))
        assert len(reader.news("t")) == 2
    with Diary(results, "t") as diary:
        diary.note(epoch(1))
        assert reader.news("t") == [epoch(1)]
    with Diary(results, "t") as diary:  # which has written more by then than the one before
        for number in range(1, 4):
            diary.note(epoch(number))
        assert reader.news("t") == [epoch(1), epoch(2), epoch(3)]


def test_what_killed_processes_have_left_is_removed_and_what_is_trained_stays(results):
    for left in ("killed.lock", "killed.epochs", "killed.over", "later.lock"):
        (results.path / "claims" / left).write_text("")
    with claimed(results, "t", wait=True), Diary(results, "t"):
        forget_killed(results)
        left = {path.name for path in (results.path / "claims").iterdir()}
        assert left == {"t.lock", "t.epochs"}
