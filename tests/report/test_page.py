"""The report: one page, nothing fetched, every name shown and none run."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import datetime, timezone
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import recall_score

from mritk.report.board import scores
from mritk.report.by_class import by_class
from mritk.report.origin import made_with, trials_of
from mritk.report.page import headline, render
from mritk.report.row_labels import labelled
from mritk.results.analysis import Analysis
from mritk.results.footnotes import footnotes
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder

EVIL = "<script>window.hacked = 1</script>"


MADE = datetime(2026, 11, 27, 12, 30, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def board(records, failed):
    """The leaderboard."""
    return build_leaderboard([*records, failed], analysis=Analysis(resamples=200))


@pytest.fixture(scope="module")
def page(board, failed):
    """The report's text."""
    return render(board, [failed], {}, [], MADE)


@pytest.mark.slow
def test_the_command_writes_the_page(mritk, results, tmp_path):
    ended = mritk("report", results, "-o", tmp_path / "report.html", "--interval=none")
    assert ended.code == 0, ended.err
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>")
    assert f"report of {datetime.now().astimezone():%Y-%m-%d}" in text


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


@pytest.mark.slow
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


def test_head_and_contents_say_what_when_and_where(page):
    parsed = Elements(page)
    assert "4 models compared on bands – mritk report" in parsed.text
    assert "Trained 2026-11-20 to 2026-11-21 · report of 2026-11-27 12:30 UTC" in parsed.text
    targets = {attributes.get("id") for _, attributes in parsed.elements}
    links = [a["href"] for tag, a in parsed.elements if tag == "a"]
    assert len(links) >= 14
    assert {link.removeprefix("#") for link in links} <= targets


@pytest.mark.slow
def test_tables_of_a_varied_protocol_are_surveyed_by_a_curve(make_trial):
    records = [
        make_trial(
            right,
            backbone="plain@scratch",
            protocol=f"p[shots={shots}]",
            fingerprint=f"{shots}" * 64,
            protocol_json=json.dumps({"split": {"shots": shots}}),
        )
        for shots, right in ((5, 0.5), (0, 0.9))
    ]
    few = build_leaderboard(records, metrics=["accuracy"], analysis=Analysis(interval="none"))
    text = Elements(render(few, [], {}, [], MADE)).text
    assert text.index("Overview") < text.index("training samples per class (split.shots)")
    assert text.index("split.shots") < text.index("Leaderboard", text.index("split.shots"))
    assert "2 models compared on bands" in text


def test_classes_are_scored_over_all_trials_of_each_row(board):
    (table,) = board.tables
    found = by_class(table)
    assert [one.row for one in found] == [row.name for row in table.rows if row.trials]
    tests = [record.predictions["test"] for record in table.records[found[0].row]]
    recalls = [recall_score(t.target, t.score.argmax(axis=1), average=None) for t in tests]
    for k, line in enumerate(found[0].lines):
        shown = line.values["sensitivity"]
        assert shown.text == f"{np.mean(recalls, axis=0)[k]:.3f}"
        assert shown.detail == f"± {np.std(recalls, axis=0, ddof=1)[k]:.3f}"
        assert (line.support, line.prevalence) == (30, "33.3%")


def test_samples_of_a_class_are_counted_once_over_the_folds_of_each_seed(make_record):
    records = [make_record(fold=f, folds=2, seed=s) for f in (0, 1) for s in (0, 1)]
    (found,) = by_class(build_leaderboard(records).tables[0])
    assert [line.support for line in found.lines] == [4, 4]
    assert found.trials == 4


def test_each_trial_has_a_line_with_what_it_scored(page, board):
    (table,) = board.tables
    lines = trials_of(table)
    assert len(lines) == 6
    values = [v for row in table.rows for v in row.cells["balanced_accuracy"].values]
    assert [line["score"] for line in lines] == [f"{value:.3f}" for value in values]
    assert {line["kept"] for line in lines} == {"4"}
    assert lines[0]["started"] == "2026-11-20 10:00"


def test_provenance_is_told_once_where_trials_share_it(make_record):
    records = [
        make_record(seed=n, provenance={"mritk": "1.0", "machine": {"gpu": f"card {n % 2}"}})
        for n in range(4)
    ]
    assert made_with(records) == [("mritk", "1.0"), ("machine gpu", "card 0 | card 1")]
    records = [make_record(seed=n, provenance={"command": ["a", str(n)]}) for n in range(4)]
    assert made_with(records) == [("command", "4 different values")]


def test_it_holds_the_numbers_of_the_leaderboard(page, board):
    text = " ".join(Elements(page).text.split())
    (table,) = board.tables
    for row in table.rows:
        if row.trials:
            cell = row.cells["balanced_accuracy"]
            assert f"{cell.mean:.3f}" in text
            assert f"[{cell.interval.low:.3f}, {cell.interval.high:.3f}]" in text
    for note in footnotes(table):
        assert " ".join(note.split()) in text


