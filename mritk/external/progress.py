"""Epochs that a program tells of in its log, as those of a trial.

A line of a program that keeps to mritk's contract is ``mritk: `` and JSON: ``{"epoch": 3, "epochs":
10, "train_loss": 0.4, "val_loss": 0.5}``, where ``selection``, ``learning_rate``, ``stage`` and
``extra`` may be added.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mritk.method import CheckpointStore, Epoch

MARK = "mritk: "


class Progress:
    """Hands on the epochs of a program, each once and in order, also over several attempts.

    Attributes:
        told: The number of the last epoch that was handed on.
    """

    def __init__(
        self,
        on_epoch: Callable[[Epoch], None],
        checkpoint: CheckpointStore | None,
        *,
        resumed: bool,
    ) -> None:
        """Take up the epochs of an earlier attempt, as far as they are in the checkpoint.

        Args:
            on_epoch: Is given each epoch.
            checkpoint: Remembers which were handed on.
            resumed: Whether the program finds what an earlier attempt has left.
        """
        self._on_epoch, self._checkpoint = on_epoch, checkpoint
        saved = checkpoint.load() if checkpoint is not None and resumed else None
        self.told = int(saved["told"]) if saved else 0
        self._earlier: dict[int, Epoch] = {}
        self._since = time.monotonic()  # the last epoch, or the beginning

    def remember(self, epochs: Mapping[int, Epoch]) -> None:
        """Take what the log of earlier attempts tells: it fills gaps before a later epoch."""
        self._earlier = dict(epochs)

    def tell(self, epoch: Epoch, *, saved: bool = True) -> None:
        """Hand on an epoch, unless an earlier attempt did.

        Args:
            epoch: Counted from 1.
            saved: Whether the program could continue behind it, so that it counts as done.

        Raises:
            Stopped: The trial must end.
        """
        for number in range(self.told + 1, epoch.epoch):
            if number in self._earlier:
                self._on_epoch(self._earlier[number])
        before, self._since = self._since, time.monotonic()
        if epoch.epoch > self.told:
            known = not math.isnan(epoch.seconds)
            self._on_epoch(epoch if known else replace(epoch, seconds=self._since - before))
            self.told = epoch.epoch
        if saved:
            self.keep()

    def finish(self, epochs: Mapping[int, Epoch]) -> None:
        """Hand on those of all epochs in the log that were not yet.

        Raises:
            Stopped: The trial must end.
        """
        for number in sorted(epochs):
            if number > self.told:
                self.tell(epochs[number])

    def keep(self) -> None:
        """Save that the epochs so far are done.

        Raises:
            Stopped: The trial must end.
        """
        if self._checkpoint is not None:
            self._checkpoint.save({"told": self.told})


def epoch_of(line: str) -> Epoch | None:
    """Return the epoch that a line of the contract tells of; None for any other line."""
    if not line.startswith(MARK):
        return None
    try:
        found: dict[str, Any] = json.loads(line.removeprefix(MARK))
        number = int(found["epoch"])
        if number < 1:
            return None
        numbers = {
            name: float(found.get(name, math.nan))
            for name in ("learning_rate", "train_loss", "val_loss")
        }
        return Epoch(
            epoch=number,
            epochs=int(found.get("epochs", number)),
            stage=str(found.get("stage", "all")),
            **numbers,
            selection=float(found.get("selection", numbers["val_loss"])),
            seconds=float(found.get("seconds", math.nan)),
            extra=found.get("extra", {}),
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
