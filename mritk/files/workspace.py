"""Where mritk keeps its own files on this machine, and whether it may use the network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mritk.errors import UsageError

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class Workspace:
    """Folders and network access for plugins.

    Attributes:
        home: Folder for generated and decoded data. Pretrained weights are not stored
            here, but in the caches of the libraries that download them (Hugging Face, torch).
        offline: True if downloads are not allowed.
    """

    home: Path
    offline: bool = False

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, *, offline: bool = False
    ) -> Workspace:
        """Return the workspace given by ``MRITK_HOME`` and ``MRITK_OFFLINE``.

        ``offline`` disables downloads regardless of the environment. Hugging Face's own
        ``HF_HUB_OFFLINE`` counts as well.
        """
        if configured := environ.get("MRITK_HOME"):
            home = Path(configured).expanduser()
        else:
            from platformdirs import user_cache_path

            home = user_cache_path("mritk")
        wishes = (environ.get("MRITK_OFFLINE", ""), environ.get("HF_HUB_OFFLINE", ""))
        return cls(home, offline or any(wish.lower() in TRUE_WORDS for wish in wishes))

    def folder(self, *parts: str) -> Path:
        """Return ``home/parts…``, created if necessary.

        Raises:
            UsageError: It cannot be created.
        """
        path = self.home.joinpath(*parts)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"cannot create {path}: {error.strerror or error}; set MRITK_HOME to a writable "
                "folder"
            ) from error
        return path
