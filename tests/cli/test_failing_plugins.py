"""A plugin that raises: one line that names it, and everything else goes on."""

from __future__ import annotations

import json
import shlex

import pytest

from mritk.store.folder import ResultsFolder

FAILING = """
import numpy as np
from mritk import (
    Architecture, Augmentation, Classification, Dataset, DatasetFamily, Method, ProtocolFile,
    Samples, hookimpl,
)
from dataclasses import dataclass


def build():
    raise KeyError("net")


def augment(images, generator):
    return images.reshape(3, 3, 3, 3, 3)


def widen(images, generator):
    return images.double()


def open_nothing(workspace):
    raise ValueError("cannot open")


def open_and_leave(workspace):
    raise SystemExit(0)


def open_loudly(workspace):
    print("three files found")
    task = Classification(("a", "b"))
    return Samples(["1", "2"], [0, 1], task, lambda row: np.eye(8, k=row), spatial_dims=2)


def is_generated(workspace):
    print("looking")
    raise SystemExit(0)


def find(member):
    return 1 / 0


def find_and_leave(member):
    raise SystemExit(0)


@dataclass(frozen=True)
class Parameters:
    pass


def fit(setup):
    return [][1]


@hookimpl
def mritk_backbones():
    yield Architecture("bad_net", build)


@hookimpl
def mritk_augmentations():
    yield Augmentation("bad_augmentation", augment)
    yield Augmentation("wide", widen)


@hookimpl
def mritk_datasets():
    yield Dataset("bad_dataset", open_nothing)
    yield Dataset("leaving_dataset", open_and_leave)
    yield Dataset("loud_dataset", open_loudly)
    yield Dataset("ungenerated", open_loudly, is_generated=is_generated)
    yield DatasetFamily("bad", find)
    yield DatasetFamily("leaving", find_and_leave)


@hookimpl
def mritk_methods():
    yield Method("bad_method", fit, Parameters)


@hookimpl
def mritk_protocols():
    yield ProtocolFile("bad_method", lambda: 'method = "bad_method"')
"""


@pytest.fixture
def failing(tmp_path):
    path = tmp_path / "failing.py"
    path.write_text(FAILING)
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["-b", "bad_net"],
            r"KeyError: 'net' (raised in backbone bad_net@scratch of failing.py sha256:",
        ),
        (
            ["-a", "bad_augmentation"],
            "input of size 16384 (raised in augmentation bad_augmentation of failing.py sha256:",
        ),
    ],
)
def test_a_plugin_that_raises_in_a_trial_is_named_and_the_trial_is_stored(
    run_toy, failing, tmp_path, arguments, line
):
    ended = run_toy("--seeds", 1, "-p", failing, *arguments)
    assert ended.code == 3
    told = [text for text in ended.err.splitlines() if text.startswith("failed: ")]
    assert len(told) == 1
    assert line in told[0]
    assert "(failing), hook mritk_" in told[0]
    assert "failing.py line " in told[0]
    assert f"mritk plugins check -p {failing} {arguments[1]}" in told[0]
    stored = list(ResultsFolder(tmp_path / "results").trials())
    assert "failed" in {trial.status for trial in stored}
    kept = next(trial for trial in stored if trial.status == "failed")
    assert "failing.py" in kept.failure.traceback
    if arguments[0] == "-b":
        assert "finished" in {trial.status for trial in stored}, "the other backbone goes on"


