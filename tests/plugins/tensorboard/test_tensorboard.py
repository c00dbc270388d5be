"""TensorBoard's own reader finds in the event files what the trial files hold."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.summary.writer import event_file_writer
from torch.utils.tensorboard import SummaryWriter

from mritk import Background, Epoch
from mritk_tensorboard.event_files import EventFiles

FIELDS = {
    "loss/train": "train_loss",
    "loss/val": "val_loss",
    "learning_rate": "learning_rate",
    "selection": "selection",
}


@pytest.fixture
def board(tmp_path, monkeypatch) -> Path:
    """Switch the plugin on."""
    folder = tmp_path / "board"
    monkeypatch.setenv("MRITK_TENSORBOARD", str(folder))
    return folder


def read(folder: Path) -> EventAccumulator:
    return EventAccumulator(str(folder)).Reload()


def folder_of(board: Path, trial) -> Path:
    (found,) = board.glob(f"*-{trial.id[:8]}")
    return found


def assert_shows(folder: Path, history) -> None:
    """Compare all curves with a stored history; TensorBoard keeps 32 bits of a number."""
    events = read(folder)
    assert set(events.Tags()["scalars"]) == set(FIELDS)
    for tag, field in FIELDS.items():
        shown = events.Scalars(tag)
        assert [scalar.step for scalar in shown] == [epoch.epoch for epoch in history]
        values = [np.float32(getattr(epoch, field)) for epoch in history]
        np.testing.assert_array_equal([np.float32(scalar.value) for scalar in shown], values)


@pytest.mark.slow
def test_every_trial_has_a_folder_with_its_stored_history(
    run_toy, board, stored, stored_as_without_tracker, caplog
):
    ended = run_toy("--seeds", 2)
    assert ended.code == 0, ended.err
    assert caplog.text == ""
    trials = stored()
    names = {f"tiny@scratch_on_bands_seed_{t.seed}-{t.id[:8]}" for t in trials.values()}
    assert {folder.name for folder in board.iterdir()} == names
    for trial in trials.values():
        assert len(trial.history) == 3
        assert_shows(folder_of(board, trial), trial.history)
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_the_table_of_hyperparameters_says_which_trial_it_is(run_toy, board, stored):
    run_toy("--seeds", 1)
    (trial,) = stored().values()
    content = read(folder_of(board, trial)).SummaryMetadata("_hparams_/session_start_info")
    start = HParamsPluginData.FromString(content.plugin_data.content).session_start_info
    assert {key: value.string_value for key, value in start.hparams.items()} == {
        "backbone": trial.backbone,
        "dataset": trial.dataset,
        "augmentation": trial.augmentation,
        "protocol": trial.protocol,
        "fingerprint": trial.fingerprint[:12],
        "selected_by": "loss",
        "fold": "0",
        "seed": "0",
    }
    content = read(folder_of(board, trial)).SummaryMetadata("_hparams_/experiment")
    columns = HParamsPluginData.FromString(content.plugin_data.content).experiment.metric_infos
    assert {column.name.tag for column in columns} == {"loss/train", "loss/val", "selection"}


@pytest.mark.slow
def test_a_trial_trained_again_gets_a_folder_of_its_own(run_toy, board, stored):
    run_toy("--seeds", 1)
    run_toy("--seeds", 1)  # nothing to do: nothing is written
    assert len(list(board.iterdir())) == 1
    run_toy("--seeds", 1, "--rerun")
    (trial,) = stored().values()
    first = folder_of(board, trial)
    assert {folder.name for folder in board.iterdir()} == {first.name, f"{first.name}.2"}
    assert_shows(first.with_name(f"{first.name}.2"), trial.history)


@pytest.mark.slow
def test_a_trial_that_is_resumed_continues_its_curves(run_toy, board, stored, stop):
    """Epoch 2 was shown but lost, and is trained again: the curve has it once."""
    assert run_toy("--seeds", 1, *stop).code == 130
    (folder,) = board.iterdir()
    assert [scalar.step for scalar in read(folder).Scalars("loss/val")] == [1, 2]
    Path(stop[1]).with_name("stop").unlink()
    assert run_toy("--seeds", 1, *stop).code == 0
    (trial,) = stored().values()
    assert list(board.iterdir()) == [folder]
    assert_shows(folder, trial.history)


@pytest.mark.parametrize(("again", "folders"), [((1, 2), 2), ((2, 3), 1)])
def test_a_trial_that_begins_again_shows_each_epoch_once(board, again, folders, monkeypatch):
    """Anew in a folder of its own, or from its checkpoint in the same one."""
    # TensorBoard reads files of one second in the order of their numbers as text, 10 before 9.
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(0))
    trial = SimpleNamespace(
        id="0123456789",
        backbone_name="b",
        dataset=SimpleNamespace(record=SimpleNamespace(name="d")),
        augmentation=SimpleNamespace(name="a"),
        protocol=SimpleNamespace(name="p", fingerprint="f", selection=SimpleNamespace(by="loss")),
        fold=0,
        seed=0,
    )
    files = EventFiles(board)
    for numbers in ((1, 2, 3), again):
        files.start(trial)
        for number in numbers:
            files.epoch(trial, Epoch(number, 4, "all", 1e-3, 0.5, 0.5, 0.5, 1.0))
    files.close()
    shown = [[s.step for s in read(f).Scalars("loss/val")] for f in sorted(board.iterdir())]
    assert len(shown) == folders
    assert shown[-1] == list(range(1, again[-1] + 1))


@pytest.mark.slow
def test_trials_of_other_processes_are_shown_once_each(run_toy, board, stored):
    assert run_toy("--seeds", 2, "--jobs", 2).code == 0
    trials = stored()
    assert len(list(board.iterdir())) == len(trials) == 2
    for trial in trials.values():
        assert_shows(folder_of(board, trial), trial.history)


@pytest.mark.slow
def test_a_failed_trial_shows_its_error(run_toy, board, stored, failing):
    assert run_toy("--seeds", 1).code == 3
    (trial,) = stored().values()
    events = read(folder_of(board, trial))
    (text,) = events.Tensors("error/text_summary")
    (shown,) = text.tensor_proto.string_val
    assert shown.startswith(b"ZeroDivisionError: division by zero")
    assert "_hparams_/session_end_info" not in events.PluginTagToContent("hparams")


def test_a_dry_run_writes_nothing(run_toy, board):
    assert run_toy("--dry-run").code == 0
    assert not board.exists()


# -- what goes wrong ---------------------------------------------------------------------------


@pytest.fixture
def assert_one_warning(caplog):
    """Check that one line was told, and that it has these parts."""

    def check(*parts: str) -> None:
        (record,) = [record for record in caplog.records if record.name == "mritk"]
        for part in parts:
            assert part in record.getMessage()
        assert "\n" not in record.getMessage()
        assert record.exc_info is None

    return check


@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_one_line(
    run_toy, board, stored_as_without_tracker, assert_one_warning
):
    board.write_text("a file stands in the way")
    ended = run_toy("--seeds", 2)
    assert ended.code == 0
    assert_one_warning("MRITK_TENSORBOARD", "is disabled", str(board))
    stored_as_without_tracker(seeds=2)


def test_a_folder_that_is_read_only_is_one_line(
    run_toy, board, stored_as_without_tracker, assert_one_warning
):
    board.mkdir(mode=0o500)
    if os.access(board, os.W_OK):
        pytest.skip("root may write anywhere")
    ended = run_toy("--seeds", 1)
    assert ended.code == 0
    assert_one_warning("MRITK_TENSORBOARD", "PermissionError")
    stored_as_without_tracker(seeds=1)


@pytest.mark.slow
def test_a_writer_that_fails_in_the_middle_is_one_line(
    run_toy, board, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    def fail(self, tag, value, step):
        if step == 2:
            raise OSError("no space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", fail)
    ended = run_toy("--seeds", 2)
    assert ended.code == 0
    assert_one_warning("no space left on device", "unset it")
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_a_writer_that_hangs_holds_nothing_up(
    run_toy, board, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    release = Event()
    monkeypatch.setattr(SummaryWriter, "add_scalar", lambda *_: release.wait(60))
    monkeypatch.setattr(Background, "PATIENCE", 0.1)
    ended = run_toy("--seeds", 2)
    release.set()
    assert ended.code == 0
    # Two trials with a beginning, three epochs and an end each, and the end of the run, but for the
    # first beginning, behind which the first epoch hangs.
    assert_one_warning("tensorboard was too slow: 10 calls were dropped")
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_without_tensorboard_installed_a_line_says_what_to_install(
    run_toy, board, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    ended = run_toy("--seeds", 1)
    assert ended.code == 0
    assert_one_warning("python -m pip install 'mritk-bench[tensorboard]'")
    assert not board.exists()
    stored_as_without_tracker(seeds=1)
