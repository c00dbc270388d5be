"""Find weight files that have to be fetched by hand."""

from __future__ import annotations

from pathlib import Path

from mritk import Workspace, manual_file

VARIABLE = "MRITK_LVMMED"

LVMMED_RESNET, LVMMED_VIT = "lvmmed_resnet.torch", "lvmmed_vit.pth"
SAM_VIT = "sam_vit_b_01ec64.pth"
LINKS = (
    "download it from the link in the README of https://github.com/duyhominhnguyen/LVM-Med (two "
    "different links circulate and no digest is published: note that of your file)"
)
SAM = f"download it from https://dl.fbaipublicfiles.com/segment_anything/{SAM_VIT}"


def locate(file: str, workspace: Workspace) -> Path:
    """Return the path of ``file`` in ``$MRITK_LVMMED`` or ``HOME/weights/lvmmed``.

    Raises:
        Unavailable: It is in neither folder.
    """
    return manual_file(
        file,
        workspace,
        folder="weights/lvmmed",
        instructions=SAM if file == SAM_VIT else LINKS,
        variable=VARIABLE,
    )
