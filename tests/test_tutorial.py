"""Whoever follows the tutorial, and nothing else, gets a backbone of their own on a leaderboard."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from mritk import packaged_text
from tests.session import Session

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r'```(?:python title="(?P<file>[^"]+)"|(?P<sh>sh))\n(?P<text>.*?)```', re.DOTALL)
SEEDS = re.compile(r"^mritk run .*--seeds 1", re.MULTILINE)

# Types its arguments, commands of mritk, one after the other.
TYPE = """
import shlex, sys
from mritk.cli.main import main

for line in sys.argv[1:]:
    program, *words = shlex.split(line)
    assert program == "mritk"
    assert main(words) == 0, line
"""


def test_every_block_is_a_file_a_command_or_output():
    languages = re.findall(r"^```(\S.*)$", TUTORIAL.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(languages) <= {
        "console",
        "sh",
        "text",
        'python title="wide_net.py"',
        'python title="save.py"',
    }


@pytest.mark.slow
def test_what_the_tutorial_shows_of_checks_is_what_they_print(mritk, tmp_path):
    text = TUTORIAL.read_text(encoding="utf-8")
    files = {block["file"]: block["text"] for block in BLOCK.finditer(text) if block["file"]}
    whole, without = re.findall(r"```text\n(.*?)```", text, re.DOTALL)[:2]
    plugin = tmp_path / "wide_net.py"
    for code, shown in ((0, whole), (1, without)):
        plugin.write_text(files["wide_net.py"] if code == 0 else _without_flatten(files))
        ended = mritk("plugins", "check", "-p", plugin, "wide_net")
        assert ended.code == code
        assert " ".join(shown.split()) in " ".join(ended.out.split())


def _without_flatten(files):
    text = files["wide_net.py"]
    assert text.count("nn.Flatten()") == 1
    return re.sub(r"\s*nn\.Flatten\(\),?", "", text)


@pytest.mark.slow
def test_the_tutorial_ends_with_a_row_in_a_leaderboard(
    fresh_environment, default_phantom, tmp_path, monkeypatch
):
    """Its files are written and its commands typed, in order, in an empty folder.

    The phantom is there already; that a first run makes it is what test_quickstart.py shows. Each
    stage of the protocol has one epoch at 48 px, in larger batches, given by ``--protocol`` where
    nothing is said of it. Until the package is installed, commands of mritk are typed in this
    process.
    """
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "phantom").symlink_to(default_phantom.folder("phantom"))
    monkeypatch.setenv("MRITK_HOME", str(tmp_path / "home"))
    quick = packaged_text("mritk_finetune", "protocols", "quick.toml")
    quick = re.sub(r"\bepochs = \d+", "epochs = 1", quick)
    for whole, short in (("image_size = 96", "image_size = 48"), ("size = 16", "size = 64")):
        assert quick.count(whole) == 1
        quick = quick.replace(whole, short)
    (tmp_path / "quick.toml").write_text(quick)
    environ = os.environ | {
        "PATH": f"{fresh_environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
        # The libraries are here already, and this test needs no index.
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_NO_INDEX": "1",
        # "0" is "no" here too: whether other libraries agree is not asked.
        "PIP_NO_WARN_CONFLICTS": "0",
    }
    here = Session(tmp_path)
    told, installed = "", False
    for block in BLOCK.finditer(TUTORIAL.read_text(encoding="utf-8")):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"])
            continue
        lines = SEEDS.sub(r"\g<0> --protocol quick.toml", block["text"]).splitlines()
        if installed:  # in one process: each would import torch anew
            program, lines = [fresh_environment / "bin" / "python", "-c", TYPE, *lines], []
            told = _shell(program, tmp_path, environ)
        for line in lines:
            if line.startswith("mritk "):
                typed = here.type(line)
                assert typed.code == 0, f"{line}\n{typed.screen}"
            else:
                _shell(["bash", "-ec", line], tmp_path, environ)
        installed |= "pip install" in block["text"]
    rows = [line for line in told.splitlines() if line.startswith("| wide_net@scratch")]
    assert len(rows) == 2, "one printed by the run, one by the leaderboard"
    assert (tmp_path / "mritk-wide-net" / "mritk_wide_net.py").is_file()
    assert len(list((tmp_path / "mritk-results" / "trials").glob("*.h5"))) == 3


def _shell(program, folder, environ):
    ended = subprocess.run(
        program, cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{program}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
