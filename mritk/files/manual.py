"""Find a file that a person has to bring, because no program can or may fetch it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mritk.errors import NotSupplied
from mritk.files.mistaken_file import stand_in
from mritk.files.user_path import user_path
from mritk.files.workspace import Workspace


def manual_file(
    name: str,
    workspace: Workspace,
    *,
    folder: str,
    instructions: str,
    variable: str = "",
    inside: Sequence[str] = (),
) -> Path:
    """Return the path of a manually downloaded file, in the folder of a variable or the workspace.

    Args:
        name: Name of the file.
        workspace: Searched last.
        folder: A folder in the workspace, such as ``weights/radimagenet``.
        instructions: How to obtain it, after a semicolon: ``download it from …``.
        variable: An environment variable with the folder of the file.
        inside: Subfolders that may contain the file, such as that of its archive.

    Raises:
        NotSupplied: It is missing, or is a web page or a Git LFS pointer; the message states how to
            obtain it and where to put it.
    """
    configured = os.environ.get(variable) if variable else None
    folders = [*([user_path(configured)] if configured else []), workspace.home / folder]
    for place in folders:
        for path in (place / name, *(place / part / name for part in inside)):
            if not path.is_file():
                continue
            if other := stand_in(path):
                raise NotSupplied(f"{path} {other}; {instructions}")
            return path
    told = f", or set {variable} to its folder" if variable else ""
    raise NotSupplied(
        f"no {name} in {' or '.join(map(str, folders))}; {instructions}, and put it there{told}"
    )
