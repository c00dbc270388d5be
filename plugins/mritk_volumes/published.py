"""Find weight files that have to be fetched by hand."""

from __future__ import annotations

from pathlib import Path

from mritk import Workspace, manual_file

VARIABLE = "MRITK_VOLUME_WEIGHTS"
BRAINIAC = "BrainIAC.ckpt"


def medicalnet_file(depth: int) -> str:
    """Return the name of MedicalNet's file for a depth, from pretraining on 23 data sets."""
    return f"resnet_{depth}_23dataset.pth"


def locate(file: str, workspace: Workspace) -> Path:
    """Return the path of ``file`` in ``$MRITK_VOLUME_WEIGHTS`` or ``HOME/weights/volumes``.

    Raises:
        Unavailable: It is in neither folder.
    """
    depth = file.split("_")[1] if file != BRAINIAC else ""
    return manual_file(
        file,
        workspace,
        folder="weights/volumes",
        instructions=(
            "download it from the link in the README of https://github.com/AIM-KannLab/BrainIAC"
            if file == BRAINIAC
            else f"download it from https://huggingface.co/TencentMedicalNet/MedicalNet-Resnet{depth}"
        ),
        variable=VARIABLE,
    )