@pytest.mark.slow
def test_what_checks_an_augmentation_that_returns_something_else_can_be_typed(
    run_toy, mritk, failing, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my plugins").mkdir()
    path = failing.rename(tmp_path / "my plugins" / "failing.py")
    ended = run_toy("--seeds", 1, "-p", path, "-a", "wide")
    told = next(text for text in ended.err.splitlines() if text.startswith("failed: "))
    assert "returned torch.float64 (" in told
    command = "mritk plugins check -p './my plugins/failing.py' wide"
    assert told.endswith(f"to find the cause: {command}")
    checked = mritk(*shlex.split(command)[1:])
    assert "is returned with dtype torch.float64" in checked.out + checked.err


def test_a_method_that_raises_is_named(mritk, toy, failing, tmp_path):
    base = ("run", "-p", toy, "-p", failing, "-b", "tiny", "-d", "bands", "--seeds", 1)
    ended = mritk(*base, "--protocol", "bad_method", "-o", tmp_path / "results")
    assert "IndexError: list index out of range (raised in method bad_method of" in ended.err


@pytest.mark.slow
def test_of_several_things_in_one_file_the_one_that_was_called_is_named(
    mritk, toy, fast_protocol, tmp_path
):
    text = toy.read_text().replace("def build_tiny():", "def build_tiny():\n    _stumble()\n")
    toy.write_text(text + "\n\ndef _stumble():\n    raise KeyError('x')\n")
    base = ("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", fast_protocol)
    ended = mritk(*base, "--seeds", 1, "-o", tmp_path / "results")
    assert "KeyError: 'x' (raised in backbone tiny@scratch of toy.py" in ended.err


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("bad_dataset", "dataset bad_dataset of failing.py sha256:"),
        ("leaving_dataset", "dataset leaving_dataset of failing.py sha256:"),
        ("bad:x", "bad:x of failing.py sha256:"),
        ("leaving:x", "leaving:x of failing.py sha256:"),
    ],
)
@pytest.mark.parametrize("command", [("run", "-b", "small_cnn", "-d"), ("fetch", "-d"), ("audit",)])
def test_a_dataset_that_raises_is_one_line(mritk, failing, name, line, command):
    ended = mritk(*command, name, "-p", failing)
    assert ended.code == 3
    assert "Traceback" not in ended.err
    told = next(text for text in ended.err.splitlines() if line in text)
    assert "hook mritk_datasets, failing.py line " in told


@pytest.mark.parametrize("name", ["bad_dataset", "leaving_dataset", "ungenerated"])
def test_show_tells_why_a_dataset_that_raises_is_not_read(mritk, failing, name):
    ended = mritk("show", name, "-p", failing, "--json")
    assert ended.code == 0
    told = json.loads(ended.out)["dataset"]["contents"]["not_read"]
    assert f"dataset {name} of failing.py sha256:" in told
    assert "hook mritk_datasets, failing.py line " in told


@pytest.mark.parametrize("command", [("show",), ("fetch", "-d"), ("audit",)])
def test_what_a_dataset_prints_stands_beside_the_results(mritk, failing, command):
    ended = mritk(*command, "loud_dataset", "-p", failing, "--json")
    assert json.loads(ended.out)
    assert "three files found" in ended.err


@pytest.mark.slow
def test_a_moment_that_raises_names_its_plugin_and_the_way_out(run_toy, tmp_path, caplog):
    (tmp_path / "shaky.py").write_text(
        "from mritk import hookimpl\n@hookimpl\ndef mritk_epoch_end(epoch):\n    {}['x']\n"
    )
    assert run_toy("--seeds", 1, "-p", tmp_path / "shaky.py").code == 0
    warning = next(r.getMessage() for r in caplog.records if "is disabled" in r.getMessage())
    assert warning.startswith("plugin shaky.py sha256:")
    assert "(shaky) raised in mritk_epoch_end" in warning
    assert warning.endswith("'-p no:shaky' excludes it")


def test_a_missing_dependency_is_named_but_no_package_of_that_name_is_recommended(mritk, tmp_path):
    (tmp_path / "needy.py").write_text("import not_there.inside\n")
    ended = mritk("plugins", "-p", tmp_path / "needy.py")
    assert ended.code == 4
    assert "No module named 'not_there'" in ended.err
    assert "pip install" not in ended.err, "a package of that name may be anybody's"


LEAVING = """
import sys
from mritk import hookimpl


@hookimpl
def mritk_commands(cli):
    @cli.command()
    def leave():
        {how}
"""


@pytest.mark.parametrize(
    ("how", "code", "told"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(7)", 7, ""),
        ("sys.exit('no licence')", 3, "mritk: no licence\n"),
        ("return 1", 1, ""),
        ("return 'done'", 0, ""),
    ],
)
def test_a_command_of_a_plugin_ends_as_it_says(mritk, tmp_path, how, code, told):
    (tmp_path / "leaving.py").write_text(LEAVING.format(how=how))
    ended = mritk("-p", tmp_path / "leaving.py", "leave")
    assert (ended.code, ended.err) == (code, told)
