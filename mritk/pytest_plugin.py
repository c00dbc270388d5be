"""Fixtures for the tests of a plugin; pytest finds them by the entry point ``pytest11``."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mritk.files.workspace import Workspace
    from mritk.plugins.registry import Registry
    from mritk.records import Dataset

PREFIX = "MRITK_"


@dataclass(frozen=True)
class Ended:
    """How a call of the program ended: its exit code, and what it printed."""

    exit_code: int
    stdout: str
    stderr: str


@pytest.fixture
def mritk_registry() -> Registry:
    """An empty registry: nothing is loaded. ``registry.register(module)`` adds a plugin."""
    from mritk.plugins.registry import Registry

    return Registry()


@pytest.fixture
def mritk_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace in a temporary folder, offline, that the command line uses as well."""
    from mritk.files.workspace import Workspace

    _forget_settings(monkeypatch)
    home = tmp_path / "mritk-home"
    monkeypatch.setenv("MRITK_HOME", str(home))
    monkeypatch.setenv("MRITK_OFFLINE", "1")
    return Workspace(home, offline=True)


@pytest.fixture
def mritk_dataset() -> Dataset:
    """The dataset ``tiny``: 36 images of side 32 in three classes, three of each patient."""
    from mritk.testing.tiny import tiny_dataset

    return tiny_dataset()


@pytest.fixture
def mritk_results(tmp_path: Path) -> Path:
    """A folder for results that does not exist yet."""
    return tmp_path / "mritk-results"


@pytest.fixture
def mritk_cli(
    mritk_workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ended]:
    """Call ``mritk`` with these arguments, in a temporary folder and a workspace of its own."""
    from mritk.cli.main import main

    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> Ended:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
        return Ended(code, out.getvalue(), err.getvalue())

    return call


def _forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith(PREFIX) and name != "MRITK_HOME":
            monkeypatch.delenv(name)
