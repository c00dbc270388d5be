"""Whatever becomes of MLflow, the trials are stored, and are those of a run without it."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from threading import Event

import pytest

from mritk import Background

NAMES = ("mlflow", "tensorboard", "mritk_mlflow.runs", "mritk_tensorboard.event_files")

PROBE = """
import sys
from mritk.cli.main import main
code = main(sys.argv[2:])
found = [name for name in sys.argv[1].split() if name in sys.modules]
print(*found, "end", int(code), file=sys.stderr)
"""


@pytest.fixture
def assert_one_warning(caplog):
    """Check that one line was told, and that it has these parts."""

    def check(*parts: str) -> None:
        (record,) = [record for record in caplog.records if record.name == "mritk"]
        for part in parts:
            assert part in record.getMessage()
        assert "\n" not in record.getMessage()
        assert record.exc_info is None

    return check


@pytest.mark.slow
def test_a_server_that_is_not_there(
    run_toy, nobody, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert run_toy("--seeds", 2).code == 0
    assert_one_warning("mlflow is disabled", "Connection refused", "unset MLFLOW_TRACKING_URI")
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_a_server_that_is_not_there_and_is_asked_again_and_again(
    run_toy, nobody, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    """MLflow itself tries for minutes, which holds up nothing but its own thread."""
    monkeypatch.setattr(Background, "PATIENCE", 0.2)
    assert run_toy("--seeds", 1).code == 0
    assert_one_warning("mlflow was too slow", "check MLFLOW_TRACKING_URI")
    stored_as_without_tracker(seeds=1)


@pytest.mark.slow
def test_a_server_that_never_answers(
    run_toy, silent_server, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    monkeypatch.setattr(Background, "PATIENCE", 0.2)
    assert run_toy("--seeds", 2).code == 0
    # Two trials with a start, three epochs and an end.
    assert_one_warning("mlflow was too slow: 10 calls were dropped")
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_a_server_that_never_answers_does_not_keep_the_process(silent_server, run_with_patience):
    done = run_with_patience(0.2)
    assert done.returncode == 0
    (line,) = [line for line in done.stderr.splitlines() if "mlflow" in line]
    assert "mlflow was too slow: 5 calls were dropped" in line
    assert "tiny@scratch" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["create_run", "log_batch", "set_terminated"])
def test_a_client_that_raises(
    run_toy, database, monkeypatch, moment, stored_as_without_tracker, assert_one_warning
):
    def refuse(*_, **__):
        raise ValueError("planted")

    monkeypatch.setattr(f"mlflow.MlflowClient.{moment}", refuse)
    assert run_toy("--seeds", 2).code == 0
    assert_one_warning("mlflow is disabled", "ValueError: planted", "unset MLFLOW_TRACKING_URI")
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_a_client_that_hangs(
    run_toy, database, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    release = Event()
    monkeypatch.setattr("mlflow.MlflowClient.log_batch", lambda *_, **__: release.wait(60))
    monkeypatch.setattr(Background, "PATIENCE", 0.1)
    assert run_toy("--seeds", 2).code == 0
    release.set()
    assert_one_warning("mlflow was too slow: 10 calls were dropped")
    stored_as_without_tracker(seeds=2)


@pytest.mark.slow
def test_a_folder_that_mlflow_no_longer_takes(
    run_toy, files, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    """Recent versions want a database, or a variable; the line hands on what they say."""
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    assert run_toy("--seeds", 1).code == 0
    assert_one_warning("mlflow is disabled", "sqlite:///mlflow.db", "MLFLOW_ALLOW_FILE_STORE")
    stored_as_without_tracker(seeds=1)


@pytest.mark.slow
def test_a_folder_that_cannot_be_made(
    run_toy, files, tmp_path, stored_as_without_tracker, assert_one_warning
):
    (tmp_path / "mlruns").write_text("a file stands in the way")
    assert run_toy("--seeds", 1).code == 0
    assert_one_warning("mlflow is disabled")
    stored_as_without_tracker(seeds=1)


@pytest.mark.slow
def test_a_folder_that_is_read_only(
    run_toy, files, tmp_path, stored_as_without_tracker, assert_one_warning
):
    (tmp_path / "mlruns").mkdir(mode=0o500)
    if os.access(tmp_path / "mlruns", os.W_OK):
        pytest.skip("root may write anywhere")
    assert run_toy("--seeds", 1).code == 0
    assert_one_warning("mlflow is disabled")
    stored_as_without_tracker(seeds=1)


@pytest.mark.slow
def test_a_database_whose_tables_are_half_made(
    run_toy, database, tmp_path, stored_as_without_tracker, assert_one_warning
):
    """As left by a process that was killed: tables without the note of how far they are."""
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as half:
        half.executescript("DELETE FROM alembic_version; DROP TABLE input_tags;")
    assert run_toy("--seeds", 1).code == 0
    assert_one_warning("half made", str(tmp_path / "mlflow.db"), "delete it if it holds no runs")
    stored_as_without_tracker(seeds=1)


@pytest.mark.slow
def test_a_database_that_cannot_be_opened(
    run_toy, database, tmp_path, stored_as_without_tracker, assert_one_warning
):
    """MLflow itself tries for minutes, which would hold up the run."""
    (tmp_path / "mlflow.db").unlink()
    (tmp_path / "mlflow.db").mkdir()
    assert run_toy("--seeds", 1).code == 0
    assert_one_warning("unable to open database file", "check MLFLOW_TRACKING_URI")
    stored_as_without_tracker(seeds=1)


@pytest.mark.slow
def test_without_mlflow_installed_a_line_says_what_to_install(
    run_toy, database, monkeypatch, stored_as_without_tracker, assert_one_warning
):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert run_toy("--seeds", 1).code == 0
    assert_one_warning("python -m pip install 'mritk-bench[mlflow]'")
    stored_as_without_tracker(seeds=1)


# -- when it is off ----------------------------------------------------------------------------


def probe(*arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, " ".join(NAMES), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_run_that_nobody_tracks_imports_no_tracker(toy, fast_protocol, tmp_path):
    names = ("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol)
    assert probe(*names, "-o", tmp_path / "results", "--seeds", 1) == "end 0"


def test_listings_import_no_tracker_even_when_they_are_on(tmp_path, monkeypatch):
    monkeypatch.setenv("MRITK_TENSORBOARD", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert probe("plugins") == "end 0"
