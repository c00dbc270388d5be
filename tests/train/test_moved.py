"""Plugins that were written against interface 1.0 import modules where they stood then."""

from __future__ import annotations

import importlib
import sys
import warnings

import pytest

import mritk
import mritk.train
from mritk import PluginDeprecationWarning
from mritk.train.moved import MOVED


@pytest.mark.parametrize("old", sorted(MOVED))
def test_a_moved_module_is_found_with_a_warning_that_says_what_to_import(old, monkeypatch):
    monkeypatch.delitem(sys.modules, old, raising=False)
    with pytest.warns(PluginDeprecationWarning, match=f"{old} .*import .* from mritk") as caught:
        module = importlib.import_module(old)
    home = importlib.import_module(MOVED[old])
    public = [name for name in vars(home) if not name.startswith("_")]
    assert public
    assert all(getattr(module, name) is getattr(home, name) for name in public)
    assert home.__spec__.name == MOVED[old], "the module itself is left as it is"
    assert len(caught) == 1


def test_the_warning_names_the_line_of_the_plugin(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "mritk.train.setup", raising=False)
    (tmp_path / "old_plugin.py").write_text("\nfrom mritk.train.setup import Epoch, Setup\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(PluginDeprecationWarning) as caught:
        plugin = importlib.import_module("old_plugin")
    assert (caught[0].filename, caught[0].lineno) == (str(tmp_path / "old_plugin.py"), 2)
    assert plugin.Setup is mritk.Setup


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match="nonsense"):
        importlib.import_module("mritk.train.nonsense")


@pytest.mark.parametrize("package", [mritk, mritk.train])
def test_public_names_are_a_closed_list(package):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {name: getattr(package, name) for name in package.__all__}
    assert all(value is not None for value in found.values())
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = package.nonsense
