"""A store that is a SQLite database: MLflow makes its tables here, to the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from mritk import MritkError, locked, one_line

# What SQLite says when MLflow makes tables, or columns of them, that are there already.
HALF_MADE = ("already exists", "duplicate column")


class HalfMade(MritkError):
    """MLflow began to make the tables of a database, and never ended."""


def file_of(uri: str) -> Path | None:
    """Return the file of a SQLite database; None for a server, a folder, or one in memory."""
    if not uri.startswith(("sqlite:", "sqlite+")):
        return None
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    return Path(name) if name and name != ":memory:" else None


def open_database(file: Path, connect: Callable[[], object]) -> None:
    """Call ``connect``, in which MLflow makes the tables of a new database or renews older ones.

    That takes seconds, and a database in which it was begun and not ended can never be opened
    again. So it is done by one process at a time, and Ctrl-C waits for its end.

    Raises:
        HalfMade: It was begun before and not ended.
        OSError, sqlite3.Error: The file cannot be made, or holds no database.
        Exception: Whatever else mlflow raises.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f"{file.name}.lock")
    with locked(lock, f"makes MLflow's tables in {file}"), ThreadPoolExecutor(1) as thread:
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA schema_version")  # MLflow would try again for minutes
        try:
            thread.submit(connect).result()
        except Exception as error:
            if any(words in str(error) for words in HALF_MADE):
                raise HalfMade(
                    f"MLflow's tables in {file} are half made, as by a process that was killed "
                    f"meanwhile: {one_line(getattr(error, 'orig', error))}"
                ) from error
            raise
