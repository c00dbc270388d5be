"""The file of docs/segmentation.md, as it stands there: checked, trained and ranked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mritk.store.folder import ResultsFolder
from tests.test_segmentation import PLUGIN

PAGE = Path(__file__).parents[2] / "docs" / "segmentation.md"


@pytest.fixture
def brightest(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    path = tmp_path / code.splitlines()[0].removeprefix("# ")
    path.write_text(code)
    return path


@pytest.mark.slow
def test_the_plugin_keeps_its_promises(mritk, brightest):
    ended = mritk("plugins", "check", "-p", brightest, "brightest")
    assert ended.code == 0, ended.out
    assert " 0 failed" in ended.out


@pytest.mark.slow
def test_it_finds_the_threshold_that_the_shipped_method_finds(mritk, brightest, tmp_path):
    (tmp_path / "balls.py").write_text(PLUGIN)
    results = tmp_path / "results"
    asked = ["run", "-p", brightest, "-p", tmp_path / "balls.py", "-d", "balls", "--seeds", 1]
    for protocol in ("brightest", "threshold"):
        small = ("--vary", "volume_size=16", "-o", results)
        ended = mritk(*asked, "--protocol", protocol, *small)
        assert ended.code == 0, ended.err
    notes = {record.method: record.notes for record in ResultsFolder(results).trials()}
    assert notes["brightest"]["channel"] == 0
    assert notes["brightest"]["level"] == pytest.approx(notes["threshold"]["level"], abs=0.26)
