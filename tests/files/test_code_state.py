"""Caches know which state of the code made what they hold."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module, metadata

import numpy as np
import pytest

from mritk.files.code_state import digest_of_sources, library_versions, source_digest

PARTS = ("__init__.py", "reading.py", "deep/__init__.py", "deep/pixels.py")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package whose function ``read`` stands in ``ours.reading``."""
    root = tmp_path / "ours"
    for name in PARTS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("def read():\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield root
    for name in [name for name in sys.modules if name.partition(".")[0] == "ours"]:
        del sys.modules[name]


def digest_now(function):
    digest_of_sources.cache_clear()  # as in another process
    return source_digest(function)


@pytest.mark.parametrize("edited", PARTS)
def test_an_edit_anywhere_in_a_package_is_seen(package, edited):
    """What reads may call any other module of its package."""
    read = import_module("ours.reading").read
    before = digest_now(read)
    assert digest_now(read) == before
    (package / edited).write_text("def read():\n    return 1\n")
    assert digest_now(read) != before


def test_a_namespace_does_not_hide_the_package_in_it(package):
    (package / "__init__.py").unlink()
    read = import_module("ours.deep.pixels").read
    before = digest_now(read)
    (package / "deep" / "__init__.py").write_text("x = 1\n")
    assert digest_now(read) != before
    after = digest_now(read)
    (package / "reading.py").write_text("x = 1\n")
    assert digest_now(read) == after, "another package of the namespace"


def test_the_function_inside_a_partial_counts(package):
    read = import_module("ours.reading").read
    assert source_digest(partial(partial(read, 1), 2)) == source_digest(read) != ""


def test_code_without_a_file_has_no_digest():
    typed = {"__name__": "typed_in"}
    exec("def read():\n    pass", typed)
    assert source_digest(typed["read"]) == ""
    assert source_digest(np.array) is not None


def test_versions_are_those_of_a_plugin_of_mritk_and_of_what_they_require():
    found = library_versions("mritk-bench")
    for name in ("mritk-bench", "pillow", "pydicom", "timm"):
        assert f"{name} {metadata.version(name)}" in found
    assert not any(line.startswith(("pytest ", "ruff ")) for line in found), "tools of developers"
    assert library_versions("no-such-distribution") == library_versions("") == found
    assert f"pytest {metadata.version('pytest')}" in library_versions("pytest-xdist")
