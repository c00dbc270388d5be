"""Find RadImageNet's weight files, which have to be fetched by hand."""

from __future__ import annotations

from pathlib import Path

from mritk import Workspace, manual_file

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
    return manual_file(
        file,
        workspace,
        folder="weights/radimagenet",
        instructions=(
            f"download it from the Google Drive link in the README of {SOURCE} (folder "
            f"RadImageNet_pytorch; no published digest; 'hf download {MIRROR} {file} --local-dir "
            ".' downloads an unofficial copy of unknown licence)"
        ),
        variable=VARIABLE,
        inside=["RadImageNet_pytorch"],  # the published archive unpacks into this folder
    )
