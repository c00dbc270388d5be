"""Plugins: found, loaded one by one, looked up by name, explained when absent."""

from __future__ import annotations

import subprocess
import sys

import pytest
from pluggy import PluginValidationError

from mritk import Alias, Architecture, Augmentation, BackboneFamily, Dataset, Weights, hookimpl
from mritk.errors import DuplicateName, Unavailable, UnknownName
from mritk.files.workspace import Workspace
from mritk.plugins.registry import Registry
from mritk.records import Origin

GOOD = """
from mritk import Augmentation, hookimpl

@hookimpl
def mritk_augmentations():
    yield Augmentation("{name}", None)
"""


def plugin_of(**hooks):
    """Return a plugin object with these hooks, each yielding a list of records."""
    members = {
        f"mritk_{noun}": hookimpl(lambda self, r=records: r) for noun, records in hooks.items()
    }
    return type("Plugin", (), members)()


@pytest.fixture
def registry():
    """A registry without any plugin."""
    return Registry()


def state_of(registry, plugin):
    return next(p for p in registry.plugins if p.origin.plugin == plugin)


# -- where plugins come from -----------------------------------------------------------------------


def test_installed_plugins_are_found_by_entry_point_and_stamped(install):
    install("acme", GOOD.format(name="acme_blur"), version="2.3")
    record = Registry.load(environ={}).augmentation("acme_blur")
    assert record.origin == Origin("acme", "acme", "2.3")
    assert str(record.origin) == "acme 2.3 (acme)"


def test_every_plugin_of_mritk_comes_through_the_same_door():
    origins = {p.origin.plugin: p for p in Registry.load(environ={}).plugins}
    for name in ("augment", "finetune", "folders", "phantom", "small_cnn", "timm", "radimagenet"):
        assert origins[name].origin.distribution == "mritk-bench"
        assert origins[name].error == ""


@pytest.mark.slow
def test_plugins_load_after_a_library_has_replaced_the_entry_points():
    """importlib_metadata, which mlflow and others import, does so for the whole process."""
    source = (
        "import importlib.metadata, importlib_metadata\n"
        "from mritk.plugins.registry import Registry\n"
        "points = importlib.metadata.entry_points(group='mritk')\n"
        "assert {type(point) for point in points} == {importlib_metadata.EntryPoint}\n"
        "assert not Registry.load(environ={}).failures\n"
    )
    subprocess.run([sys.executable, "-c", source], check=True)


def test_a_file_is_a_plugin_and_its_digest_its_version(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD.format(name="mine"))
    first = Registry.load([str(file)], environ={}).augmentation("mine").origin
    file.write_text(GOOD.format(name="mine") + "# changed\n")
    second = Registry.load([str(file)], environ={}).augmentation("mine").origin
    assert first.distribution == "mine.py"
    assert first.version.startswith("sha256:")
    assert first.version != second.version


def test_a_file_that_is_named_in_two_ways_is_one_plugin(tmp_path, monkeypatch):
    file = tmp_path / "mine.py"
    file.write_text(GOOD.format(name="mine"))
    monkeypatch.chdir(tmp_path)
    environ = {"MRITK_PLUGINS": "mine.py", "MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"}
    registry = Registry.load(["./mine.py", str(file)], environ=environ)
    assert [plugin.origin.plugin for plugin in registry.plugins] == ["mine"]


def test_a_module_is_a_plugin(tmp_path, monkeypatch):
    (tmp_path / "some_module.py").write_text(GOOD.format(name="from_module"))
    monkeypatch.syspath_prepend(tmp_path)
    assert Registry.load(["some_module"], environ={}).augmentation("from_module")


def test_the_environment_names_plugins_too(tmp_path, monkeypatch):
    (tmp_path / "env_module.py").write_text(GOOD.format(name="from_env"))
    monkeypatch.syspath_prepend(tmp_path)
    environ = {"MRITK_PLUGINS": "env_module, no:timm"}
    registry = Registry.load(environ=environ)
    assert registry.augmentation("from_env")
    assert "timm" not in {p.origin.plugin for p in registry.plugins}


def test_no_name_leaves_a_plugin_out_by_entry_point_or_module():
    for option in ("no:augment", "no:mritk_augment"):
        registry = Registry.load([option], environ={})
        assert "augment" not in {p.origin.plugin for p in registry.plugins}
        with pytest.raises(UnknownName):
            registry.augmentation("flip")


def test_autoload_can_be_switched_off_and_plugins_named_one_by_one():
    environ = {"MRITK_DISABLE_PLUGIN_AUTOLOAD": "1"}
    assert Registry.load(environ=environ).plugins == []
    by_name = Registry.load(["augment"], environ=environ)
    by_module = Registry.load(["mritk_augment"], environ=environ)
    for registry in (by_name, by_module):
        assert [str(p.origin) for p in registry.plugins] == [
            str(registry.augmentation("flip").origin)
        ]


