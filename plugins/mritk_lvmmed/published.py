"""Find weight files that have to be fetched by hand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mritk import Workspace, manual_file

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
    "download it from the link in the README of https://github.com/duyhominhnguyen/LVM-Med (two "
    "different links circulate and no digest is published: note that of your file)"
)
LVMMED_RESNET = PublishedFile("lvmmed_resnet.torch", LINKS)
LVMMED_VIT = PublishedFile("lvmmed_vit.pth", LINKS)
SAM_VIT = PublishedFile(
    "sam_vit_b_01ec64.pth",
    "download it from https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth",
)


def locate(file: PublishedFile, workspace: Workspace) -> Path:
    """Return the path of ``file`` in ``$MRITK_LVMMED`` or ``HOME/weights/lvmmed``.

    Raises:
        Unavailable: It is in neither folder.
    """
    return manual_file(
        file.name,
        workspace,
        folder="weights/lvmmed",
        instructions=file.how,
        variable=VARIABLE,
    )
