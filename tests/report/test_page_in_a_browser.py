"""The report in a headless browser: nothing fetched, sorted, filtered, printed."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from tests.report.conftest import EVIL

pytestmark = pytest.mark.slow


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
    (tmp_path / "report.html").write_text(page, encoding="utf-8")

    def open_(**settings):
        tab = browser.new_context(offline=True, **settings).new_page()
        tab.complaints, tab.requests = [], []
        tab.on("console", lambda message: tab.complaints.append(message.text))
        tab.on("pageerror", lambda error: tab.complaints.append(str(error)))
        tab.on("request", lambda request: tab.requests.append(request.url))
        tab.goto((tmp_path / "report.html").as_uri())
        return tab

    return open_


def column(tab, number, table="board"):
    return tab.eval_on_selector_all(
        f"#{table}-1 tbody tr > :nth-child({number})", "cells => cells.map(c => c.textContent)"
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
    parameters = tab.locator("#cost-1 thead th", has_text="parameters")
    parameters.get_by_role("button").click()
    numbers = [float(text) for text in column(tab, 3, "cost")[:-1]]
    assert numbers == sorted(numbers, reverse=True), "12 is more than 9"


def test_in_a_browser_the_filter_leaves_rows_that_hold_the_text(opened):
    tab = opened()
    tab.fill("input[type=search]", "PLAIN")
    assert tab.locator("#board-1 tbody tr:visible").count() == 1
    assert tab.locator("#cost-1 tbody tr:visible").count() == 1
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


def test_in_a_browser_scores_and_costs_fit_a_page_of_usual_width(opened):
    tab = opened(viewport={"width": 1200, "height": 800})
    for table in ("board", "cost"):
        sides = "e => [e.parentElement.scrollWidth, e.parentElement.clientWidth]"
        needed, there = tab.eval_on_selector(f"#{table}-1", sides)
        assert needed <= there, table


@pytest.mark.slow
def test_in_a_browser_links_of_the_contents_lead_to_their_headings(opened):
    tab = opened()
    tab.get_by_role("link", name="Confusion").click()
    assert tab.evaluate("document.querySelector(':target').textContent") == "Confusion"


@pytest.mark.slow
def test_on_paper_everything_is_open_but_raw_data_and_nothing_asks_for_input(opened):
    tab = opened(viewport={"width": 720, "height": 1000})
    tab.emulate_media(media="print")
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    shown = "[...document.querySelectorAll('details')].filter(d => d.checkVisibility())"
    assert tab.evaluate(f"{shown}.length") >= 3
    assert tab.evaluate(f"{shown}.every(d => d.open)")
    assert not tab.locator("input").first.is_visible()
    assert not tab.get_by_text("tensor 0").first.is_visible()
    assert tab.evaluate("document.documentElement.scrollWidth") <= 720
