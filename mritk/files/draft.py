"""The names of files and folders that are not complete yet, and when nobody will complete them.

A draft stands beside what it will become: ``.NAME.MACHINE-PROCESS-RANDOM.tmp``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

# A process of another machine cannot be asked; it writes to its draft more often than this.
SECONDS_OF_SILENCE = 24 * 3600
WRITER = re.compile(r"\.([0-9a-f]{8})-(\d+)-[0-9a-f]+\.tmp$")


def draft_of(path: Path) -> Path:
    """Return a name beside ``path`` that nobody else uses, for what will be ``path``."""
    writer = f"{_machine()}-{os.getpid()}-{uuid4().hex[:12]}"
    return path.with_name(f".{path.name}.{writer}.tmp")


def drafts_in(folder: Path) -> Iterator[Path]:
    """Yield the files and folders in ``folder`` that are not complete, of any version of mritk.

    Locks are none: they stay, empty, and who deletes one that is held lets a second process in.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix != ".lock" and (path.name.startswith(".") or path.suffix == ".tmp"):
            yield path


def is_abandoned(draft: Path) -> bool:
    """Whether nobody will complete a draft.

    Its process, on this machine, is no more; or, where that cannot be asked, it is a day old.
    """
    writer = WRITER.search(draft.name)
    if writer and writer[1] == _machine() and not is_alive(int(writer[2])):
        return True
    try:
        return time.time() - last_touched(draft) > SECONDS_OF_SILENCE
    except FileNotFoundError:  # completed just now
        return False


def last_touched(path: Path) -> float:
    """Return when a file, or anything in a folder, was last written, in seconds of the clock.

    Raises:
        FileNotFoundError: It, or something in it, is gone.
    """
    inside = path.rglob("*") if path.is_dir() else ()
    return max(one.lstat().st_mtime for one in (path, *inside))


def remove_abandoned(folder: Path) -> None:
    """Delete the drafts in ``folder`` that nobody will complete, and nothing that is named else."""
    for draft in drafts_in(folder):
        # Plugins write where people keep hidden files of their own.
        if WRITER.search(draft.name) and is_abandoned(draft):
            remove(draft)


def remove(path: Path) -> None:
    """Delete a file, or a folder with all in it, as far as that is allowed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _machine() -> str:
    """Return a name for this machine; containers that number their processes apart differ."""
    try:
        numbering = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        numbering = 0
    return hashlib.sha256(f"{platform.node()} {numbering}".encode()).hexdigest()[:8]


def is_alive(process: int) -> bool:
    if os.name == "nt":  # where signal 0 would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
