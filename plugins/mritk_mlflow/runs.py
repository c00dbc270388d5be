"""Trials as runs of an MLflow experiment: one run for each training of a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from mritk import Epoch
    from mritk.trial import Trial

METRICS = ("train_loss", "val_loss", "learning_rate", "selection")
LONGEST_TAG = 5000  # characters; servers refuse longer ones


class Runs:
    """Writes trials through an ``MlflowClient``; MLflow's active run is left alone.

    All methods belong to one thread, and wait for the server. Times are milliseconds since 1970.

    Raises:
        Exception: From any method: whatever mlflow raises when it cannot be reached, or refuses.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        self._uri, self._experiment = uri, experiment
        self._connection: tuple[MlflowClient, str] | None = None
        self._run_ids: dict[str, str] = {}
        self._begun: set[str] = set()

    def start(self, trial: Trial, time: int) -> None:
        """Create a run, with the trial's place in the benchmark as parameters."""
        from mlflow.entities import Param

        client, experiment = self._connect()
        tags = {"mritk.trial_id": trial.id, "mritk.fingerprint": trial.protocol.fingerprint}
        run = client.create_run(experiment, start_time=time, tags=tags, run_name=str(trial))
        self._run_ids[trial.id] = run.info.run_id
        parameters = [Param(key, value) for key, value in _parameters(trial).items()]
        client.log_batch(run.info.run_id, params=parameters, synchronous=True)

    def epoch(self, trial: Trial, epoch: Epoch, time: int) -> None:
        """Add an epoch to the metrics, its number as the step."""
        from mlflow.entities import Metric

        if (run := self._run_ids.get(trial.id)) is None:
            return
        client, _ = self._connect()
        if run not in self._begun and epoch.epoch > 1:
            client.set_tag(run, "mritk.went_on_after_epoch", str(epoch.epoch - 1))
        self._begun.add(run)
        values = [Metric(name, getattr(epoch, name), time, epoch.epoch) for name in METRICS]
        client.log_batch(run, metrics=values, synchronous=True)

    def end(self, trial: Trial, status: str, time: int, error: str = "") -> None:
        """End a run as ``FINISHED``, ``FAILED`` or ``KILLED``."""
        if (run := self._run_ids.pop(trial.id, None)) is None:
            return
        client, _ = self._connect()
        if error:
            client.set_tag(run, "mritk.error", error[:LONGEST_TAG])
        client.set_terminated(run, status, time)

    def _connect(self) -> tuple[MlflowClient, str]:
        """Return the client, and the id of the experiment, which is made if it is not there."""
        if self._connection is None:
            from mlflow import MlflowClient

            client = MlflowClient(tracking_uri=self._uri)
            self._connection = client, _experiment_id(client, self._experiment)
        return self._connection


def _experiment_id(client: MlflowClient, name: str) -> str:
    from mlflow.exceptions import MlflowException

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
