"""The table of a run while it grows: one row for each trial that has ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mritk import Outcome, Trial


class Rows:
    """Names trials so that they can be told apart, in a column of one width.

    Args:
        trials: All trials of the run.
    """

    def __init__(self, trials: Sequence[Trial]) -> None:
        # What all trials have in common says nothing.
        self._augmentations = len({trial.augmentation.name for trial in trials}) > 1
        self._protocols = len({trial.protocol.name for trial in trials}) > 1
        self._total = len(trials)
        self._width = max((len(self.name(trial)) for trial in trials), default=0)

    def name(self, trial: Trial) -> str:
        """Return what a trial is called in this run."""
        name = str(trial)
        if self._augmentations:
            name += f", {trial.augmentation.name}"
        return f"{name}, {trial.protocol.name}" if self._protocols else name

    @staticmethod
    def kind(trial: Trial) -> tuple[str, ...]:
        """Return what trials have in common that take about equally long."""
        data, augmentation = trial.dataset.record.name, trial.augmentation.name
        return trial.backbone_name, data, augmentation, trial.protocol.name

    def row(self, trial: Trial, position: int, outcome: Outcome) -> str:
        """Return the row of a trial that has ended."""
        count = f"{position:>{len(str(self._total))}}/{self._total}"
        if outcome.error:
            return f"{count}  failed: {self.name(trial)}: {outcome.error}"
        score = f"{outcome.score}  " if outcome.score else ""
        return f"{count}  {self.name(trial):<{self._width}}  {score}{duration(outcome.seconds)}"


def duration(seconds: float) -> str:
    """Return ``41 s``, ``3 min`` or ``2 h 05 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
