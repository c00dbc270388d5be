"""A SQLite database is made to the end, by one process at a time."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import current_thread, main_thread

import pytest

from mritk_mlflow.database import file_of, open_database

IN_A_HURRY = """
from mritk import Background
from mritk.__main__ import run
Background.PATIENCE = 0.0
run()
"""


@pytest.mark.slow
def test_a_run_that_ends_at_once_leaves_a_new_database_whole(
    toy, fast_protocol, tmp_path, monkeypatch
):
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    command = ["run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol]
    command += ["-o", tmp_path / "results", "--device", "cpu", "--seeds", 1]
    subprocess.run([sys.executable, "-c", IN_A_HURRY, *map(str, command)], check=True)

    from mlflow import MlflowClient

    made = MlflowClient(tracking_uri=uri).search_experiments()
    assert {experiment.name for experiment in made} == {"Default", "mritk"}


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="sends the signal to a thread")
def test_ctrl_c_waits_until_the_tables_are_made(tmp_path):
    made = []

    def is_waited_for():
        frame = sys._current_frames()[main_thread().ident]
        while frame is not None and frame.f_code is not Future.result.__code__:
            frame = frame.f_back
        return frame is not None

    def make():
        while not is_waited_for():
            time.sleep(0.001)
        signal.pthread_kill(main_thread().ident, signal.SIGINT)
        time.sleep(0.05)  # in which the signal is heard
        made.append("all tables")

    with pytest.raises(KeyboardInterrupt):
        open_database(tmp_path / "mlflow.db", make)
    assert made == ["all tables"]


def test_tables_are_made_by_one_at_a_time(tmp_path):
    at_work, met = [], []

    def make():
        at_work.append(current_thread())
        time.sleep(0.02)  # for others to come
        met.append(len(at_work))
        at_work.remove(current_thread())

    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(open_database, tmp_path / "mlflow.db", make) for _ in range(3)]
    assert [one.result() for one in done] == [None] * 3
    assert met == [1, 1, 1]


@pytest.mark.slow  # the import of SQLAlchemy
@pytest.mark.parametrize(
    ("uri", "file"),
    [
        ("sqlite:///mlflow.db", Path("mlflow.db")),
        ("sqlite:////runs/mlflow.db", Path("/runs/mlflow.db")),
        ("sqlite+pysqlite:///a/b.db?timeout=9", Path("a/b.db")),
        ("sqlite://", None),
        ("sqlite:///:memory:", None),
        ("postgresql://host/runs", None),
        ("http://localhost:5000", None),
        ("mlruns", None),
    ],
)
def test_which_stores_are_a_database_in_a_file(uri, file):
    assert file_of(uri) == file
