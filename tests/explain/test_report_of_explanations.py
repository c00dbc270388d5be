"""Explanations in the report: scores always, pictures where the data are open."""

from __future__ import annotations

import re
import shutil

import pytest

from mritk.store.explanations import EXPLANATIONS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_figures_of_tables")]


@pytest.fixture
def report(here, mritk, trial_of, tmp_path):
    """Explain five test volumes; write the report of their trial, and return its text and lines."""
    shutil.copytree(here / "planted3", tmp_path / "results")
    command = ("explain", trial_of("planted3"), "--results", tmp_path / "results")
    plugin = ("-p", here / "planted.py")
    assert mritk(*command, *plugin, "-e", "grad_cam", "-e", "saliency", "--cases", "5").code == 0

    def call(*arguments):
        page = tmp_path / "report.html"
        ended = mritk("report", tmp_path / "results", "-o", page, *plugin, *arguments)
        return page.read_text(encoding="utf-8"), ended.err

    return call


def test_the_report_has_the_scores_and_says_how_to_get_pictures(report):
    page, _ = report()
    assert re.search(r'<h3 id="table-1-explained">Explanations</h3>', page)
    assert "5 cases, 2 with a lesion" in page or "5 cases, 3 with a lesion" in page
    assert page.count(">  random weights</th>") == 2
    assert "<code>mritk report --dataset NAME</code> shows pictures." in page
    assert 'class="overlays"' not in page


def test_with_the_data_it_shows_the_maps_over_the_samples(report):
    page, _ = report("-d", "planted3")
    figures = re.findall(r'<figure class="overlays">.*?</figure>', page, re.DOTALL)
    assert len(figures) in (2, 3), "the cases with a lesion"
    for figure in figures:
        assert figure.count('src="data:image/png;base64,') == 3
        assert "cube" in figure


def test_a_damaged_file_is_a_remark(report, tmp_path):
    (path,) = (tmp_path / "results" / EXPLANATIONS).glob("*.h5")
    path.write_bytes(path.read_bytes()[:-5])
    page, lines = report()
    assert "was modified after it was written; repeat 'mritk explain'" in lines
    assert "table-1-explained" not in page


def test_in_a_browser_every_picture_is_seen(report, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    report("-d", "planted3")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        complaints = []
        tab.on("console", lambda message: complaints.append(message.text))
        tab.goto((tmp_path / "report.html").as_uri())
        widths = tab.eval_on_selector_all(".overlays img", "all => all.map(i => i.naturalWidth)")
        browser.close()
    assert complaints == []
    assert len(widths) >= 6
    assert set(widths) == {160}
