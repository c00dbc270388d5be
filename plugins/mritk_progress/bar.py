"""The bar for a person at a terminal: one for a whole run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mritk import Epoch


class ProgressBar:
    """Shows trial, epoch, loss and the time left. One unit of the bar is one trial."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._trial, self._count = "", ""
        self._done = 0
        self._bar: Any = tqdm(
            total=float(total),
            file=sys.stderr,
            dynamic_ncols=True,
            # What matters comes first: a narrow terminal cuts the end.
            bar_format="{percentage:3.0f}%|{bar:8}| {remaining} left, {desc}",
        )

    def start_trial(self, trial: str, position: int, total: int) -> None:
        """Name the trial that begins."""
        self._done = position - 1
        self._trial, self._count = trial, f"trial {position}/{total}"
        self._move(self._done, f"{self._count}, {self._trial}")

    def end_epoch(self, epoch: Epoch) -> None:
        """Show an epoch and its losses."""
        text = f"{self._count}, epoch {epoch.epoch}/{epoch.epochs}"
        text += f", loss {epoch.train_loss:.3f}, val {epoch.val_loss:.3f}, {self._trial}"
        self._move(self._done + epoch.epoch / epoch.epochs, text)

    def finish_trial(self, row: str) -> None:
        """Count a trial, and leave its row above the bar."""
        self._bar.write(row, file=sys.stderr)
        self._move(self._done + 1, self._count)

    def close(self) -> None:
        """Leave the line."""
        self._bar.close()

    def _move(self, done: float, text: str) -> None:
        self._bar.set_description_str(text, refresh=False)
        self._bar.n = min(done, self._bar.total)
        self._bar.refresh()
