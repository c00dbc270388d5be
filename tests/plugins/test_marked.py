"""What is marked as a hook is one, or refused by name."""

from __future__ import annotations

import sys
from functools import lru_cache, partial
from importlib.util import LazyLoader, find_spec, module_from_spec
from types import ModuleType
from unittest.mock import MagicMock

import pytest

from mritk import Augmentation, hookimpl
from mritk.errors import HookError
from mritk.plugins.registry import Registry
from mritk.records import Origin


def augmentations():
    yield Augmentation("theirs", None, summary="one")


@pytest.fixture
def registry():
    return Registry()


@pytest.fixture
def plugin():
    """Make a plugin of a module that holds a hook and something else."""

    def make(**members):
        module = ModuleType("theirs")
        module.mritk_augmentations = hookimpl(augmentations)
        vars(module).update(members)
        return module

    return make


class Callable:
    def __call__(self):
        return []


@pytest.mark.parametrize(
    "hook", [lru_cache(list), partial(list), Callable()], ids=["cached", "partial", "object"]
)
@pytest.mark.parametrize("kind", ["module", "object"])
def test_what_is_marked_and_no_function_is_refused_by_name(hook, kind, plugin, registry):
    """pluggy takes some kinds of these for hooks, or passes over them in silence, by version."""
    it = plugin(mritk_backbones=hookimpl(hook))
    if kind == "object":
        it = type("Theirs", (), {"mritk_backbones": staticmethod(it.mritk_backbones)})()
    try:
        registry.register(it, Origin("theirs"))
    except HookError as error:
        assert "mritk_backbones is marked @hookimpl, but is no function" in str(error)
        assert not registry.plugins
    else:
        assert "mritk_backbones" in registry.plugins[-1].hooks


def test_a_mock_beside_a_hook_is_none(plugin, registry):
    registered = registry.register(plugin(mritk_backbones=MagicMock()), Origin("theirs"))
    assert registered.hooks == ("mritk_augmentations",)


def test_a_module_that_is_loaded_when_it_is_used_is_not_loaded(plugin, registry, tmp_path):
    (tmp_path / "late.py").write_text("raise RuntimeError('loaded')")
    sys.path.insert(0, str(tmp_path))
    try:
        spec = find_spec("late")
    finally:
        sys.path.remove(str(tmp_path))
    spec.loader = LazyLoader(spec.loader)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    assert registry.register(plugin(late=module), Origin("theirs")).hooks


def test_a_plugin_keeps_its_hooks_if_it_is_loaded_under_another_name_as_well(plugin, registry):
    it = plugin()
    registry.register(it, Origin("theirs"))
    with pytest.raises(ValueError, match="'again' is already loaded as 'theirs'"):
        registry.register(it, Origin("again"))
    assert registry.augmentation("theirs").origin.plugin == "theirs"
