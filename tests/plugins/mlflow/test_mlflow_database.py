"""A SQLite database is made to the end, by one process at a time."""

from __future__ import annotations

import signal
import sqlite3
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from threading import current_thread, main_thread

import pytest

from mritk import MritkError
from mritk_mlflow.database import Database, database_of, open_database


@pytest.mark.slow
def test_a_run_that_ends_at_once_leaves_a_new_database_whole(
    run_with_patience, tmp_path, monkeypatch
):
    uri = f"sqlite:///{tmp_path / 'new' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert run_with_patience(0.0).returncode == 0

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
        open_database(Database(tmp_path / "mlflow.db", f"{tmp_path}/mlflow.db"), make)
    assert made == ["all tables"]


def test_tables_are_made_by_one_at_a_time(tmp_path):
    at_work, met = [], []

    def make():
        at_work.append(current_thread())
        time.sleep(0.02)  # for others to come
        met.append(len(at_work))
        at_work.remove(current_thread())

    database = Database(tmp_path / "mlflow.db", f"{tmp_path}/mlflow.db")
    with ThreadPoolExecutor(3) as threads:
        done = [threads.submit(open_database, database, make) for _ in range(3)]
    assert [one.result() for one in done] == [None] * 3
    assert met == [1, 1, 1]


@pytest.mark.slow  # the import of SQLAlchemy
@pytest.mark.parametrize(
    "database",
    [
        "",
        "/:memory:",
        "/mlflow.db",
        "/{folder}/mlflow.db",
        "/{folder}/a%20b.db",
        "/file:plain.db",
        "/plain.db?uri=true",
        "/:memory:?uri=true",
        "/file::memory:?uri=true",
        "/file:runs?mode=memory&cache=shared&uri=true",
        "/file:/runs?vfs=memdb&uri=true",
        "/file:mlflow.db?uri=true",
        "/file:{folder}/mlflow.db?uri=true",
        "/file://{folder}/a%20b%3F.db?timeout=9&uri=true",
        "/file://localhost{folder}/ä.db#part?mode=rwc&uri=true",
    ],
)
def test_the_file_of_a_database_is_where_sqlite_puts_it(database, tmp_path, monkeypatch):
    from sqlalchemy import StaticPool, create_engine, text

    monkeypatch.chdir(tmp_path)
    uri = "sqlite://" + database.format(folder=tmp_path)
    found = database_of(uri)
    engine = create_engine(uri, poolclass=StaticPool)
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE runs (id)"))
        connection.commit()
        made = [*tmp_path.iterdir()]
    engine.dispose()
    assert made == ([found.file.absolute()] if found else [])


@pytest.mark.parametrize("uri", ["postgresql://host/runs", "http://localhost:5000", "mlruns"])
def test_other_stores_are_no_database_in_a_file(uri):
    assert database_of(uri) is None


@pytest.mark.slow  # the import of SQLAlchemy
def test_a_database_is_opened_as_its_uri_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "in a folder" / "mlflow.db"
    uri = f"sqlite:///{file.as_uri()}?uri=true"
    with pytest.raises(sqlite3.OperationalError):  # no file to read
        open_database(database_of(f"{uri}&mode=ro"), pytest.fail)
    assert not file.exists()
    open_database(database_of(uri), lambda: None)
    assert file.exists()
    assert [*tmp_path.iterdir()] == [file.parent]


@pytest.mark.slow  # the import of SQLAlchemy
def test_a_uri_with_two_slashes_for_three_is_refused_before_a_folder_is_made():
    with pytest.raises(MritkError, match="names a computer, runs; write file:///"):
        database_of("sqlite:///file://runs/a/mlflow.db?uri=true")
