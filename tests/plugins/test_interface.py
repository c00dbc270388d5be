"""The interface lasts: versions, deprecations, and what was written for the first release."""

from __future__ import annotations

import base64
import gzip
import json
import warnings
from inspect import signature
from pathlib import Path

import h5py
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

import mritk
from mritk import PluginDeprecationWarning, hookimpl
from mritk.errors import HookError
from mritk.plugins import hookspecs
from mritk.plugins.hookspecs import INTERFACE, hookspec
from mritk.plugins.registry import Registry
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder
from mritk.store.raw_seal import seal_bytes
from mritk.store.trial_file import read_trial

FROZEN = Path(__file__).parents[1] / "frozen"
SCHEMAS = (1, 2, 3, 4, 5)
MAJOR, MINOR = INTERFACE


def slow(*values):
    return [pytest.param(value, marks=pytest.mark.slow) for value in values]


# -- versions --------------------------------------------------------------------------------------


class Plugin:
    @hookimpl
    def mritk_run_finish(self, outcomes):
        pass


def plugin_for(version):
    plugin = Plugin()
    plugin.MRITK_INTERFACE = version
    return plugin


@pytest.mark.parametrize("version", [f"{MAJOR}.{MINOR}", f"{MAJOR}.0"])
def test_a_plugin_for_these_hooks_or_earlier_ones_is_loaded(version):
    assert Registry().register(plugin_for(version)).state == "loaded"


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (f"{MAJOR}.{MINOR + 1}", "pip install --upgrade mritk-bench"),
        (f"{MAJOR + 1}.0", "pip install --upgrade mritk-bench"),
        (f"{MAJOR - 1}.7", "update the plugin"),
        ("1", f"write it as '{MAJOR}.{MINOR}'"),
        (1.0, f"write it as '{MAJOR}.{MINOR}'"),
    ],
)
def test_a_plugin_for_other_hooks_is_refused_with_a_remedy(version, remedy):
    registry = Registry()
    with pytest.raises(HookError, match=r"hooks|MRITK_INTERFACE") as raised:
        registry.register(plugin_for(version))
    assert remedy in str(raised.value)
    assert registry.plugins == []


def test_the_command_line_says_so_in_one_line(mritk, tmp_path):
    (tmp_path / "new.py").write_text('MRITK_INTERFACE = "99.0"\n')
    ended = mritk("plugins", "-p", tmp_path / "new.py")
    assert ended.code == 4
    assert "(new) failed to load: it requires hooks 99.0, but this mritk has" in ended.err


# -- deprecations ----------------------------------------------------------------------------------


class Leaving:
    """Hooks of which one, and one argument of another, will go."""

    @hookspec(
        warn_on_impl=PluginDeprecationWarning(
            "hook mritk_old", instead="implement mritk_new", removed_in="99.0"
        )
    )
    def mritk_old(self):
        """Will go."""

    @hookspec(
        warn_on_impl_args={
            "colour": PluginDeprecationWarning(
                "argument colour of mritk_new", instead="leave it out", removed_in="99.1"
            )
        }
    )
    def mritk_new(self, shape, colour):
        """Stays."""


OLD_PLUGIN = """
from mritk import hookimpl


@hookimpl
def mritk_old():
    pass


@hookimpl
def mritk_new(shape, colour):
    pass
"""


def test_deprecations_name_file_line_and_the_release_of_removal(tmp_path):
    path = tmp_path / "old.py"
    path.write_text(OLD_PLUGIN)
    registry = Registry(specifications=(hookspecs, Leaving))
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        namespace = _import(path)
        assert registry.register(namespace).state == "loaded", "it still works"
    assert [(w.category, Path(w.filename).name) for w in shown] == [
        (PluginDeprecationWarning, "old.py"),
        (PluginDeprecationWarning, "old.py"),
    ]
    told = {str(w.message): w.lineno for w in shown}
    lines = OLD_PLUGIN.splitlines()
    old = "hook mritk_old will be removed in mritk 99.0; implement mritk_new"
    new = "argument colour of mritk_new will be removed in mritk 99.1; leave it out"
    assert lines[told[old] - 1] == "@hookimpl"
    assert lines[told[old]] == "def mritk_old():"
    assert lines[told[new]] == "def mritk_new(shape, colour):"
    assert {w.message.removed_in for w in shown} == {"99.0", "99.1"}


def _import(path):
    import importlib.util

    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_that_was_to_go_is_still_there():
    """When the version reaches ``removed_in``, this test asks for the removal."""
    now = tuple(int(part) for part in mritk.__version__.split(".")[:2])
    for name in dir(hookspecs):
        options = getattr(getattr(hookspecs, name), "mritk_spec", None) or {}
        leaving = [options.get("warn_on_impl"), *(options.get("warn_on_impl_args") or {}).values()]
        for warning in leaving:
            if warning is not None:
                assert tuple(int(part) for part in warning.removed_in.split(".")) > now


def test_people_who_run_a_plugin_see_the_warning():
    """Python hides a DeprecationWarning, and shows a FutureWarning."""
    assert issubclass(PluginDeprecationWarning, FutureWarning)


# -- what was written for the first release --------------------------------------------------------


