"""A shell completes trials, metrics and columns."""

from __future__ import annotations

import pytest
from click.shell_completion import ShellComplete

from mritk.cli.completed import COLUMNS
from mritk.cli.main import cli
from mritk.results.columns import EXTRA_COLUMNS


@pytest.fixture
def completed(tmp_path, monkeypatch):
    """Complete the last of these words in a folder with two trials."""
    for folder in ("mritk-results", "other"):
        (tmp_path / folder / "trials").mkdir(parents=True)
        for name in ("0123", "0199"):
            (tmp_path / folder / "trials" / f"{folder[0]}{name}.h5").touch()
    monkeypatch.chdir(tmp_path)

    def complete(*words):
        *before, last = words
        found = ShellComplete(cli, {}, "mritk", "_MRITK_COMPLETE").get_completions(before, last)
        return [item.value for item in found]

    return complete


@pytest.mark.parametrize("command", ["show", "card", "verify", "rerun", "export"])
def test_trials_of_the_results_folder(completed, command):
    assert completed(command, "m01") == ["m0123", "m0199"]
    assert completed(command, "--results", "other", "o012") == ["o0123"]


@pytest.mark.parametrize("command", ["leaderboard", "differences", "compare", "plot", "report"])
def test_metrics(completed, command):
    assert completed(command, "--metric", "macro_a") == ["macro_auroc", "macro_auprc"]


def test_columns_also_behind_a_comma(completed):
    assert completed("leaderboard", "--columns", "sd,f") == ["sd,flops"]
    assert COLUMNS == EXTRA_COLUMNS


def test_where_nothing_can_be_known_nothing_is_completed(completed):
    assert completed("show", "--results", "nowhere", "x") == []
