"""Find weight files that have to be fetched by hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mritk import Unavailable, Workspace

VARIABLE = "MRITK_LVMMED"


@dataclass(frozen=True)
class PublishedFile:
    """A file as it is published.

    Attributes:
        name: Its name.
        how: How a person gets it.
    """

    name: str
    how: str


LINKS = (
    "get it by the link in the README of https://github.com/duyhominhnguyen/LVM-Med (two different "
    "links circulate and no digest is published: note that of yours)"
)
LVMMED_RESNET = PublishedFile("lvmmed_resnet.torch", LINKS)
LVMMED_VIT = PublishedFile("lvmmed_vit.pth", LINKS)
SAM_VIT = PublishedFile(
    "sam_vit_b_01ec64.pth",
    "get it from https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
)


def locate(file: PublishedFile, workspace: Workspace) -> Path:
    """Return the path of ``file`` in ``$MRITK_LVMMED`` or ``HOME/weights/lvmmed``.

    Raises:
        Unavailable: It is in neither folder.
    """
    folders = list(_folders(workspace))
    for folder in folders:
        if (folder / file.name).is_file():
            return folder / file.name
    raise Unavailable(
        f"no {file.name} in {' or '.join(map(str, folders))}; {file.how}, and put it there, or set "
        f"{VARIABLE} to its folder"
    )


def _folders(workspace: Workspace) -> Iterator[Path]:
    if configured := os.environ.get(VARIABLE):
        yield Path(configured).expanduser()
    yield workspace.home / "weights" / "lvmmed"
