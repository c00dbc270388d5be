"""A folder of MRITK_HOME that may not be written ends each command with one exit code."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def home(tmp_path, monkeypatch):
    """One in which no folder can be made, also by the superuser; there are those of two kinds."""
    home, make = tmp_path / "home", os.mkdir
    (home / "audit").mkdir(parents=True)
    (home / "phantom").mkdir()
    monkeypatch.setenv("MRITK_HOME", str(home))

    def refuse(path, *mode):
        if home in Path(path).parents:
            raise PermissionError(13, os.strerror(13), str(path))
        make(path, *mode)

    monkeypatch.setattr(os, "mkdir", refuse)
    return home


@pytest.mark.parametrize("is_there", [True, False])
@pytest.mark.parametrize(("dataset", "folder"), [("bands", "audit"), ("phantom", "phantom")])
def test_whether_or_not_its_folder_was_made_before(mritk, toy, home, dataset, folder, is_there):
    if not is_there:
        (home / folder).rmdir()
    ended = mritk("audit", "-p", toy, dataset)
    assert ended.code == 2
    told = ended.err.splitlines()[-1]
    assert str(home / folder) in told
    assert ": Permission denied; " in told
    assert "set MRITK_HOME " in told
    assert "author" not in told
