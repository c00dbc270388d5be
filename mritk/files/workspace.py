"""Where mritk keeps its own files on this machine, and whether it may use the network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mritk.errors import CacheError
from mritk.files.user_path import user_path

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class Workspace:
    """Folders and network access for plugins.

    Folders may be given as text; ``~`` is the home folder of the user.

    Attributes:
        home: Folder for generated and decoded data. Pretrained weights are not stored
            here, but in the caches of the libraries that download them (Hugging Face, torch).
        offline: True if downloads are not allowed.
        scratch: Folder on a disk of this machine, where it keeps decoded data and features for
            itself; None: they are in ``home``, which machines may share.
    """

    home: Path
    offline: bool = False
    scratch: Path | None = None

    def __post_init__(self) -> None:
        """Take folders as users write them."""
        object.__setattr__(self, "home", user_path(self.home))
        if self.scratch is not None:
            object.__setattr__(self, "scratch", user_path(self.scratch))

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str] = os.environ, *, offline: bool = False
    ) -> Workspace:
        """Return the workspace given by ``MRITK_HOME``, ``MRITK_SCRATCH`` and ``MRITK_OFFLINE``.

        ``offline`` disables downloads regardless of the environment. Hugging Face's own
        ``HF_HUB_OFFLINE`` counts as well.
        """
        if configured := environ.get("MRITK_HOME"):
            home = Path(configured)
        else:
            from platformdirs import user_cache_path

            home = user_cache_path("mritk")
        wishes = (environ.get("MRITK_OFFLINE", ""), environ.get("HF_HUB_OFFLINE", ""))
        scratch = environ.get("MRITK_SCRATCH")
        return cls(
            home,
            offline or any(wish.lower() in TRUE_WORDS for wish in wishes),
            Path(scratch) if scratch else None,
        )

    def folder(self, *parts: str) -> Path:
        """Return ``home/parts…``, created if necessary.

        Raises:
            CacheError: It cannot be created.
        """
        return _created(self.home.joinpath(*parts), "MRITK_HOME")

    def near(self, *parts: str) -> Path | None:
        """Return ``scratch/parts…``, created if necessary; None without ``scratch``.

        Raises:
            CacheError: It cannot be created.
        """
        if self.scratch is None:
            return None
        return _created(self.scratch.joinpath(*parts), "MRITK_SCRATCH")


def _created(path: Path, variable: str) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(
            f"cannot create {path}: {error.strerror or error}; set {variable} to a writable folder"
        ) from error
    return path
