"""The progress display: one bar on stderr for a whole run, silent when nobody looks at it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mritk import hookimpl

if TYPE_CHECKING:
    from mritk import Epoch
    from mritk.plan import Plan
    from mritk.trial import Outcome, Trial


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

    def start_trial(self, trial: Trial, position: int, total: int) -> None:
        """Name the trial that begins."""
        self._done = position - 1
        self._trial, self._count = str(trial), f"trial {position}/{total}"
        self._move(self._done, f"{self._count}, {self._trial}")

    def end_epoch(self, epoch: Epoch) -> None:
        """Show an epoch and its losses."""
        text = f"{self._count}, epoch {epoch.epoch}/{epoch.epochs}"
        text += f", loss {epoch.train_loss:.3f}, val {epoch.val_loss:.3f}, {self._trial}"
        self._move(self._done + epoch.epoch / epoch.epochs, text)

    def finish_trial(self, trial: Trial, outcome: Outcome) -> None:
        """Count a trial, and say at once if it failed."""
        if outcome.error:
            self._bar.write(f"failed: {trial}: {outcome.error}", file=sys.stderr)
        self._move(self._done + 1, self._count)

    def close(self) -> None:
        """Leave the line."""
        self._bar.close()

    def _move(self, done: float, text: str) -> None:
        self._bar.set_description_str(text, refresh=False)
        self._bar.n = min(done, self._bar.total)
        self._bar.refresh()


class Progress:
    """The moments on which the bar is drawn."""

    def __init__(self) -> None:
        self.bar: ProgressBar | None = None

    @hookimpl
    def mritk_run_start(self, plan: Plan) -> None:
        """Draw the bar if stderr is a terminal that is not a CI log."""
        if plan.todo and sys.stderr.isatty() and not os.environ.get("CI"):
            self.bar = ProgressBar(len(plan.todo))

    @hookimpl
    def mritk_trial_start(self, trial: Trial, position: int, total: int) -> None:
        """Show which trial begins."""
        if self.bar:
            self.bar.start_trial(trial, position, total)

    @hookimpl
    def mritk_epoch_end(self, epoch: Epoch) -> None:
        """Show the epoch."""
        if self.bar:
            self.bar.end_epoch(epoch)

    @hookimpl
    def mritk_trial_finish(self, trial: Trial, outcome: Outcome) -> None:
        """Move on by a trial."""
        if self.bar:
            self.bar.finish_trial(trial, outcome)

    @hookimpl
    def mritk_run_finish(self, outcomes: Sequence[Outcome]) -> None:
        """Leave the bar."""
        if self.bar:
            self.bar.close()
            self.bar = None
