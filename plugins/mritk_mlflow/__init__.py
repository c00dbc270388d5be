"""Tells an MLflow tracking server or store, that ``MLFLOW_TRACKING_URI`` names, of all trials.

Without that variable the plugin does nothing and imports nothing.
"""

from __future__ import annotations

import os
import time
from importlib import import_module
from typing import TYPE_CHECKING

from mritk import hookimpl

if TYPE_CHECKING:
    from mritk import Background, Epoch, Outcome, Plan, Trial
    from mritk_mlflow.runs import Runs

URI = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
INSTALL = "install missing packages with: python -m pip install 'mritk-bench[mlflow]'"
REPAIR = "restore the file from a backup, or delete it if it holds no runs yet"
REMEDY = f"check {URI} and {EXPERIMENT}, or unset {URI}"

# mlflow reports its use to its makers, and prints links to stdout, where mritk's tables are.
# Unless a person has said otherwise, it shall do neither.
SILENCE = ("MLFLOW_DISABLE_TELEMETRY", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT")


class MLflow:
    """The moments at which something is told."""

    def __init__(self) -> None:
        self.background: Background | None = None
        self.runs: Runs | None = None
        self.unfinished: dict[str, Trial] = {}

    @hookimpl
    def mritk_run_start(self, plan: Plan) -> None:
        """Get ready, if a tracking URI is given and something will be trained."""
        uri = os.environ.get(URI, "").strip()
        if not uri or not plan.todo:
            return
        for variable in SILENCE:
            os.environ.setdefault(variable, "true")
        try:
            # Here, not in the background: two threads that import parts of one library at the same
            # time can each be handed a module that is half made.
            import_module("mlflow")
        except Exception as error:
            warn(error, INSTALL)
            return
        from mritk import Background
        from mritk_mlflow.database import HalfMade, database_of, open_database
        from mritk_mlflow.runs import Runs

        runs = Runs(uri, os.environ.get(EXPERIMENT, "").strip() or "mritk")
        try:
            # Here, not in the background, which leaves behind what takes too long. A server may
            # never answer, and must not hold up the run.
            if database := database_of(uri):
                open_database(database, runs.connect)
        except HalfMade as error:
            warn(error, REPAIR)
            return
        except Exception as error:
            warn(error, REMEDY)
            return
        self.runs = runs
        self.background = Background("mlflow", REMEDY)

    @hookimpl
    def mritk_trial_start(self, trial: Trial) -> None:
        """Begin a run."""
        if self.background and self.runs:
            self.unfinished[trial.id] = trial
            self.background.call(self.runs.start, trial, now(), must=True)

    @hookimpl
    def mritk_epoch_end(self, trial: Trial, epoch: Epoch) -> None:
        """Tell an epoch."""
        if self.background and self.runs:
            self.background.call(self.runs.epoch, trial, epoch, now())

    @hookimpl
    def mritk_trial_finish(self, trial: Trial, outcome: Outcome) -> None:
        """End a run as finished or failed."""
        if self.background and self.runs:
            self.unfinished.pop(trial.id, None)
            status = "FAILED" if outcome.error else "FINISHED"
            self.background.call(self.runs.end, trial, status, now(), outcome.error, must=True)

    @hookimpl
    def mritk_run_finish(self) -> None:
        """End the run of a trial that was stopped as killed, and wait a little."""
        if self.background and self.runs:
            for trial in self.unfinished.values():
                self.background.call(self.runs.end, trial, "KILLED", now(), must=True)
            self.background.close()
            self.background = self.runs = None
            self.unfinished.clear()


def now() -> int:
    """Return the time in milliseconds: when something happened, not when it is told."""
    return int(time.time() * 1000)


def warn(error: Exception, remedy: str) -> None:
    """Tell that there is no logging, and what helps."""
    import logging

    from mritk import one_line

    logging.getLogger("mritk").warning(
        "%s is set, but MLflow logging failed (%s); the run continues without it; %s",
        URI,
        one_line(error),
        remedy,
    )
