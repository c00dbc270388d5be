"""Find weight files that have to be fetched by hand."""

from __future__ import annotations

from pathlib import Path

from mritk import Workspace, manual_file

VARIABLE = "MRITK_VOLUME_WEIGHTS"
BRAINIAC = "BrainIAC.ckpt"


def locate(file: str, workspace: Workspace) -> Path:
    """Return the path of ``file`` in ``$MRITK_VOLUME_WEIGHTS`` or ``HOME/weights/volumes``.

    Raises:
        Unavailable: It is in neither folder.
    """
    place = "the link in the README of https://github.com/AIM-KannLab/BrainIAC"
    if file != BRAINIAC:
        depth = file.split("_")[1]
        place = f"https://huggingface.co/TencentMedicalNet/MedicalNet-Resnet{depth}"
    return manual_file(
        file,
        workspace,
        folder="weights/volumes",
        instructions=f"download it from {place}",
        variable=VARIABLE,
    )
