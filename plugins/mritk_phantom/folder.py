"""A folder of generated data: made once, complete or not there at all."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from mritk import Workspace, locked, sha256_of, whole_folder
from mritk_phantom.anatomy import require_nilearn
from mritk_phantom.heads.recipe import HeadRecipe
from mritk_phantom.recipe import Recipe

log = logging.getLogger("mritk_phantom")

COMPLETE = "complete.json"


def made_folder(
    workspace: Workspace,
    recipe: Recipe | HeadRecipe,
    make: Callable[[Path], None],
    hashed: tuple[str, ...],
) -> Path:
    """Return the complete folder ``phantom/<key>`` of the workspace, made now if need be.

    Processes that ask at the same time wait for the first one. The folder is made in a temporary
    place and renamed when complete; one that is not complete is thrown away.

    Args:
        workspace: Where generated data live.
        recipe: What the content is a function of.
        make: Fills an empty folder.
        hashed: Files of which the bytes are compared too, see :func:`is_complete`.
    """
    root = workspace.folder("phantom")
    folder = root / recipe.key
    if is_complete(folder, hashed):
        return folder
    with locked(root / f"{recipe.key}.lock", "generates the phantom"):
        if is_complete(folder, hashed):
            return folder
        if folder.exists():
            log.warning("removing the incomplete phantom %s", folder)
            shutil.rmtree(folder)
        with whole_folder(folder) as draft:
            start = time.monotonic()
            make(draft)
            seal(draft, recipe)
            log.info("generated the phantom in %.1f s", time.monotonic() - start)
    return folder


def is_complete(folder: Path, hashed: tuple[str, ...]) -> bool:
    """Tell whether all files have the size, and those of ``hashed`` the bytes, that were sealed."""
    try:
        files = json.loads((folder / COMPLETE).read_text())["files"]
        return all(
            (folder / name).stat().st_size == entry["bytes"]
            and (name not in hashed or sha256_of(folder / name) == entry["sha256"])
            for name, entry in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def is_made(workspace: Workspace, recipe: Recipe | HeadRecipe, hashed: tuple[str, ...]) -> bool:
    """Return whether this machine has the folder of :func:`made_folder`.

    Raises:
        mritk.errors.Unavailable: It has not, and nilearn is not installed.
    """
    if is_complete(workspace.home / "phantom" / recipe.key, hashed):
        return True
    require_nilearn()
    return False


def seal(folder: Path, recipe: Recipe | HeadRecipe) -> None:
    """Write ``complete.json``, by which :func:`is_complete` knows the other files."""
    files = {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    text = json.dumps({"recipe": json.loads(recipe.as_json), "files": files}, indent=1)
    (folder / COMPLETE).write_text(text)
