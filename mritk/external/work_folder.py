"""Where a trial keeps the files of its program."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mritk.files.draft import remove
from mritk.method import CheckpointStore

logger = logging.getLogger("mritk")

# What cases look like as files: those of another version are not mixed with these.
FILES = 2


@dataclass(frozen=True)
class WorkFolder:
    """A folder that an attempt to train a trial finds as the last one left it.

    Attributes:
        path: The folder, absolute.
        resumed: Whether an earlier attempt left it.
    """

    path: Path
    resumed: bool = False
    _kept: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, checkpoint: CheckpointStore | None, lock: Mapping[str, Any]) -> WorkFolder:
        """Return the folder beside a checkpoint; without one, a temporary one.

        Args:
            checkpoint: The trial's.
            lock: What the program is made of; a folder that another one filled is emptied.
        """
        beside = getattr(checkpoint, "folder", None)
        if beside is None:
            kept = TemporaryDirectory(prefix="mritk-", ignore_cleanup_errors=True)
            return cls(Path(kept.name), _kept=kept)
        path = Path(beside).absolute() / "program"
        label = path / "lock.json"
        own = json.dumps({**lock, "files of cases": FILES}, sort_keys=True)
        if label.is_file() and label.read_text(encoding="utf-8") == own:
            return cls(path, resumed=True)
        if path.exists():
            logger.warning("%s is of another environment or program; the trial restarts", path)
            remove(path)
        path.mkdir()
        label.write_text(own, encoding="utf-8")
        return cls(path)

    def did(self, step: str) -> bool:
        """Tell whether a step was completed, by this attempt or an earlier one."""
        return (self.path / f"{step}.done").exists()

    def note(self, step: str) -> None:
        """Note that a step is completed."""
        (self.path / f"{step}.done").touch()
