"""MLflow's own client finds in its store what the trial files hold."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from mritk import Epoch

FIELDS = ("train_loss", "val_loss", "learning_rate", "selection")


@pytest.fixture(params=["database", "files"])
def uri(request) -> str:
    """Each kind of store that needs no server."""
    return request.getfixturevalue(request.param)


def client_of(uri: str):
    from mlflow import MlflowClient  # whose import takes more than a second

    return MlflowClient(tracking_uri=uri)


def runs_in(uri: str, experiment: str = "mritk"):
    client = client_of(uri)
    found = client.get_experiment_by_name(experiment)
    order = ["attributes.start_time ASC"]
    return client.search_runs([found.experiment_id], order_by=order) if found else []


def curve(uri: str, run, name: str) -> list[tuple[int, float]]:
    found = client_of(uri).get_metric_history(run.info.run_id, name)
    return [(metric.step, metric.value) for metric in sorted(found, key=lambda m: m.step)]


def assert_shows(uri: str, run, history) -> None:
    assert set(run.data.metrics) == set(FIELDS)
    for name in FIELDS:
        assert curve(uri, run, name) == [(e.epoch, getattr(e, name)) for e in history]


@pytest.mark.slow
def test_every_trial_is_a_run_with_its_stored_history(
    run_toy, uri, stored, stored_as_without_tracker, caplog
):
    assert run_toy("--seeds", 2).code == 0
    assert [record for record in caplog.records if record.name == "mritk"] == []
    trials, runs = stored(), runs_in(uri)
    assert len(runs) == len(trials) == 2
    for run in runs:
        trial = trials[run.data.tags["mritk.trial_id"]]
        assert run.info.run_name == f"tiny@scratch on bands seed {trial.seed}"
        assert run.info.status == "FINISHED"
        assert 0 < run.info.start_time <= run.info.end_time
        assert run.data.tags["mritk.fingerprint"] == trial.fingerprint
        assert run.data.params == {
            "backbone": trial.backbone,
            "dataset": trial.dataset,
            "augmentation": trial.augmentation,
            "method": trial.method,
            "protocol": trial.protocol,
            "selected_by": "loss",
            "fold": str(trial.fold),
            "seed": str(trial.seed),
        }
        assert_shows(uri, run, trial.history)
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_the_experiment_can_be_named_and_is_used_again(run_toy, database, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "ours")
    run_toy("--seeds", 1)
    run_toy("--seeds", 2)
    assert len(runs_in(database, "ours")) == 2
    assert runs_in(database) == []


@pytest.mark.slow
def test_the_active_run_of_a_person_is_left_alone(run_toy, database):
    import mlflow

    mlflow.set_tracking_uri(database)
    try:
        with mlflow.start_run(experiment_id="0") as own:
            run_toy("--seeds", 1)
            assert mlflow.active_run().info.run_id == own.info.run_id
        assert mlflow.get_run(own.info.run_id).data.metrics == {}
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.slow
def test_a_trial_trained_again_gets_a_run_of_its_own(run_toy, database, stored):
    run_toy("--seeds", 1)
    run_toy("--seeds", 1)  # nothing to do: nothing is told
    assert len(runs_in(database)) == 1
    run_toy("--seeds", 1, "--rerun")
    first, second = runs_in(database)
    assert first.data.tags["mritk.trial_id"] == second.data.tags["mritk.trial_id"]
    (trial,) = stored().values()
    assert_shows(database, second, trial.history)


@pytest.mark.slow
def test_a_stopped_trial_is_killed_and_goes_on_in_a_run_of_its_own(run_toy, database, stored, stop):
    """Epoch 2 was told but lost, and is trained again."""
    assert run_toy("--seeds", 1, *stop).code == 130
    (killed,) = runs_in(database)
    assert killed.info.status == "KILLED"
    assert [step for step, _ in curve(database, killed, "val_loss")] == [1, 2]
    Path(stop[1]).with_name("stop").unlink()
    assert run_toy("--seeds", 1, *stop).code == 0
    _, finished = runs_in(database)
    assert finished.info.status == "FINISHED"
    assert finished.data.tags["mritk.went_on_after_epoch"] == "1"
    (trial,) = stored().values()
    assert_shows(database, finished, trial.history[1:])


@pytest.mark.slow
def test_a_failed_trial_is_a_failed_run_with_the_error(run_toy, database, failing):
    assert run_toy("--seeds", 1).code == 3
    (run,) = runs_in(database)
    assert run.info.status == "FAILED"
    assert run.data.tags["mritk.error"].startswith("ZeroDivisionError: division by zero")


@pytest.mark.slow
def test_an_error_of_any_length_is_told(run_toy, database, failing, toy):
    toy.write_text(toy.read_text().replace("    1 / 0\n", "    raise OSError('long ' * 9999)\n"))
    assert run_toy("--seeds", 1).code == 3
    (run,) = runs_in(database)
    assert run.info.status == "FAILED"
    assert run.data.tags["mritk.error"].startswith("OSError: long long")


# -- through a server --------------------------------------------------------------------------


@pytest.mark.slow
def test_a_server_is_told_and_stdout_stays_json(run_toy, server, stored):
    ended = run_toy("--seeds", 1, "--json")
    assert ended.code == 0
    assert json.loads(ended.out), "mlflow prints links to stdout, unless it is asked not to"
    (trial,) = stored().values()
    assert server.asked("experiments/create") == [{"name": "mritk"}]
    sent = [m for body in server.asked("runs/log-batch") for m in body.get("metrics", [])]
    losses = [(m["step"], m["value"]) for m in sent if m["key"] == "val_loss"]
    assert losses == [(epoch.epoch, epoch.val_loss) for epoch in trial.history]
    assert server.asked("runs/update")[-1]["status"] == "FINISHED"


def trial_of_no_data():
    """Return what the plugin reads of a trial."""
    return SimpleNamespace(
        id="t",
        backbone_name="b",
        dataset=SimpleNamespace(record=SimpleNamespace(name="d")),
        augmentation=SimpleNamespace(name="a"),
        method=SimpleNamespace(name="m"),
        protocol=SimpleNamespace(name="p", fingerprint="f", selection=SimpleNamespace(by="loss")),
        fold=0,
        seed=0,
    )


@pytest.mark.slow
def test_a_trial_that_begins_again_leaves_no_run_open(database):
    """It had run out of memory beside others."""
    from mritk_mlflow.runs import Runs

    trial, runs = trial_of_no_data(), Runs(database, "mritk")
    runs.start(trial, 1)
    runs.epoch(trial, Epoch(1, 2, "all", 1e-3, 0.7, 0.6, 0.6, 0.1), 2)
    runs.start(trial, 3)
    runs.end(trial, "FINISHED", 4)
    assert [run.info.status for run in runs_in(database)] == ["KILLED", "FINISHED"]


@pytest.mark.slow
def test_fast_epochs_travel_together(server):
    """A server in the next town must keep up with epochs of milliseconds."""
    from mritk_mlflow.runs import Runs

    trial, runs = trial_of_no_data(), Runs(server.uri, "ours")
    runs.start(trial, 1)
    for number in range(1, 601):
        runs.epoch(trial, Epoch(number, 600, "all", 1e-3, 0.7, 0.6, 0.6, 0.1), 1)
    runs.end(trial, "FINISHED", 2)
    batches = [body["metrics"] for body in server.asked("runs/log-batch") if "metrics" in body]
    assert max(map(len, batches)) <= 1000, "the most that a server takes"
    assert len(batches) < 60
    steps = [m["step"] for batch in batches for m in batch if m["key"] == "val_loss"]
    assert steps == list(range(1, 601))
