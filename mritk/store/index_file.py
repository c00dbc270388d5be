"""The index of a results folder, ``trials.index``: what was read of trial files before.

Nothing depends on it, and it is no evidence: it spares reading again what the file system says was
not written since. Lost, torn, or made by other code, it is made anew from the trial files. What it
says holds for files with certain stamps, which no copy has: an index that came with a folder says
nothing.

The first line names the format and the code that made it, the last one states the SHA-256 of all
lines before it. Each line between is a key, a tab, and JSON.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import mritk
from mritk.errors import StoreError
from mritk.files.atomic import write_whole
from mritk.files.code_state import digest_of_sources, versions
from mritk.store.trial_state import TrialState

logger = logging.getLogger("mritk")

FORMAT = 1
# What shapes the lines: other code, other lines.
PACKAGES = ("results", "store", "evaluate", "protocol", "data", "splits", "reading", "audit")
LIBRARIES = ("numpy", "scipy", "h5py")
SHARED, TRIAL, TABLE = "shared ", "trial ", "table "
REFERENCE = re.compile(rb'"@([0-9a-f]{32})"')
# The beginning of the line of a trial: the stamp of its file, and its state. The rest of the line
# is longer, and few need it.
STATE = re.compile(rb'\[\[(\d+),(-?\d+),(-?\d+),(\d+)\],"(finished|failed)"[],]')
KEPT = {b"finished": TrialState.FINISHED, b"failed": TrialState.FAILED}
# Tables of which the estimates are kept.
MOST_TABLES = 50

# What the file system says of a file: size, time of the last change of its content and of anything
# about it, and number. The second time cannot be set by who writes the file.
Stamp = tuple[int, int, int, int]


def stamp_of(path: Path | str) -> Stamp | None:
    """Return the stamp of a regular file; None if there is none that could be read."""
    try:
        found = os.stat(path)  # noqa: PTH116 - a Path takes longer to make than this call
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def time_of(folder: Path) -> int | None:
    """Return what time it is by the clock that stamps files in a folder, in nanoseconds.

    A file with an earlier stamp than this moment gets another stamp if it is written again; with
    the same stamp it might not, as clocks of file systems tick slowly. None: nothing can be written
    there.
    """
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0")
            probe.flush()
            return os.fstat(probe.fileno()).st_mtime_ns
    except OSError:
        return None


def is_settled(stamp: Stamp | None, began: int | None) -> bool:
    """Whether a file with this stamp gets another one if it is written after the time ``began``."""
    return stamp is not None and began is not None and max(stamp[1], stamp[2]) < began


@lru_cache(maxsize=1)
def code_at_work() -> str:
    """Return the digest of all code that shapes what the index holds."""
    root = Path(mritk.__file__).parent
    digest = hashlib.sha256("\n".join(versions(LIBRARIES)).encode())
    for name in PACKAGES:
        digest.update(digest_of_sources(root / name / "__init__.py").encode())
    return digest.hexdigest()[:32]


@dataclass(eq=False)
class IndexFile:
    """The lines of an index.

    Attributes:
        path: The file.
        lines: JSON by key.
    """

    path: Path
    lines: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> IndexFile:
        """Return the index in a file; an empty one if it is not there, not whole, or of other code.

        Lines are not looked into before somebody asks for them.
        """
        try:
            content = path.read_bytes() if stamp_of(path) else b""
        except (OSError, MemoryError):
            content = b""
        body, head = content[: -len(_seal(b""))], _head()
        if not body.startswith(head) or content[len(body) :] != _seal(body):
            return cls(path)
        rows = (row.split(b"\t", 1) for row in body[len(head) :].splitlines())
        try:
            return cls(path, {key.decode(): value for key, value in rows})
        except ValueError:  # somebody else wrote and sealed it
            return cls(path)

    def state(self, trial_id: str, stamp: Stamp | None) -> TrialState | None:
        """Return the state of a trial; None unless its file was read when it had this stamp."""
        line = self.lines.get(f"{TRIAL}{trial_id}")
        if line is None or stamp is None:
            return None
        found = STATE.match(line)
        if found is None or tuple(map(int, found.groups()[:4])) != stamp:
            return None
        return KEPT[found[5]]

    def note_state(
        self, trial_id: str, state: TrialState, stamp: Stamp | None, began: int | None
    ) -> bool:
        """Keep the state of a trial, and tell whether it is one that is kept.

        Args:
            trial_id: The trial.
            state: Its state.
            stamp: That of its file, taken before it was read.
            began: What :func:`time_of` told before that.
        """
        if state.value.encode() not in KEPT or not is_settled(stamp, began):
            return False
        line = json.dumps([stamp, state.value], separators=(",", ":"))
        self.lines[f"{TRIAL}{trial_id}"] = line.encode()
        return True

    def write(self) -> None:
        """Write the index, whole or not at all; where that is not possible, nothing is lost."""
        self._forget()
        rows = [b"%s\t%s\n" % (key.encode(), value) for key, value in self.lines.items()]
        body = b"".join([_head(), *rows])
        try:
            write_whole(self.path, body + _seal(body), parents=0)
        except StoreError as error:
            logger.debug("%s", error)

    def _forget(self) -> None:
        """Drop what no trial refers to any more, and the oldest tables."""
        used = {
            f"{SHARED}{reference.decode()}"
            for key, value in self.lines.items()
            if key.startswith(TRIAL)
            for reference in REFERENCE.findall(value)
        }
        tables = [key for key in self.lines if key.startswith(TABLE)]
        old = {key for key in self.lines if key.startswith(SHARED)} - used
        for key in (*old, *tables[:-MOST_TABLES]):
            del self.lines[key]

    def share(self, text: str) -> str:
        """Keep what many lines have in common, and return the reference to it."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        self.lines[f"{SHARED}{digest}"] = text.encode()
        return f"@{digest}"

    def shared(self, reference: str) -> bytes:
        """Return what a reference means.

        Raises:
            KeyError: There is no such thing.
        """
        return self.lines[f"{SHARED}{reference[1:]}"]


def _head() -> bytes:
    return f"mritk index {FORMAT} {code_at_work()}\n".encode()


def _seal(body: bytes) -> bytes:
    return f"sha256 {hashlib.sha256(body).hexdigest()}\n".encode()
