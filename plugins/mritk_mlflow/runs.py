"""Trials as runs of an MLflow experiment: one run for each training of a trial."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from mlflow import MlflowClient
from mlflow.entities import Metric, Param
from mlflow.exceptions import MlflowException

from mritk import Epoch, Trial

METRICS = ("train_loss", "val_loss", "learning_rate", "selection")
LONGEST_TAG = 5000  # characters; servers refuse longer ones
LARGEST_BATCH = 1000  # metrics; likewise
REST = 1.0  # seconds between two batches of one run


@dataclass
class OpenRun:
    """A run that has not ended, with the metrics that are still to be sent."""

    id: str
    metrics: list[Metric] = field(default_factory=list)
    last_epoch: int = 0
    sent_at: float = -math.inf


class Runs:
    """Writes trials through an ``MlflowClient``; MLflow's active run is left alone.

    Its methods are for one thread at a time, and wait for the server. Times are milliseconds since
    1970.

    Raises:
        Exception: From any method: whatever mlflow raises when it cannot be reached, or refuses.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri, self._experiment = uri, experiment
        self._connection: tuple[MlflowClient, str] | None = None
        self._open: dict[str, OpenRun] = {}

    def connect(self) -> tuple[MlflowClient, str]:
        """Return the client, and the id of the experiment, which is made if it is not there."""
        if self._connection is None:
            client = MlflowClient(tracking_uri=self._uri)
            self._connection = client, _experiment_id(client, self._experiment)
        return self._connection

    def start(self, trial: Trial, at: int) -> None:
        """Create a run, with the trial's place in the benchmark as parameters.

        An open one of the trial ends: it ran out of memory beside others, and begins again alone.
        """
        self.end(trial, "KILLED", at)
        client, experiment = self.connect()
        tags = {"mritk.trial_id": trial.id, "mritk.fingerprint": trial.protocol.fingerprint}
        created = client.create_run(experiment, start_time=at, tags=tags, run_name=str(trial))
        run = self._open[trial.id] = OpenRun(created.info.run_id)
        parameters = [Param(key, value) for key, value in _parameters(trial).items()]
        client.log_batch(run.id, params=parameters, synchronous=True)

    def epoch(self, trial: Trial, epoch: Epoch, at: int) -> None:
        """Add an epoch to the metrics, its number as the step.

        Epochs that follow each other within :data:`REST` are sent together, so that a slow server
        can keep up with a fast training.
        """
        if (run := self._open.get(trial.id)) is None:
            return
        if run.last_epoch == 0 and epoch.epoch > 1:
            client, _ = self.connect()
            client.set_tag(run.id, "mritk.went_on_after_epoch", str(epoch.epoch - 1))
        run.last_epoch = epoch.epoch
        run.metrics += [Metric(name, getattr(epoch, name), at, epoch.epoch) for name in METRICS]
        full = len(run.metrics) + len(METRICS) > LARGEST_BATCH
        if full or time.monotonic() - run.sent_at >= REST:
            self._send(run)

    def end(self, trial: Trial, status: str, at: int, error: str = "") -> None:
        """End a run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        if (run := self._open.pop(trial.id, None)) is None:
            return
        self._send(run)
        client, _ = self.connect()
        if error:
            client.set_tag(run.id, "mritk.error", error[:LONGEST_TAG])
        client.set_terminated(run.id, status, at)

    def _send(self, run: OpenRun) -> None:
        if run.metrics:
            client, _ = self.connect()
            client.log_batch(run.id, metrics=run.metrics, synchronous=True)
            run.metrics = []
            run.sent_at = time.monotonic()


def _experiment_id(client: MlflowClient, name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name)
        except MlflowException:
            # Another process that started with this one may have made it.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return found.experiment_id


def _parameters(trial: Trial) -> dict[str, str]:
    return {
        "backbone": trial.backbone_name,
        "dataset": trial.dataset.record.name,
        "augmentation": trial.augmentation.name,
        "method": trial.method.name,
        "protocol": trial.protocol.name,
        "selected_by": trial.protocol.selection.by,
        "fold": str(trial.fold),
        "seed": str(trial.seed),
    }