def test_failed_trials_conflicts_and_provenance_are_there(page):
    text = Elements(page).text
    assert f"ValueError: {EVIL}" in text
    assert f"one {EVIL}" in text, "what stands under two labels"
    assert f"labels {EVIL}" in text
    assert '"mritk": "1.0"' in text
    assert "tensor 2" in text
    assert "tensor 3" not in text, "that list is cut short"
    assert "... 297 more" in text
    assert "Method" in text, "the protocol in words"


@pytest.mark.slow
def test_pictures_are_shown_where_the_data_are_those_of_the_trials(mritk, run_toy, toy, tmp_path):
    assert run_toy("--seeds", 1).code == 0
    output = tmp_path / "report.html"
    command = ("report", "-p", toy, tmp_path / "results", "-o", output, "-d", "bands")
    ended = mritk(*command, "--interval", "none")
    assert ended.code == 0, ended.err
    pictures = [a for tag, a in Elements(output.read_text()).elements if tag == "img"]
    assert len(pictures) == 18, "the whole test part"
    assert all(a["src"].startswith("data:image/png;base64,") for a in pictures)
    assert "image-" in pictures[0]["alt"]
    toy.write_text(toy.read_text().replace("default_rng(0)", "default_rng(1)"))
    ended = mritk(*command, "--interval", "none")
    assert ended.code == 0
    assert "differs from the tr" in ended.err
    assert "<img" not in output.read_text()


@pytest.mark.slow
def test_an_empty_folder_and_a_page_that_cannot_be_written_are_told(mritk, make_record, tmp_path):
    (tmp_path / "empty" / "trials").mkdir(parents=True)
    assert mritk("report", tmp_path / "empty", "-o", tmp_path / "a.html").code == 5
    (tmp_path / "file").write_text("")
    ResultsFolder(tmp_path / "results").write(make_record())
    assert mritk("report", tmp_path / "results", "-o", tmp_path / "file" / "a.html").code == 3


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


@pytest.mark.slow
def test_rows_of_two_protocols_and_ensembles_are_told_apart_in_their_columns(make_trial):
    probe = '{"image_size":32,"method":"linear_probe","parameters":{"batch_size":16}}'
    records = [
        make_trial(right, backbone=name, seed=seed, **columns)
        for right, columns in (
            (0.8, {}),
            (0.7, {"protocol": "probe", "protocol_json": probe, "fingerprint": "e" * 64}),
        )
        for name in ("one", "two")
        for seed in (0, 1)
    ]
    for number, record in enumerate(records):
        record.id = f"trial{number}"
    analysis = Analysis(resamples=100, ensembles=("seeds", "backbones"))
    board = build_leaderboard(records, analysis=analysis)
    (table,) = board.tables
    shown = scores(table)
    assert shown.heads[:2] == ["backbone", "protocol"]
    assert ("one ×2 seeds", "probe") in {(row[0].text, row[1].text) for row in shown.rows}
    assert ("ensemble of 4 rows", "fast + probe") in {
        (row[0].text, row[1].text) for row in shown.rows
    }
    assert len(trials_of(table)) == len(records) == len(table.every_record)
    text = Elements(render(board, [], {}, [], MADE)).text
    assert text.count("Every field") == 2
    assert "linear_probe" in text
    assert "4 models and 5 ensembles compared on bands" in text
    assert table.keys["protocol"] == "fast, probe", "an ensemble's is no protocol of its own"
    assert "one, fast; two, fast." in headline(table), (
        "names with commas are listed with semicolons"
    )


def test_names_in_figures_leave_out_what_all_rows_share(make_trial):
    records = [
        make_trial(0.8, backbone="a_network_with_a_long_name@imagenet", seed=seed, **columns)
        for columns in (
            {"protocol": "finetune[image_size=96]", "fingerprint": "a" * 64},
            {"protocol": "linear_probe[image_size=96]", "fingerprint": "b" * 64},
        )
        for seed in (0, 1)
    ]
    for number, record in enumerate(records):
        record.id = f"trial{number}"
    analysis = Analysis(resamples=100, ensembles=("seeds", "backbones"))
    (table,) = build_leaderboard(records, analysis=analysis).tables
    shown, shared = labelled(table)
    assert shared == "a_network_with_a_long_name@imagenet"
    assert {row.name for row in shown.rows} == {
        "finetune[image_size=96]",
        "linear_probe[image_size=96]",
        "×2 seeds, finetune[image_size=96]",
        "×2 seeds, linear_probe[image_size=96]",
        "ensemble of 2 rows",
    }
    assert shown.records.keys() == {row.name for row in shown.rows}
    (short, nothing) = labelled(replace(table, rows=table.rows[:0]))
    assert (list(short.rows), nothing) == ([], "")


def test_names_that_fit_or_share_nothing_stay_whole(board):
    (table,) = board.tables
    assert labelled(table) == (table, "")
