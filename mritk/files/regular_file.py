"""Find and open what is a file, and nothing that only looks like one."""

from __future__ import annotations

import stat
from io import BufferedReader
from pathlib import Path

from mritk.errors import DataError, StoreError


def open_regular_file(path: Path) -> BufferedReader:
    """Open a regular file for reading; links are followed.

    Reading a device such as ``/dev/zero`` never ends, and opening a pipe blocks until something is
    written to it. A dataset may contain either under the name of an image.

    Raises:
        DataError: It is a pipe, a socket, a device or a folder.
        OSError: It cannot be opened.
    """
    # Asked before opening, because to open some devices is to act on them.
    if not stat.S_ISREG(path.stat().st_mode):
        raise DataError("not a regular file (a pipe, socket, device or folder); remove it")
    return path.open("rb")


def is_regular_file(path: Path) -> bool:
    """Tell whether a regular file stands there; links are followed.

    In a folder that may not be entered ``Path.is_file`` finds no file, or raises an error, by the
    version of Python; what is in there would be passed over without a word.

    Raises:
        StoreError: It cannot be told.
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror or error}; repeat the command once it is "
            "accessible"
        ) from error
