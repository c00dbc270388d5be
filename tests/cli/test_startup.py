"""The program starts fast: what needs no torch does not import it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

HEAVY = ("torch", "torchvision", "timm", "sklearn", "scipy", "numpy", "h5py", "nilearn", "pydantic")

PROBE = """
import json, sys
from mritk.cli.main import main
heavy, commands = json.loads(sys.argv[1])
told = []
for arguments in commands:
    code = main(arguments)
    told.append([code, [name for name in heavy if name in sys.modules]])
print(json.dumps(told), file=sys.stderr)
"""


def imported_after(commands: list[list[object]], home) -> list[tuple[int, list[str]]]:
    """Run commands in one new process; return how each ended, and what was imported by then."""
    words = [[str(word) for word in arguments] for arguments in commands]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, json.dumps([HEAVY, words])],
        capture_output=True,
        text=True,
        check=True,
        cwd=home,
    )
    return [(code, heavy) for code, heavy in json.loads(done.stderr.splitlines()[-1])]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["list", "backbones"],
        ["list", "datasets", "--json"],
        ["plugins"],
        ["completion", "bash"],
        ["leaderboard", "--help"],
        ["explain", "--help"],
        ["list", "explainers"],
    ],
    ids=" ".join,
)
def test_help_and_listings_import_nothing_heavy(arguments, tmp_path):
    assert imported_after([arguments], tmp_path) == [(0, [])]


# What the list of commands needs beside click, pluggy and what finds the plugins. Whatever comes in
# addition costs every look at it some milliseconds: import it where it is used.
OF_PYTHON = {"_contextvars", "contextvars", "copy", "dataclasses", "errno", "gc", "math"}
OF_PYTHON |= {"signal", "threading", "time"}
if sys.version_info < (3, 11):  # its importlib.metadata needs more
    OF_PYTHON |= {"importlib._adapters", "importlib._common", "importlib.resources", "tempfile"}
if sys.version_info >= (3, 12):  # its gettext, which click asks for its words, needs more
    OF_PYTHON |= {"_locale", "locale"}
OF_MRITK = """
    mritk.__main__ mritk.backbone mritk.cli.app mritk.cli.hints mritk.cli.interrupt mritk.cli.main
    mritk.cli.streams mritk.cli.tell mritk.images.grid mritk.images.input_contract mritk.data.rank
    mritk.errors mritk.evaluate.metric mritk.cli.warm_up mritk.files.digests mritk.files.ground
    mritk.files.manual mritk.files.mistaken_file mritk.files.packaged mritk.files.regular_file
    mritk.files.remedy mritk.files.user_path mritk.files.workspace mritk.lazy_import
    mritk.machine.usual_state
    mritk.machine.cores mritk.method mritk.plugins.discovery mritk.plugins.hookspecs
    mritk.plugins.loaded mritk.plugins.loading mritk.plugins.options mritk.plugins.registry
    mritk.plugins.trace mritk.records mritk.text.printable mritk.text.visible
"""
OF_PLUGINS = """
    mritk_cluster.commands
    mritk_lvmmed.layouts mritk_lvmmed.published mritk_phantom.recipe mritk_radimagenet.contracts
    mritk_radimagenet.files mritk_radimagenet.layouts mritk_table_cnn.kshot mritk_tiles.cohort
    mritk_timm.curated mritk_timm.hub mritk_timm.hub_error mritk_timm.lite0
"""
HELP = """
import sys, importlib.metadata, click.shell_completion, click._textwrap, pluggy
for point in importlib.metadata.entry_points(group="mritk"):
    point.dist.metadata["Name"]
before = {*sys.modules}
sys.argv = ["mritk", "--help"]
from mritk.__main__ import run
try:
    run()
finally:
    packages = {name.rpartition(".")[0] for name in sys.modules}
    print(*sorted({*sys.modules} - before - packages), file=sys.stderr)
"""


@pytest.mark.slow
def test_the_list_of_commands_imports_little(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    imported = {*done.stderr.split()}
    plugins = {name for name in imported if name.startswith("mritk_") and "." not in name}
    assert "mritk_folders" in plugins, "any plugin may add commands, so each is imported"
    known = {*OF_MRITK.split(), *OF_PLUGINS.split(), *plugins, *OF_PYTHON}
    assert sorted(imported - known) == []


@pytest.mark.slow
def test_the_list_of_commands_imports_none_of_them(tmp_path):
    text = (
        "import sys; from mritk.cli.main import COMMANDS, main; main(['--help']);"
        "from click.shell_completion import ShellComplete; from mritk.cli.main import cli;"
        "found = ShellComplete(cli, {}, 'mritk', '_MRITK_COMPLETE').get_completions([], 're');"
        "print(*sorted(item.value for item in found));"
        "print([name for name in COMMANDS if f'mritk.cli.{name}' in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-2:] == ["report rerun rescore", "[]"]
    assert re.search(r"^  rerun  +\w.*\.$", done.stdout, flags=re.MULTILINE)


@pytest.mark.slow
def test_completion_of_names_imports_nothing_heavy(tmp_path, monkeypatch):
    monkeypatch.setenv("_MRITK_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "mritk run --backbone efficientnet_l")
    monkeypatch.setenv("COMP_CWORD", "3")
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mritk"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "plain,efficientnet_lite0@imagenet" in done.stdout
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not imported & set(HEAVY)


@pytest.mark.slow
def test_a_leaderboard_imports_neither_torch_nor_scikit_learn(run_toy, tmp_path):
    run_toy("--seeds", 1)
    ((code, heavy),) = imported_after([["leaderboard", tmp_path / "results"]], tmp_path)
    assert code == 0
    assert not {"torch", "torchvision", "timm", "sklearn"} & set(heavy)


@pytest.mark.slow
def test_nothing_that_reads_results_imports_torch(run_toy, tmp_path):
    assert run_toy("--seeds", 1).code == 0
    results = tmp_path / "results"
    (trial,) = (results / "trials").glob("*.h5")
    commands = [
        ["show", trial],
        ["compare", results, results],
        ["differences", results],
        ["report", results],
        ["plot", "forest", results],
        ["doctor", results],
        ["verify", trial],
        ["rescore", results],
        ["card", trial],
        ["merge", results, "-o", tmp_path / "other"],
    ]
    told = imported_after(commands, tmp_path)
    assert told[0][0] == 0, "a trial is shown"
    for arguments, (_, heavy) in zip(commands, told, strict=True):
        assert not {"torch", "torchvision", "timm"} & set(heavy), arguments
