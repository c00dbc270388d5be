"""A store that is a SQLite database: MLflow makes its tables here, to the end."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mritk import MritkError, locked, one_line

# What SQLite says when MLflow makes tables, or columns of them, that are there already.
HALF_MADE = ("already exists", "duplicate column")
IN_MEMORY = {"mode=memory", "vfs=memdb"}  # in the query of a URI of SQLite


class HalfMade(MritkError):
    """MLflow began to make the tables of a database, and never ended."""


class Database(NamedTuple):
    """A SQLite database in a file.

    Attributes:
        file: Where it is.
        name: What SQLite opens: the path, or a ``file:`` URI.
        options: What SQLAlchemy hands to ``sqlite3.connect`` beside the name.
    """

    file: Path
    name: str
    options: Mapping[str, Any] = {}


def database_of(uri: str) -> Database | None:
    """Return the SQLite database of a store; None for a server, a folder, or one in memory.

    Raises:
        MritkError, ValueError, sqlalchemy.exc.SQLAlchemyError: SQLite cannot open such a URI.
    """
    if not uri.startswith(("sqlite:", "sqlite+")):
        return None
    from sqlalchemy.engine import make_url

    url = make_url(uri)
    (name,), options = url.get_dialect()().create_connect_args(url)
    file = _file_of(name or "") if options.get("uri") else name
    return Database(Path(file), name, options) if file and file != ":memory:" else None


def _file_of(name: str) -> str:
    """Return the file of what SQLite may read as a URI; nothing for one in memory."""
    if not name.startswith("file:"):
        return name
    parts = urlsplit(name)
    if parts.netloc not in ("", "localhost"):
        raise MritkError(f"{name} names a computer, {parts.netloc}; write file:///FOLDER/FILE")
    in_memory = not IN_MEMORY.isdisjoint(parts.query.split("&"))
    return "" if in_memory else url2pathname(parts.path)


def open_database(database: Database, connect: Callable[[], object]) -> None:
    """Call ``connect``, in which MLflow makes the tables of a new database or renews older ones.

    That takes seconds, and a database in which it was begun and not ended can never be opened
    again. So it is done by one process at a time, and Ctrl-C waits for its end.

    Raises:
        HalfMade: It was begun before and not ended.
        OSError, sqlite3.Error: The file cannot be made, or holds no database.
        Exception: Whatever else mlflow raises.
    """
    file = database.file
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = file.with_name(f"{file.name}.lock")
    with locked(lock, f"makes MLflow's tables in {file}"), ThreadPoolExecutor(1) as thread:
        with closing(sqlite3.connect(database.name, **database.options)) as opened:
            opened.execute("PRAGMA schema_version")  # MLflow would try again for minutes
        try:
            thread.submit(connect).result()
        except Exception as error:
            if any(words in str(error) for words in HALF_MADE):
                raise HalfMade(
                    f"MLflow's tables in {file} are half made, as by a process that was killed "
                    f"meanwhile: {one_line(getattr(error, 'orig', error))}"
                ) from error
            raise
