"""Find RadImageNet's weight files, which have to be fetched by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mritk import Unavailable, Workspace

# Architecture: file in RadImageNet_pytorch/, as the authors publish it.
FILES = {
    "densenet121": "DenseNet121.pt",
    "resnet50": "ResNet50.pt",
    "inception_v3": "InceptionV3.pt",
}

VARIABLE = "MRITK_RADIMAGENET"
SOURCE = "https://github.com/BMEII-AI/RadImageNet"
MIRROR = "Lab-Rasool/RadImageNet"


def locate(file: str, workspace: Workspace) -> Path:
    """Return the path of ``file`` in ``$MRITK_RADIMAGENET`` or ``HOME/weights/radimagenet``.

    Nothing is fetched: the authors publish through a Google Drive folder, which has no stable
    address for a program, and nobody vouches for the copies elsewhere.

    Raises:
        Unavailable: The file is in neither folder.
    """
    folders = list(_folders(workspace))
    for folder in folders:
        # The published archive unpacks into a folder of its own.
        for path in (folder / file, folder / "RadImageNet_pytorch" / file):
            if path.is_file():
                return path
    raise Unavailable(
        f"no {file} (publisher states no digest) in {' or '.join(map(str, folders))}; get it from "
        f"the Google Drive link in the README of {SOURCE} (folder RadImageNet_pytorch) and put it "
        f"there, or set {VARIABLE} to its folder; an unofficial copy of unknown licence is at "
        f"'hf download {MIRROR} {file} --local-dir {folders[-1]}'"
    )


def _folders(workspace: Workspace) -> Iterator[Path]:
    if configured := os.environ.get(VARIABLE):
        yield Path(configured).expanduser()
    yield workspace.home / "weights" / "radimagenet"
