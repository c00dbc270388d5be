"""A training that is stopped behind an epoch, and goes on from its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mritk import Epoch
from mritk.train.checkpoint import Checkpoint


class Stopped(BaseException):
    """Ends a training as a killed process would."""


def stopped_and_resumed(
    fit: Callable[..., Any], path: Path, *, behind: int
) -> tuple[Any, list[Epoch]]:
    """Return what is fitted in the second attempt, and the epochs of both.

    Args:
        fit: Takes the fields ``checkpoint`` and ``on_epoch`` of a setup.
        path: Where the checkpoint is.
        behind: The epoch behind which the first attempt is stopped.
    """
    epochs: list[Epoch] = []

    def attempt(on_epoch: Callable[[Epoch], None]) -> Any:
        checkpoint = Checkpoint(path, {}, epochs, every=0.0)
        try:
            return fit(checkpoint=checkpoint, on_epoch=on_epoch)
        finally:
            checkpoint.close()

    def stop(epoch: Epoch) -> None:
        epochs.append(epoch)
        if epoch.epoch == behind:
            raise Stopped

    with pytest.raises(Stopped):
        attempt(stop)
    return attempt(epochs.append), epochs


class Thrifty:
    """Keeps no checkpoint after an epoch: each would take too much of the time."""

    due = worthwhile = False

    def __init__(self) -> None:
        self.saved: list[Mapping[str, Any]] = []

    def load(self) -> None:
        """Return nothing: it is the first attempt."""

    def save(self, state: Mapping[str, Any]) -> None:
        """Save the state."""
        self.saved.append(state)
