"""Writes trials as TensorBoard event files into the folder that ``MRITK_TENSORBOARD`` names.

Without that variable the plugin does nothing and imports nothing.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from mritk import hookimpl, user_path

if TYPE_CHECKING:
    from mritk import Background, Epoch, Outcome, Plan, Trial
    from mritk_tensorboard.event_files import EventFiles

FOLDER = "MRITK_TENSORBOARD"
REMEDY = f"set {FOLDER} to a writable folder, or unset it"


class TensorBoard:
    """The moments at which something is written."""

    def __init__(self) -> None:
        self.background: Background | None = None
        self.files: EventFiles | None = None

    @hookimpl
    def mritk_run_start(self, plan: Plan) -> None:
        """Get ready, if a folder is named and something will be trained."""
        folder = os.environ.get(FOLDER, "").strip()
        if not folder or not plan.todo:
            return
        try:
            # Here, not in the background: two threads that import parts of torch at the same time
            # can each be handed a module that is half made.
            import_module("torch.utils.tensorboard")
        except Exception as error:
            import logging

            from mritk import one_line

            logging.getLogger("mritk").warning(
                "%s is set, but TensorBoard logging failed (%s); the run continues without it; "
                "install missing packages with: python -m pip install 'mritk-bench[tensorboard]'",
                FOLDER,
                one_line(error),
            )
            return
        from mritk import Background
        from mritk_tensorboard.event_files import EventFiles

        self.files = EventFiles(user_path(folder).absolute())
        self.background = Background("tensorboard", REMEDY)

    @hookimpl
    def mritk_trial_start(self, trial: Trial) -> None:
        """Close the files of an earlier attempt at a trial."""
        if self.background and self.files:
            self.background.call(self.files.start, trial, must=True)

    @hookimpl
    def mritk_epoch_end(self, trial: Trial, epoch: Epoch) -> None:
        """Write an epoch."""
        if self.background and self.files:
            self.background.call(self.files.epoch, trial, epoch)

    @hookimpl
    def mritk_trial_finish(self, trial: Trial, outcome: Outcome) -> None:
        """End the files of a trial, with its error if it failed."""
        if self.background and self.files:
            self.background.call(self.files.finish, trial, outcome.error, must=True)

    @hookimpl
    def mritk_run_finish(self) -> None:
        """Close the files of a trial that was stopped, and wait a little."""
        if self.background and self.files:
            self.background.call(self.files.close, must=True)
            self.background.close()
            self.background = self.files = None
