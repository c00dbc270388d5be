"""A module that runs by itself is harmed by nothing that is installed."""

from __future__ import annotations

import subprocess

from mritk.machine import isolated


def test_the_library_comes_before_what_is_installed(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise ImportError('an old backport')")
    (tmp_path / "own.py").write_text("import json; print(json.dumps({}))")
    monkeypatch.setattr(isolated, "ROOT", tmp_path)
    assert subprocess.check_output(isolated.isolated("own"), text=True) == "{}\n"
