"""Where RadImageNet's files are looked for, and what is said when they are not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from mritk import Unavailable, Workspace
from mritk_radimagenet.files import VARIABLE, locate


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv(VARIABLE, raising=False)
    return Workspace(tmp_path / "home")


def put(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return path


def test_a_file_in_the_workspace_is_found(workspace: Workspace) -> None:
    path = put(workspace.home / "weights" / "radimagenet" / "ResNet50.pt")

    assert locate("ResNet50.pt", workspace) == path


def test_the_environments_folder_comes_first_as_unpacked_or_flat(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(workspace.home / "weights" / "radimagenet" / "ResNet50.pt")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine"))

    unpacked = put(tmp_path / "mine" / "RadImageNet_pytorch" / "ResNet50.pt")
    assert locate("ResNet50.pt", workspace) == unpacked
    flat = tmp_path / "mine" / "ResNet50.pt"
    flat.write_bytes(b"weights")
    assert locate("ResNet50.pt", workspace) == flat


def test_a_missing_file_is_explained_in_one_line(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "/somewhere/else")

    with pytest.raises(Unavailable) as error:
        locate("DenseNet121.pt", workspace)

    assert error.value.exit_code == 4
    text = str(error.value)
    assert "\n" not in text
    for part in (
        "no DenseNet121.pt",
        "no published digest",
        str(workspace.home / "weights" / "radimagenet"),
        "/somewhere/else",
        "https://github.com/BMEII-AI/RadImageNet",
        "Google Drive",
        VARIABLE,
        "unofficial copy of unknown licence",
    ):
        assert part in text