@pytest.fixture
def thaw(tmp_path):
    """Write the trial file of a schema as it was, and return its results folder."""

    def write(schema: int) -> Path:
        content = json.loads((FROZEN / f"trial_schema_{schema}.json").read_text())
        path = tmp_path / f"frozen-{schema}" / "trials" / f"{content['attrs']['id']}.h5"
        path.parent.mkdir(parents=True)
        if "gzip" in content:
            path.write_bytes(gzip.decompress(base64.b64decode(content["gzip"])))
            return path.parents[1]
        with h5py.File(path, "w", track_order=True) as file:
            _fill(file, content)
        if schema >= 4:
            path.write_bytes(seal_bytes(path.read_bytes()))
        return path.parents[1]

    return write


def _fill(group, content):
    group.attrs.update(content["attrs"])
    for name, member in content["members"].items():
        if "values" in member:
            text = member["dtype"] == "text"
            dtype = h5py.string_dtype() if text else np.dtype(member["dtype"])
            group.create_dataset(name, data=np.asarray(member["values"], dtype))
        else:
            _fill(group.create_group(name), member)


@pytest.mark.slow
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_trial_file_of_an_earlier_schema_is_read(thaw, schema):
    folder = thaw(schema)
    record = read_trial(next((folder / "trials").iterdir()))
    frozen = json.loads((FROZEN / f"trial_schema_{schema}.json").read_text())
    assert record.backbone == "first_net@scratch"
    assert record.task.classes == ("a", "b")
    test = record.predictions["test"]
    stored = frozen.get("test") or {
        name: column["values"]
        for name, column in frozen["members"]["predictions"]["members"]["test"]["members"].items()
        if "values" in column
    }
    assert np.array_equal(test.score, np.asarray(stored["score"], np.float32))
    assert list(test.patient) == stored["patient"]


@pytest.mark.slow
@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_trial_of_an_earlier_schema_has_the_score_of_its_predictions(thaw, schema):
    (record,) = ResultsFolder(thaw(schema)).trials()
    test = record.predictions["test"]
    (table,) = build_leaderboard([record], metrics=["balanced_accuracy"]).tables
    (row,) = table.rows
    expected = balanced_accuracy_score(test.target, test.score.argmax(axis=1))
    assert row.cells["balanced_accuracy"].mean == pytest.approx(expected)


@pytest.mark.slow
@pytest.mark.parametrize("schema", [1, *slow(2, 3, 4), 5])
@pytest.mark.parametrize("command", ["leaderboard", "doctor", "show", "report"])
def test_results_of_an_earlier_schema_are_ranked_checked_and_shown(mritk, thaw, schema, command):
    folder = thaw(schema)
    if command == "show":
        trial = next((folder / "trials").iterdir()).stem
        ended = mritk("show", trial, "--results", folder)
    else:
        page = ("-o", folder / "report.html") if command == "report" else ()
        ended = mritk(command, folder, *page)
    assert ended.code == 0, ended.err
    assert "first_net@scratch" in ended.out or command in ("doctor", "report")


def test_the_schema_of_today_is_frozen_too(make_record, tmp_path):
    """A new schema needs a frozen file of the one before it."""
    from mritk.store.trial_file import SCHEMA

    assert SCHEMAS[-1] == SCHEMA
    assert (FROZEN / f"trial_schema_{SCHEMA}.json").is_file()


FROZEN_PROTOCOL = """
method = "finetune"
image_size = 32
augmentation = "none"

[parameters]
batch_size = 8
last_batch = "drop"

[[parameters.stages]]
name = "all"
epochs = 1
"""


@pytest.mark.slow
@pytest.mark.filterwarnings("error::mritk.PluginDeprecationWarning")
def test_a_plugin_of_the_first_release_works_unchanged(mritk, thaw, tmp_path):
    """Its trial is the one that was frozen, so it is found done and not trained again."""
    protocol = tmp_path / "frozen.toml"
    protocol.write_text(FROZEN_PROTOCOL)
    base = ("run", "-p", FROZEN / "first_plugin.py", "-b", "first", "-d", "first_images")
    call = (*base, "--protocol", protocol, "--seeds", 1, "--device", "cpu", "-o")
    assert mritk(*call, tmp_path / "new").code == 0
    trained = next(iter(ResultsFolder(tmp_path / "new").trials()))
    frozen = json.loads((FROZEN / "trial_schema_3.json").read_text())["attrs"]
    assert (trained.id, trained.fingerprint) == (frozen["id"], frozen["fingerprint"])
    for schema in (2, 3, 4, 5):  # that of schema 1 is of a recipe that dropped no copies
        folder = thaw(schema)
        before = next((folder / "trials").iterdir()).read_bytes()
        assert mritk(*call, folder).code == 0
        (stored,) = (folder / "trials").glob("*.h5")
        assert stored.read_bytes() == before


def test_what_only_plugins_of_interface_1_0_ask_for_is_still_there():
    from mritk.train import choose_penalty

    grids = mritk.Grid(8), mritk.Grid(None), mritk.Grid((8, 8)), mritk.Grid(8, "crop_or_pad")
    assert [grid.is_side for grid in grids] == [True, True, False, False]
    assert signature(choose_penalty).parameters["required"].default is None
