"""Provenance: versions, machine, code and command line of a run."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import pytest

import mritk
from mritk.store.provenance import collect, command_line


def test_what_is_collected_can_be_stored_and_is_true():
    found = collect("cpu", ["toy 1.0 (toy)"], ["mritk", "run"])
    assert json.loads(json.dumps(found)) == found
    assert found["mritk"] == mritk.__version__
    assert found["python"] == platform.python_version()
    assert found["packages"]["numpy"] == version("numpy")
    assert found["packages"]["torch"] == version("torch")
    assert found["loaded_plugins"] == ["toy 1.0 (toy)"]
    assert found["command"] == ["mritk", "run"]
    assert found["machine"]["device"] == "cpu"
    assert found["machine"]["threads"] >= 1
    assert datetime.fromisoformat(found["started"]).tzinfo is not None


def test_the_commit_is_that_of_mritk_wherever_the_user_stands(tmp_path, monkeypatch):
    root = Path(mritk.__file__).parents[1]
    if not (root / ".git").exists():
        pytest.skip("mritk is installed from a release")
    git = ["git", "-C", str(root), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    found = collect("cpu", [], [])
    assert found["commit"] == head
    assert isinstance(found["dirty"], bool)


def test_a_release_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(mritk, "__file__", str(tmp_path / "mritk" / "__init__.py"))
    found = collect("cpu", [], [])
    assert (found["commit"], found["dirty"]) == ("", False)


def test_the_command_line_holds_the_name_of_the_program_without_its_folder(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/opt/bin/mritk", "run", "-b", "tiny"])
    assert command_line() == ["mritk", "run", "-b", "tiny"]
