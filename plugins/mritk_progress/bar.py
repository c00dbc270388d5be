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

        self._names: dict[Hashable, str] = {}
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

    def start_trial(
        self, trial: Hashable, kind: Hashable, name: str, position: int, total: int
    ) -> None:
        """Name a trial that begins."""
        self._names[trial], self._parts[trial] = name, 0.0
        self._move(f"trial {position}/{total}, {name}")

    def end_epoch(self, trial: Hashable, epoch: Epoch, position: int, total: int) -> None:
        """Show an epoch and its losses."""
        self._parts[trial] = epoch.epoch / epoch.epochs
        text = f"trial {position}/{total}, epoch {epoch.epoch}/{epoch.epochs}, loss "
        text += f"{epoch.train_loss:.3f}, val {epoch.val_loss:.3f}, {self._names.get(trial, '')}"
        self._move(text)

    def finish_trial(self, trial: Hashable, row: str) -> None:
        """Count a trial, and leave its row above the bar."""
        self._finished += 1
        self._names.pop(trial, None)
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
