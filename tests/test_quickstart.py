"""The README's first command: ``mritk run``, where mritk never was."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder


@pytest.fixture
def empty(tmp_path, default_phantom, monkeypatch):
    """An empty folder, on a machine that has the phantom and nothing else."""
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "phantom").symlink_to(default_phantom.folder("phantom"))
    monkeypatch.setenv("MRITK_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_mritk_run_without_options(empty, mritk):
    """Two seeds are planned; one seed and two epochs at 48 px, in larger batches, show what comes
    of it."""
    planned = mritk("run", "--dry-run", "--json")
    assert planned.code == 0, planned.err
    assert len(json.loads(planned.out)) == 4
    recipe = mritk("show", "quick", "--toml").out
    for whole, short in (
        ("epochs = 8", "epochs = 1"),
        ("image_size = 96", "image_size = 48"),
        ("batch_size = 16", "batch_size = 64"),
    ):
        assert recipe.count(whole) == 1
        recipe = recipe.replace(whole, short)
    (empty / "quick.toml").write_text(recipe)
    done = subprocess.run(
        [sys.executable, "-m", "mritk", "run", "--seeds", "1", "--protocol", "quick.toml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| efficientnet_lite0@imagenet" in done.stdout
    assert "Results: mritk-results" in done.stderr
    assert "mritk run -d folder:PATH" in done.stderr
    assert "█" not in done.stderr, "no progress bar where no terminal is"
    rows = [line for line in done.stderr.splitlines() if "balanced accuracy 0." in line]
    assert [row.split()[0] for row in rows] == ["1/2", "2/2"], "the table grows"

    trials = list(ResultsFolder(empty / "mritk-results").trials())
    (table,) = build_leaderboard(trials).tables
    assert {row.keys["backbone"] for row in table.rows} == {
        "efficientnet_lite0@imagenet",
        "linear_pixels@scratch",
    }
    assert [row.trials for row in table.rows] == [1, 1]
    assert table.patients > 0, "the phantom's patients are known and kept whole"
    peaks = [trial.cost.get("peak_host_memory_bytes", 0) for trial in trials]
    assert max(peaks) < 3 * 2**30, "under 3 GiB"
