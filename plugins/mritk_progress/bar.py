"""The bar for a person at a terminal: one for a whole run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mritk import Epoch


class ProgressBar:
    """Shows the last news of a trial, and the time left. One unit of the bar is one trial."""

    def __init__(self, total: int) -> None:
        from tqdm import tqdm

        self._parts: dict[Hashable, float] = {}  # how much of each running trial is done
        self._finished = 0
        self._bar: Any = tqdm(
            total=float(total),
            file=sys.stderr,
            dynamic_ncols=True,
            # What matters comes first: a narrow terminal cuts the end.
            bar_format="{percentage:3.0f}%|{bar:8}| {remaining} left, {desc}",
        )
        self._bar.set_description_str("starting")

    def start_trial(self, trial: Hashable, kind: Hashable, text: str) -> None:
        """Show a trial that begins."""
        self._parts[trial] = 0.0
        self._move(text)

    def end_epoch(self, trial: Hashable, epoch: Epoch, text: str) -> None:
        """Show an epoch."""
        # A method may plan no number of epochs, or go on behind it.
        self._parts[trial] = min(1.0, epoch.epoch / epoch.epochs) if epoch.epochs else 0.0
        self._move(text)

    def finish_trial(self, trial: Hashable, row: str) -> None:
        """Count a trial, and leave its row above the bar."""
        self._finished += 1
        self._parts.pop(trial, None)
        self._bar.write(row, file=sys.stderr)
        self._move(f"{self._finished} of {self._bar.total:.0f} trials finished")

    def close(self) -> None:
        """Leave the line."""
        self._bar.close()

    def _move(self, text: str) -> None:
        self._bar.set_description_str(text, refresh=False)
        self._bar.n = min(self._finished + sum(self._parts.values()), self._bar.total)
        self._bar.refresh()
