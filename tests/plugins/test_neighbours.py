"""A plugin of one file that imports what lies beside it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

import pytest

PLUGIN = """
from mritk import Augmentation, hookimpl
{at_import}

@hookimpl
def mritk_augmentations():
    {in_hook}
    yield Augmentation("helped", None)
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "plug"
    (folder / "parts").mkdir(parents=True)
    (folder / "helper.py").write_text("VALUE = 7\n")
    (folder / "parts" / "one.py").write_text("VALUE = 7\n")

    def write(at_import="", in_hook="", name="rel"):
        text = PLUGIN.format(at_import=at_import, in_hook=in_hook)
        (folder / f"{name}.py").write_text(text)
        return folder / f"{name}.py"

    return write


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {"at_import": "from helper import VALUE"},
        {"at_import": "import parts.one"},
        {"at_import": "from .helper import VALUE"},
        {"in_hook": "import helper"},
    ],
)
def test_the_command_that_is_told_loads_it_with_its_neighbour(mritk, plugin, given):
    told = mritk("plugins", "-p", plugin(**given))
    assert told.code == 4
    command = shlex.split(told.err.partition("as a module it can: '")[2].partition("'")[0])
    assert command[1:3] == ["mritk", "…"]
    name, path = command[0].split("=")
    arguments = [sys.executable, "-m", "mritk", "list", "augmentations", *command[3:]]
    environment = {**os.environ, name: path}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, "helped" in done.stdout) == (0, True), done.stderr


@pytest.mark.parametrize("what", ["not_there", "helpers", "parts_.one"])
def test_of_what_is_nowhere_no_neighbour_is_told(mritk, plugin, what):
    told = mritk("plugins", "-p", plugin(f"import {what}"))
    assert told.code == 4
    assert "neighbours" not in told.err


def test_of_a_file_that_no_module_can_be_named_after_no_command_is_told(mritk, plugin):
    told = mritk("plugins", "-p", plugin("import helper", name="my-plugin"))
    assert "cannot import its neighbours; '-p no:my-plugin' runs without it" in told.err
