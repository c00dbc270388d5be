"""The working folder of a run, as Ray brings it to machines that do not see it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mritk import user_path

# Ray leaves out what Git ignores, which data often are.
WITH_IGNORED = "RAY_RUNTIME_ENV_IGNORE_GITIGNORE"


def working_folder(results: Path | None) -> dict[str, Any]:
    """Return what ``ray.init`` takes to bring the working folder to each machine.

    Caches and the results folder stay behind, as does what Ray always leaves out (``.git``,
    ``.venv``, ``venv``, ``__pycache__``).

    Args:
        results: The results folder; None: there is none.
    """
    here = Path.cwd()
    os.environ.setdefault(WITH_IGNORED, "1")
    home = os.environ.get("MRITK_HOME")
    caches = user_path(home) if home else None
    own = [folder.resolve() for folder in (results, caches) if folder]
    inside = [folder.relative_to(here) for folder in own if folder.is_relative_to(here)]
    return {
        "working_dir": str(here),
        "excludes": [_pattern(folder) for folder in inside if folder.parts],
    }


def _pattern(folder: Path) -> str:
    """Return what Ray, which reads as .gitignore is read, takes for this folder and no other."""
    literal = re.sub(r"[*?[\\]", r"\\\g<0>", folder.as_posix())
    # In brackets, since Ray's reader removes a last space even behind a backslash.
    return "/" + re.sub(r"\s", r"[\g<0>]", literal)


def not_uploaded(error: Exception) -> str:
    """Return why Ray does not upload the working folder, in one line."""
    here, told = Path.cwd(), str(error)
    if "maximum size" not in told:
        return f"Ray cannot upload the working folder {here}: {told.strip().splitlines()[0]}"
    sizes = " of at most ".join(re.findall(r"\d[\d.]*\s?MiB", told)[:2])
    return (
        f"the working folder {here} is too large for Ray to upload ({sizes}); start the run in a "
        "folder that holds its data alone, list in .rayignore what is not needed, or use "
        "ray:ADDRESS and a folder that all machines share"
    )
