"""The progress of a run on stderr: a bar at a terminal, lines everywhere else.

Either way each trial that ends leaves a row, so that the table of the run is seen to grow.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mritk import hookimpl

if TYPE_CHECKING:
    from collections.abc import Hashable

    from mritk import Epoch, Outcome, Plan, Trial
    from mritk_progress.bar import ProgressBar
    from mritk_progress.log import ProgressLog
    from mritk_progress.rows import Rows


class Progress:
    """The moments at which something is shown."""

    def __init__(self) -> None:
        self.display: ProgressBar | ProgressLog | None = None
        self.rows: Rows | None = None
        self.places: dict[Hashable, str] = {}
        self.finished = 0

    @hookimpl
    def mritk_run_start(self, plan: Plan) -> None:
        """Draw the bar if stderr is a terminal that is no CI log."""
        if not plan.todo:
            return
        from mritk_progress.rows import Rows

        self.rows, self.finished = Rows(plan.todo), 0
        self.places.clear()
        if sys.stderr.isatty() and not os.environ.get("CI"):
            from mritk_progress.bar import ProgressBar

            self.display = ProgressBar(len(plan.todo))
        else:
            from mritk_progress.log import ProgressLog

            self.display = ProgressLog([self.rows.kind(trial) for trial in plan.todo])

    @hookimpl
    def mritk_trial_start(self, trial: Trial, position: int, total: int) -> None:
        """Show which trial begins."""
        if self.display and self.rows:
            self.places[trial] = place = f"trial {position}/{total}"
            text = f"{place}, {self.rows.name(trial)}"
            self.display.start_trial(trial, self.rows.kind(trial), text)

    @hookimpl
    def mritk_epoch_end(self, trial: Trial, epoch: Epoch) -> None:
        """Show the epoch and its losses."""
        if self.display and self.rows:
            text = f"{self.places[trial]}, epoch {epoch.count}, loss "
            text += f"{epoch.train_loss:.3f}, val {epoch.val_loss:.3f}, {self.rows.name(trial)}"
            self.display.end_epoch(trial, epoch, text)

    @hookimpl
    def mritk_trial_finish(self, trial: Trial, outcome: Outcome) -> None:
        """Leave the row of the trial."""
        if self.display and self.rows:
            self.finished += 1
            self.display.finish_trial(trial, self.rows.row(trial, self.finished, outcome))

    @hookimpl
    def mritk_run_finish(self, outcomes: Sequence[Outcome]) -> None:
        """Leave the bar."""
        if self.display:
            self.display.close()
            self.display = None
