"""The README's first command: ``mritk run``, where mritk never was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder


@pytest.fixture
def typed(tmp_path, default_phantom):
    """Type a command in an empty folder, on a machine that has the phantom and nothing else."""
    shutil.copytree(default_phantom.home / "phantom", tmp_path / "home" / "phantom")
    environ = os.environ | {"MRITK_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}

    def call(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "mritk", *arguments],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


@pytest.mark.slow
def test_mritk_run_without_options(typed, tmp_path):
    """Two seeds are planned; to see what comes of it, one seed and two epochs are enough."""
    planned = typed("run", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    assert len(json.loads(planned.stdout)) == 4
    recipe = typed("show", "quick", "--toml").stdout
    assert recipe.count("epochs = 8") == 1
    (tmp_path / "quick.toml").write_text(recipe.replace("epochs = 8", "epochs = 1"))
    done = typed("run", "--seeds", "1", "--protocol", "quick.toml")
    assert done.returncode == 0, done.stderr
    assert "| efficientnet_lite0@imagenet" in done.stdout
    assert "Results: mritk-results" in done.stderr
    assert "mritk run -d folder:PATH" in done.stderr
    assert "█" not in done.stderr, "no progress bar where no terminal is"
    rows = [line for line in done.stderr.splitlines() if "balanced accuracy 0." in line]
    assert [row.split()[0] for row in rows] == ["1/2", "2/2"], "the table grows"

    trials = list(ResultsFolder(tmp_path / "mritk-results").trials())
    (table,) = build_leaderboard(trials).tables
    assert {row.keys["backbone"] for row in table.rows} == {
        "efficientnet_lite0@imagenet",
        "linear_pixels@scratch",
    }
    assert [row.trials for row in table.rows] == [1, 1]
    assert table.patients > 0, "the phantom's patients are known and kept whole"
    peaks = [trial.cost.get("peak_host_memory_bytes", 0) for trial in trials]
    assert max(peaks) < 3 * 2**30, "under 3 GiB"
