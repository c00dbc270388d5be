"""Plugins as a user meets them: listed with their state, named by -p, left out by -p no:NAME."""

from __future__ import annotations

import json
import os
import sys

import pytest

from mritk import Augmentation
from mritk.errors import Unavailable, UnknownName
from mritk.plugins.registry import Registry
from tests.plugins.test_registry import GOOD

# -- as a user sees it -----------------------------------------------------------------------------


def test_mritk_plugins_lists_state_and_reason(mritk, install):
    install("acme", "1 / 0", version="0.9")
    rows = {row["plugin"]: row for row in json.loads(mritk("plugins", "--json").out)}
    assert rows["acme"]["state"] == "failed"
    reason = rows["acme"]["reason"]
    assert reason.startswith("ZeroDivisionError: division by zero (at import, ")
    assert rows["acme"]["version"] == "0.9"
    assert rows["augment"]["reason"] == ""
    assert rows["augment"]["hooks"] == ["augmentations", "datasets"]
    ended = mritk("plugins")
    assert "failed: ZeroDivisionError" in ended.out
    assert ended.err.count("warning: plugin acme 0.9 (acme) failed to load") == 1


@pytest.mark.slow
def test_p_works_before_and_behind_the_command(mritk, toy):
    for arguments in (("-p", toy, "list", "datasets"), ("list", "datasets", "-p", toy)):
        assert "bands" in mritk(*arguments).out


def test_a_misspelt_plugin_is_answered_with_near_ones_and_never_with_an_installation():
    with pytest.raises(Unavailable) as raised:
        Registry.load(["mritk_augmet"], environ={})
    assert "did you mean mritk_augment" in str(raised.value)
    assert "pip" not in str(raised.value)


def test_a_file_beside_a_misspelt_module_is_offered(tmp_path, monkeypatch):
    (tmp_path / "beside.py").write_text(GOOD.format(name="beside"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    with pytest.raises(Unavailable, match=r"the file here is -p \./beside\.py"):
        Registry.load(["beside"], environ={})


def test_no_leaves_out_one_plugin_the_one_of_that_name(install, tmp_path):
    """An installed plugin, and a file of the same name that is to take its place."""
    install("mine", GOOD.format(name="installed"))
    file = tmp_path / "mine.py"
    file.write_text(GOOD.format(name="from_file"))
    registry = Registry.load([str(file), "no:mine"], environ={})
    names = {augmentation.name for augmentation in registry.records(Augmentation)}
    assert "from_file" in names
    assert "installed" not in names


def plugins_with(*options) -> set[str]:
    return {plugin.origin.plugin for plugin in Registry.load(options, environ={}).plugins}


@pytest.mark.parametrize("dropped", ["mine", "yours", "other"])
def test_no_drops_exactly_the_plugin_of_that_name(install, dropped):
    """One of them lives in a module that is called as another plugin is."""
    install("yours", GOOD.format(name="of_yours"), points="mine = yours")
    install("module", GOOD.format(name="of_module"), points="yours = module")
    install("other", GOOD.format(name="of_other"))
    everything = plugins_with()
    assert {"mine", "yours", "other"} < everything
    assert everything - plugins_with(f"no:{dropped}") == {dropped}


def test_no_with_a_module_of_two_plugins_drops_neither_and_says_what_to_type(install):
    source = GOOD.format(name="shared") + "\n\nclass Two:\n    mritk_augmentations = None\n"
    install("shared", source, points="first = shared\nsecond = shared:Two")
    with pytest.raises(UnknownName, match=r"no:shared: several plugins .* no:first or no:second"):
        Registry.load(["no:shared"], environ={})


def test_no_with_a_name_that_nothing_has_is_a_slip_of_the_pen():
    with pytest.raises(UnknownName, match=r"no:tim .*did you mean timm"):
        Registry.load(["no:tim"], environ={})
    # An environment may speak of plugins that are not on this machine.
    assert Registry.load(environ={"MRITK_PLUGINS": "no:tim"}).plugins


def test_a_file_that_was_edited_at_once_is_not_run_from_bytecode(tmp_path):
    path = tmp_path / "quick.py"
    text = "from mritk import Augmentation, hookimpl\n\n\n@hookimpl\ndef mritk_augmentations():\n"
    for name in ("one", "two"):
        path.write_text(f"{text}    yield Augmentation('{name}', None)\n")
        os.utime(path, (1e9, 1e9))
        registry = Registry.load([str(path)], {"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"})
        assert registry.augmentation(name).name == name
