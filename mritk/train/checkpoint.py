"""What a trial needs to resume after a stop, in one file that is whole or not there.

    mritk checkpoint 2\\n   BLAKE2b of the rest, in hexadecimal\\n   torch.save of the content

A file that was cut short, altered, or written for another trial or another version is refused by
name, and the trial starts again: resumed from it, it could not end as an uninterrupted one.

Beside it there may be a folder, for what a method keeps in files of its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from mritk.errors import Stopped, StoreError
from mritk.files.atomic import open_whole
from mritk.files.draft import remove
from mritk.machine.engine import Engine
from mritk.method import Epoch
from mritk.store.folder import FILES

logger = logging.getLogger("mritk")

# Raise the number when what is saved, or what is computed from it, is no longer the same.
MAGIC = b"mritk checkpoint 2\n"
DIGEST_BYTES = 32


class Checkpoint:
    """The checkpoint of one trial.

    Attributes:
        path: The file.
        identity: What the trial and the programs that train it are called; a file of another
            identity is not read.
        history: The epochs so far; shared with whoever keeps the trial's history.
        every: Seconds after which :attr:`due` asks for a checkpoint within an epoch.
        share: What checkpoints after epochs may take of the time.
        must_stop: Tells whether the trial must end; the next checkpoint is due then, and the last.
        resumed: Whether an earlier attempt was resumed from here.
    """

    def __init__(
        self,
        path: Path,
        identity: Mapping[str, str],
        history: list[Epoch],
        every: float = Engine.checkpoint_seconds,
        must_stop: Callable[[], bool] = lambda: False,
        share: float = math.inf,
    ) -> None:
        self.path, self.identity, self.history = path, dict(identity), history
        self.every, self.share = every, share
        self.must_stop = must_stop
        self._written, self._cost = time.monotonic(), 0.0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._told = self.resumed = False
        self._pending: Future[None] | None = None

    @property
    def folder(self) -> Path:
        """A folder for files of the method, made if necessary; emptied of another identity's.

        Raises:
            StoreError: It cannot be made.
        """
        folder = self.path.with_suffix(FILES)
        label, own = folder / "identity.json", json.dumps(self.identity, sort_keys=True)
        with suppress(OSError):
            if label.read_text(encoding="utf-8") == own:
                return folder
        if folder.exists():
            logger.warning("%s is of another attempt and is emptied; the trial restarts", folder)
        try:
            remove(folder)
            folder.parent.mkdir(exist_ok=True)
            folder.mkdir()
            label.write_text(own, encoding="utf-8")
        except OSError as error:
            raise StoreError(f"cannot make {folder}: {error.strerror or error}") from error
        return folder

    @property
    def due(self) -> bool:
        """True if the last checkpoint lies further back than ``every``, or the trial must end."""
        return time.monotonic() - self._written >= self.every or self.must_stop()

    @property
    def worthwhile(self) -> bool:
        """True after an epoch if a checkpoint is due or takes no more than its share."""
        spent = time.monotonic() - self._written
        return self.due or not self._cost or self.share * spent >= self._cost

    def save(self, state: Mapping[str, Any]) -> None:
        """Write ``state``: tensors and plain data. Training may change the tensors at once.

        A copy is written beside the training; the next call waits until it is on disk. One that
        cannot be written is told in the log, once, and harms nothing else.

        Raises:
            Stopped: The trial must end; the checkpoint is on disk, if it could be written.
        """
        self.wait()
        began = time.monotonic()
        content = {
            "identity": self.identity,
            "history": [asdict(epoch) for epoch in self.history],
            "state": _copied(state),
        }
        self._written = time.monotonic()
        self._pending = self._pool.submit(self._write, content, began)
        if self.must_stop():
            self.wait()
            raise Stopped

    def wait(self) -> None:
        """Wait until what was saved is on disk, or could not be written."""
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        error = pending.exception()
        if error is not None and not self._told:
            self._told = True
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            logger.warning(
                "checkpoint %s cannot be written (%s); the trial continues, but could not be "
                "resumed from it",
                self.path,
                reason,
            )

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, and put the saved epochs into ``history``.

        None if there is none, or only one that must not be used; a line of the log says why.
        """
        try:
            content = _content_of(self.path)
            if content["identity"] != self.identity:
                raise _Refused(f"it belongs to {_differing(content['identity'], self.identity)}")
        except FileNotFoundError:
            return None
        except _Refused as refusal:
            logger.warning("checkpoint %s is not used: %s; the trial restarts", self.path, refusal)
            return None
        self.resumed = True
        self.history[:] = [Epoch(**epoch) for epoch in content["history"]]
        return content["state"]

    def close(self) -> None:
        """End the writing."""
        self.wait()
        self._pool.shutdown()

    def _write(self, content: Mapping[str, Any], began: float) -> None:
        """Write, and note what it took since ``began``."""
        buffer = io.BytesIO()
        torch.save(content, buffer)
        payload = buffer.getbuffer()
        with open_whole(self.path, parents=1) as stream:
            stream.write(MAGIC + _digest(payload) + b"\n")
            stream.write(payload)
        self._cost = time.monotonic() - began


def stored_epochs(path: Path) -> list[Epoch]:
    """Return the epochs that a checkpoint file tells of; none if it cannot be read."""
    try:
        return [Epoch(**epoch) for epoch in _content_of(path)["history"]]
    except (FileNotFoundError, _Refused):
        return []


class _Refused(Exception):
    """Why a trial is not resumed from a file."""


def _content_of(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            head = stream.read(len(MAGIC))
            digest = stream.read(2 * DIGEST_BYTES + 1).strip()
            payload = stream.read()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _Refused(f"it cannot be read ({error.strerror or error})") from error
    if head != MAGIC:
        raise _Refused("it is not a checkpoint of this format")
    if digest != _digest(payload):
        raise _Refused("it is damaged")
    try:
        return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
    except Exception as error:
        raise _Refused(f"torch cannot read it ({type(error).__name__})") from error


def _digest(payload: memoryview | bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=DIGEST_BYTES).hexdigest().encode()


def _differing(found: Mapping[str, str], own: Mapping[str, str]) -> str:
    names = [name for name in {**found, **own} if found.get(name) != own.get(name)]
    return ", ".join(f"{name} {found.get(name)}, not {own.get(name)}" for name in sorted(names))


def _copied(value: Any) -> Any:
    """Return ``value`` with every tensor copied into host memory."""
    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    return [_copied(inner) for inner in value] if isinstance(value, (list, tuple)) else value
