"""The event files of trials: one folder for each training of a trial."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from mritk import Epoch, Trial

# Tag in TensorBoard by field of an epoch; TensorBoard shows what stands before a slash together.
CURVES = {
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "learning_rate": "learning_rate",
    "selection": "selection",
}
IN_TABLE = ("loss/train", "loss/val", "selection")


class EventFiles:
    """Writes trials into sub-folders of ``folder``. All methods belong to one thread.

    Raises:
        OSError: From any method: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, SummaryWriter] = {}

    def start(self, trial: Trial) -> None:
        """Close what is open of a trial: it ran out of memory beside others, and begins again."""
        if writer := self._writers.pop(trial.id, None):
            writer.close()

    def epoch(self, trial: Trial, epoch: Epoch) -> None:
        """Write the curves of an epoch, so that a person can see them now."""
        if (writer := self._writers.get(trial.id)) is None:
            writer = self._writers[trial.id] = self._new_writer(trial, epoch.epoch)
        for field, tag in CURVES.items():
            writer.add_scalar(tag, getattr(epoch, field), epoch.epoch)
        writer.flush()

    def finish(self, trial: Trial, error: str) -> None:
        """End a trial; ``error`` is empty unless it failed."""
        writer = self._writers.pop(trial.id, None)
        if writer is None and not error:
            return
        writer = writer or self._new_writer(trial, 1)
        if error:
            writer.add_text("error", error)
        else:
            _add(writer, _table_row(trial)[-1])
        writer.close()

    def close(self) -> None:
        """Close the files of trials that have not ended."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _new_writer(self, trial: Trial, first_epoch: int) -> SummaryWriter:
        resumed = first_epoch > 1
        writer = SummaryWriter(
            str(training_folder(self._folder, trial, resumed=resumed)),
            # An epoch that was shown, but lost before it was in a checkpoint, is trained again.
            purge_step=first_epoch if resumed else None,
        )
        for summary in _table_row(trial)[:-1]:
            _add(writer, summary)
        return writer


def training_folder(folder: Path, trial: Trial, *, resumed: bool) -> Path:
    """Return where a training of ``trial`` is written: ``NAME-ID``, then ``NAME-ID.2``, and so on.

    A training that is resumed continues in the latest of them.
    """
    name = f"{re.sub(r'[^A-Za-z0-9_.@=-]+', '_', str(trial))[:100]}-{trial.id[:8]}"
    latest, following, number = None, folder / name, 1
    while following.exists():
        number += 1
        latest, following = following, folder / f"{name}.{number}"
    return latest if resumed and latest else following


def _add(writer: SummaryWriter, summary: Any) -> None:
    # SummaryWriter.add_hparams would put them into a folder of their own.
    files: Any = writer.file_writer
    files.add_summary(summary)


def _table_row(trial: Trial) -> tuple[Any, Any, Any]:
    """Return what TensorBoard's table of hyperparameters needs: columns, this row, its end."""
    values = {
        "backbone": trial.backbone_name,
        "dataset": trial.dataset.record.name,
        "augmentation": trial.augmentation.name,
        "protocol": trial.protocol.name,
        "fingerprint": trial.protocol.fingerprint[:12],
        "selected_by": trial.protocol.selection.by,
        "fold": str(trial.fold),
        "seed": str(trial.seed),
    }
    return hparams(values, dict.fromkeys(IN_TABLE, 0.0))