def test_a_registry_leaves_no_trace_in_the_next_one(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(GOOD.format(name="mine"))
    assert Registry.load([str(file)], environ={}).augmentation("mine")
    with pytest.raises(UnknownName):
        Registry.load(environ={}).augmentation("mine")


# -- plugins that fail -----------------------------------------------------------------------------

BROKEN = {
    "raises at import": ("1 / 0", "ZeroDivisionError: division by zero"),
    "misses a package": ("import not_there", "ModuleNotFoundError: No module named 'not_there'"),
    "has a syntax error": ("def (", "SyntaxError"),
    "raises in its hook": (
        "from mritk import hookimpl\n@hookimpl\ndef mritk_datasets():\n    raise OSError('gone')",
        "OSError: gone",
    ),
    "yields something else": (
        "from mritk import hookimpl\n@hookimpl\ndef mritk_datasets():\n    yield 'phantom'",
        "TypeError: mritk_datasets yields Dataset or DatasetFamily, not 'phantom' (acme.py line 2)",
    ),
    "returns a record": (
        "from mritk import Alias, hookimpl\n@hookimpl\ndef mritk_backbones():\n"
        "    return Alias('a', 'b')",
        "TypeError: mritk_backbones returns Alias, not several records (acme.py line 2); write "
        "'yield' instead of 'return'",
    ),
    "knows a hook that we do not": (
        "from mritk import hookimpl\n@hookimpl\ndef mritk_datsets():\n    yield 1",
        "unknown hook 'mritk_datsets' (acme.py line 2); did you mean mritk_datasets?",
    ),
    "wants an argument that we do not give": (
        "from mritk import hookimpl\n@hookimpl\ndef mritk_epoch_end(epoch, colour):\n    pass",
        "mritk_epoch_end has no argument 'colour' (acme.py line 2); it may take trial, epoch",
    ),
    "wants one beside hooks that pluggy takes": (
        "from mritk import hookimpl\n@hookimpl\ndef mritk_backbones(*a, b, **c):\n    pass\n"
        "@hookimpl\ndef mritk_epoch_end(trail):\n    pass",
        "mritk_epoch_end has no argument 'trail' (acme.py line 5); it may take trial, epoch",
    ),
    "implements nothing": ("x = 1", "implements no mritk hook"),
}


@pytest.mark.parametrize(("source", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_plugin_that_fails_is_remembered_and_stops_no_other(install, source, reason):
    install("acme", source, version="0.9")
    install("zeta", GOOD.format(name="zeta_blur"))
    registry = Registry.load(environ={})
    assert reason in state_of(registry, "acme").error
    assert [str(p.origin) for p in registry.failures] == ["acme 0.9 (acme)"]
    assert registry.augmentation("zeta_blur")
    assert registry.augmentation("flip")


def test_self_of_a_class_is_no_argument_that_a_hook_lacks():
    """Of a class registered as it is, pluggy takes the first hook, and refuses the second."""

    class Acme:
        @hookimpl
        def mritk_backbones(self): ...

        @hookimpl
        def mritk_zzz(self): ...

    with pytest.raises(PluginValidationError, match="unknown hook 'mritk_zzz'"):
        Registry.load(environ={}).register(Acme)


def test_a_plugin_that_fails_halfway_leaves_nothing_behind(install):
    source = GOOD.format(name="acme_blur") + "@hookimpl\ndef mritk_methods():\n    raise OSError\n"
    install("acme", source)
    registry = Registry.load(environ={})
    with pytest.raises(UnknownName):
        registry.augmentation("acme_blur")
    assert not [
        i for i in registry.implementations("mritk_augmentations") if i.plugin_name == "acme"
    ]


def test_strict_mode_turns_a_failing_plugin_into_an_error(install):
    install("acme", "1 / 0")
    with pytest.raises(Unavailable, match=r"acme 1\.0 \(acme\) failed to load: ZeroDivisionError"):
        Registry.load(environ={"MRITK_STRICT_PLUGINS": "1"})


def test_a_plugin_that_was_asked_for_never_fails_silently(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("1 / 0")
    with pytest.raises(Unavailable, match="ZeroDivisionError"):
        Registry.load([str(file)], environ={})
    with pytest.raises(Unavailable, match="no_such_plugin: no plugin or mod"):
        Registry.load(["no_such_plugin"], environ={})
    with pytest.raises(Unavailable, match="no plugin file"):
        Registry.load(["./no_such_plugin.py"], environ={})


# -- looking up ------------------------------------------------------------------------------------


def test_one_plugin_with_a_name_twice_is_told_to_rename_one(registry):
    registry.register(plugin_of(augmentations=[Augmentation("blur", None)] * 2), Origin("one"))
    with pytest.raises(DuplicateName, match=r"one provides .*'blur' twice; rename one .* it$"):
        registry.augmentation("blur")


def test_two_plugins_with_one_name_are_an_error_that_lists_both(registry):
    for name in ("one", "two"):
        registry.register(
            plugin_of(augmentations=[Augmentation("blur", None)]),
            Origin(name, f"pkg-{name}", "1.0"),
        )
    with pytest.raises(DuplicateName) as raised:
        registry.augmentation("blur")
    assert "pkg-one 1.0 (one) and pkg-two 1.0 (two)" in str(raised.value)
    assert "-p no:one" in str(raised.value)


def test_a_backbone_is_an_architecture_with_weights_from_any_plugin(registry):
    registry.register(
        plugin_of(backbones=[Architecture("net", lambda: None, default_weights="imagenet")]),
        Origin("nets", "nets", "1.0"),
    )
    weights = [Weights("net", "imagenet", locate=None), Weights("net", "radiology", locate=None)]
    registry.register(plugin_of(backbones=weights), Origin("weights", "weights", "2.0"))
    assert registry.backbone("net").name == "net@imagenet"
    assert registry.backbone("net@radiology").weights.origin.distribution == "weights"
    assert registry.backbone("net@scratch").weights is None
    assert registry.backbone_names() == ["net@imagenet", "net@radiology", "net@scratch"]
    with pytest.raises(UnknownName, match=r"unknown backbone 'net@'; there is net@imagenet or"):
        registry.backbone("net@")
    with pytest.raises(UnknownName, match=r"there is net@imagenet or net@radiology or net@scratch"):
        registry.backbone("net@imagnet")


def test_an_option_of_a_dataset_that_has_none_is_told_as_such(registry):
    registry.register(plugin_of(datasets=[Dataset("heads", lambda _: None)]), Origin("it"))
    with pytest.raises(UnknownName, match=r"dataset heads has no option 'size'; .* no_patient_ids"):
        registry.dataset("heads,size=32")
    with pytest.raises(UnknownName, match=r"unknown dataset 'haeds'; did you mean heads\?"):
        registry.dataset("haeds,size=32")


def test_an_alias_names_a_backbone(registry):
    records = [Architecture("net", lambda: None), Alias("network", "net@scratch")]
    registry.register(plugin_of(backbones=records), Origin("nets"))
    assert registry.backbone("network").name == "net@scratch"


def test_a_family_makes_records_on_demand(registry):
    def resolve(member):
        if member != "known":
            raise LookupError(member)
        return [
            Architecture("zoo:known", lambda: None, default_weights="v1"),
            Weights("zoo:known", "v1", locate=None),
        ]

    family = BackboneFamily("zoo", resolve, members=lambda: ["known"])
    registry.register(plugin_of(backbones=[family]), Origin("zoo", "zoo", "1"))
    assert registry.backbone("zoo:known").name == "zoo:known@v1"
    assert registry.backbone("zoo:known").architecture.origin.distribution == "zoo"
    with pytest.raises(UnknownName, match="did you mean zoo:known"):
        registry.backbone("zoo:knwon")


def test_a_family_that_must_look_members_up_is_told_whether_it_may_use_the_network(tmp_path):
    seen = []

    def resolve(member, workspace):
        seen.append((member, workspace))
        return [Architecture(f"zoo:{member}", lambda: None)]

    registry = Registry(environ={"MRITK_HOME": str(tmp_path), "MRITK_OFFLINE": "1"})
    family = BackboneFamily("zoo", resolve, needs_workspace=True)
    registry.register(plugin_of(backbones=[family]), Origin("zoo"))
    registry.backbone("zoo:okapi")
    registry.workspace = Workspace(tmp_path)
    registry.backbone("zoo:okapi")

    assert seen == [("okapi", Workspace(tmp_path, offline)) for offline in (True, False)]


def test_weights_from_a_file_are_identified_by_content_not_by_path(registry, tmp_path, monkeypatch):
    registry.register(plugin_of(backbones=[Architecture("net", lambda: None)]), Origin("nets"))
    one, other = tmp_path / "a.pt", tmp_path / "b.pt"
    one.write_bytes(b"same")
    other.write_bytes(b"same")
    first, second = (registry.backbone(f"net@file:{path}") for path in (one, other))
    assert first.name.startswith("net@file:a.pt#"), "the digest tells files of one name apart"
    assert first.identity == second.identity
    monkeypatch.setenv("HOME", str(tmp_path))
    assert registry.backbone("net@file:~/a.pt").identity == first.identity
    other.write_bytes(b"different")
    assert registry.backbone(f"net@file:{other}").identity != first.identity
    with pytest.raises(Unavailable, match="no weight file"):
        registry.backbone("net@file:/nowhere.pt")


def test_lists_are_sorted_and_know_their_provider(registry):
    registry.register(
        plugin_of(datasets=[Dataset("b", open=None), Dataset("a", open=None)]), Origin("data")
    )
    assert [d.name for d in registry.records(Dataset)] == ["a", "b"]
