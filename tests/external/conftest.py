"""Programs in place of container engines and of uv."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Put a program in place of an engine or of uv, which notes how it is called."""

    def plant(name, text="exit 0"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(
            f'#!/bin/sh\nfor word in "$@"; do echo "$word" >> {tmp_path}/calls; done\n{text}\n'
        )
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return lambda: (tmp_path / "calls").read_text().splitlines()

    return plant
