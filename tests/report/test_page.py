"""The report: one page, nothing fetched, every name shown and none run."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from mritk.results.folder import ResultsFolder
from mritk.results.leaderboard import build_leaderboard

EVIL = "<script>window.hacked = 1</script>"


@pytest.fixture
def page(mritk, results, tmp_path):
    """The report's text."""
    ended = mritk("report", results, "-o", tmp_path / "report.html")
    assert ended.code == 0, ended.err
    return (tmp_path / "report.html").read_text(encoding="utf-8")


class Elements(HTMLParser):
    """Collects elements with their attributes, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_data(self, data):
        self.text += data


def test_nothing_is_fetched_from_anywhere(page):
    for tag, attributes in Elements(page).elements:
        for name in ("src", "href", "xlink:href", "action", "data"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, (tag, value)
    assert not re.search(r"url\((?!#)", page)
    assert "default-src 'none'" in page


def test_ids_are_unique_and_pictures_have_a_text(page):
    elements = Elements(page).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(attributes.get("alt") for tag, attributes in elements if tag == "img")
    svgs = [attributes for tag, attributes in elements if tag == "svg"]
    assert len(svgs) == 8
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in svgs)


def test_headings_are_in_order(page):
    levels = [int(t[1]) for t, _ in Elements(page).elements if re.fullmatch(r"h[1-6]", t)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_names_that_look_like_code_are_text(page):
    parsed = Elements(page)
    scripts = [tag for tag, _ in parsed.elements if tag == "script"]
    assert len(scripts) == 1, "the page's own"
    assert not [attributes for tag, attributes in parsed.elements if "onerror" in attributes]
    for name in (EVIL, '"><img src=x onerror="window.hacked = 2">', "$x^2$ {{ 7 * 7 }} & </svg>"):
        assert name in parsed.text
    assert "49" not in re.findall(r"x\^2\$ (\S+)", parsed.text)


def test_it_holds_the_numbers_of_the_leaderboard(page, results):
    text = " ".join(Elements(page).text.split())
    table = build_leaderboard(ResultsFolder(results).trials()).tables[0]
    for row in table.rows:
        if row.trials:
            cell = row.cells["balanced_accuracy"]
            assert f"{cell.mean:.3f}" in text
            assert f"[{cell.interval.low:.3f}, {cell.interval.high:.3f}]" in text
    for note in table.notes:
        assert " ".join(note.split()) in text


def test_failed_trials_conflicts_and_provenance_are_there(page):
    text = Elements(page).text
    assert f"ValueError: {EVIL}" in text
    assert f"one {EVIL}" in text, "what stands under two labels"
    assert f"labels {EVIL}" in text
    assert '"mritk": "1.0"' in text
    assert "Method" in text, "the protocol in words"


def test_pictures_are_shown_where_the_data_are_those_of_the_trials(mritk, run_toy, toy, tmp_path):
    assert run_toy("--seeds", 1).code == 0
    output = tmp_path / "report.html"
    ended = mritk("report", "-p", toy, tmp_path / "results", "-o", output, "-d", "bands")
    assert ended.code == 0, ended.err
    pictures = [a for tag, a in Elements(output.read_text()).elements if tag == "img"]
    assert len(pictures) == 18, "the whole test part"
    assert all(a["src"].startswith("data:image/png;base64,") for a in pictures)
    assert "image-" in pictures[0]["alt"]
    toy.write_text(toy.read_text().replace("default_rng(0)", "default_rng(1)"))
    ended = mritk("report", "-p", toy, tmp_path / "results", "-o", output, "-d", "bands")
    assert ended.code == 0
    assert "is not what the trials were trained on" in ended.err
    assert "<img" not in output.read_text()


def test_an_empty_folder_and_a_page_that_cannot_be_written_are_told(mritk, results, tmp_path):
    (tmp_path / "empty" / "trials").mkdir(parents=True)
    assert mritk("report", tmp_path / "empty", "-o", tmp_path / "a.html").code == 5
    (tmp_path / "file").write_text("")
    assert mritk("report", results, "-o", tmp_path / "file" / "a.html").code == 3


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium that may not use a network."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, page, tmp_path):
    """Open the report with these settings; complaints and requests are collected."""

    def open_(**settings):
        tab = browser.new_context(offline=True, **settings).new_page()
        tab.complaints, tab.requests = [], []
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.goto((tmp_path / "report.html").as_uri())
        return tab

    return open_


def column(tab, number):
    return tab.eval_on_selector_all(
        f"#board-1 tbody tr > :nth-child({number})", "cells => cells.map(c => c.textContent)"
    )


def test_in_a_browser_nothing_complains_is_fetched_or_run(opened):
    tab = opened()
    assert tab.complaints == []
    assert [url for url in tab.requests if not url.startswith(("file:", "data:"))] == []
    assert tab.evaluate("window.hacked") is None
    assert EVIL in tab.inner_text("body")


def test_in_a_browser_a_click_sorts_by_number_and_what_has_none_stays_last(opened):
    tab = opened()
    head = tab.locator("#board-1 thead th").nth(2)
    start = column(tab, 3)
    assert start[-1] == "–", "the row of failed trials"
    head.get_by_role("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    shown = column(tab, 3)
    values = [float(text.split()[0].rstrip("¶")) for text in shown[:-1]]
    assert values == sorted(values)
    assert shown[-1] == "–"
    name = tab.locator("#board-1 thead th").nth(0)
    name.get_by_role("button").press("Enter")
    assert name.get_attribute("aria-sort") == "descending"
    assert head.get_attribute("aria-sort") is None
    parameters = tab.locator("#board-1 thead th", has_text="parameters")
    parameters.get_by_role("button").click()
    at = tab.locator("#board-1 thead th").all_inner_texts().index("parameters (M) ↓") + 1
    numbers = [float(text) for text in column(tab, at)[:-1]]
    assert numbers == sorted(numbers, reverse=True), "12 is more than 9"


def test_in_a_browser_the_filter_leaves_rows_that_hold_the_text(opened):
    tab = opened()
    tab.fill("input[type=search]", "PLAIN")
    assert tab.locator("#board-1 tbody tr:visible").count() == 1
    tab.fill("input[type=search]", "")
    assert tab.locator("#board-1 tbody tr:visible").count() == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_a_browser_text_stands_out_in_light_and_dark(opened, scheme):
    tab = opened(color_scheme=scheme)

    def luminance(colour):
        channels = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    read = "(e, p) => getComputedStyle(e)[p]"
    paper = luminance(tab.eval_on_selector("body", read, "backgroundColor"))
    assert (paper < 0.1) == (scheme == "dark")
    for selector in ("p", ".quiet", ".board td", "figcaption", ".defect", "figure svg"):
        ink = luminance(tab.eval_on_selector(selector, read, "color"))
        ratio = (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05)
        assert ratio >= 4.5, selector


def test_in_a_browser_a_phone_need_not_scroll_sideways(opened):
    tab = opened(viewport={"width": 375, "height": 700})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 375


def test_on_paper_everything_is_open_and_nothing_asks_for_input(opened):
    tab = opened()
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.evaluate("[...document.querySelectorAll('details')].every(d => d.open)")
    assert not tab.locator("input").first.is_visible()
