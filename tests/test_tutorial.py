"""Whoever follows the tutorial, and nothing else, gets a backbone of their own on a leaderboard."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from mritk_finetune import read_protocol_text

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.md"
BLOCK = re.compile(r'```(?:python title="(?P<file>[^"]+)"|(?P<sh>sh))\n(?P<text>.*?)```', re.DOTALL)
SEEDS = re.compile(r"^mritk run .*--seeds 1", re.MULTILINE)


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
def test_the_tutorial_ends_with_a_row_in_a_leaderboard(
    fresh_environment, default_phantom, tmp_path
):
    """Its files are written and its commands typed, in order, in an empty folder.

    The phantom is there already; that a first run makes it is what test_quickstart.py shows. Each
    stage of the protocol has one epoch, given by ``--protocol`` where nothing is said of it.
    """
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "phantom").symlink_to(default_phantom.folder("phantom"))
    quick = re.sub(r"\bepochs = \d+", "epochs = 1", read_protocol_text("quick"))
    (tmp_path / "quick.toml").write_text(quick)
    told = ""
    for block in BLOCK.finditer(TUTORIAL.read_text(encoding="utf-8")):
        if block["file"]:
            (tmp_path / block["file"]).write_text(block["text"])
            continue
        ended = subprocess.run(
            ["bash", "-ec", SEEDS.sub(r"\g<0> --protocol quick.toml", block["text"])],
            cwd=tmp_path,
            env=os.environ
            | {
                "PATH": f"{fresh_environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "MRITK_HOME": str(tmp_path / "home"),
                # The libraries are here already, and this test needs no index.
                "PIP_NO_BUILD_ISOLATION": "0",
                "PIP_NO_INDEX": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, f"{block['text']}\n{ended.stdout}\n{ended.stderr}"
        told = ended.stdout
    rows = [line for line in told.splitlines() if line.startswith("| wide_net@scratch")]
    assert len(rows) == 2, "one printed by the run, one by the leaderboard"
    assert (tmp_path / "mritk-wide-net" / "mritk_wide_net.py").is_file()
    assert len(list((tmp_path / "mritk-results" / "trials").glob("*.h5"))) == 3
