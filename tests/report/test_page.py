"""The report: one page, nothing fetched, every name shown and none run."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import datetime
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
from sklearn.metrics import recall_score

from mritk.errors import UsageError
from mritk.report.board import scores
from mritk.report.by_class import by_class
from mritk.report.figures.cost import cost
from mritk.report.origin import made_with, trials_of
from mritk.report.page import headline, render
from mritk.report.row_labels import labelled
from mritk.results.analysis import Analysis
from mritk.results.footnotes import footnotes
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder
from tests.report.conftest import EVIL, MADE


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
@pytest.mark.usefixtures("no_figures_of_tables")
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


def test_of_a_class_that_some_trials_cannot_be_scored_in_their_number_is_told(make_record):
    """Nothing was taken for that class: its PPV is not defined."""
    sound, never = make_record(seed=0), make_record(seed=1)
    score = never.predictions["test"].score
    score[:] = np.where(np.arange(score.shape[1]) == 0, 1.0, 0.0)
    (found,) = by_class(build_leaderboard([sound, never]).tables[0])
    assert found.lines[1].values["PPV"].detail.endswith("(1 of 2 trials)")
    assert "of 2 trials" not in found.lines[0].values["PPV"].detail


@pytest.mark.parametrize(("scheme", "support"), [("kfold", 4), ("holdout", 2)])
def test_samples_of_a_class_are_counted_once_over_the_trials_of_each_seed(
    make_record, scheme, support
):
    """Folds divide the samples; draws of a hold-out part may test one again."""

    def tested(fold):
        test = make_record().predictions["test"]
        of = fold if scheme == "kfold" else 0
        names = {name: [f"{of}-{x}" for x in getattr(test, name)] for name in ("id", "unit")}
        return replace(test, **names)

    records = [
        make_record(
            fold=fold,
            folds=2,
            seed=seed,
            scheme=scheme,
            protocol_json=json.dumps({"split": {"repeats": 2 if scheme == "holdout" else 1}}),
            predictions={"test": tested(fold)},
        )
        for fold in (0, 1)
        for seed in (0, 1)
    ]
    (found,) = by_class(build_leaderboard(records).tables[0])
    assert [line.support for line in found.lines] == [support, support]
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
    records = [make_record(provenance={"sites": {"train": {"A": 3}, "test": {"A": 1}}})]
    assert made_with(records) == [("sites train A", "3"), ("sites test A", "1")]


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
@pytest.mark.usefixtures("no_figures_of_tables")
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
@pytest.mark.usefixtures("no_figures_of_tables")
def test_an_empty_folder_and_a_page_that_cannot_be_written_are_told(mritk, make_record, tmp_path):
    (tmp_path / "empty" / "trials").mkdir(parents=True)
    assert mritk("report", tmp_path / "empty", "-o", tmp_path / "a.html").code == 5
    (tmp_path / "file").write_text("")
    ResultsFolder(tmp_path / "results").write(make_record())
    assert mritk("report", tmp_path / "results", "-o", tmp_path / "file" / "a.html").code == 3


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


@pytest.mark.parametrize(
    ("letters", "tied"), [(("a", "a2"), False), (("a2", "b2"), False), (("aa2", "a2"), True)]
)
def test_letters_beyond_z_are_shared_whole(make_trial, letters, tied):
    records = [make_trial(0.9, backbone=name) for name in ("one", "two")]
    (table,) = build_leaderboard(records, analysis=Analysis(resamples=100)).tables
    rows = [replace(row, tie=tie) for row, tie in zip(table.rows, letters, strict=True)]
    told = headline(replace(table, rows=rows))
    assert ("does not differ significantly" in told) == tied
    assert ("differs significantly from every other row" in told) != tied


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Attempting to set identical", "ignore:constrained_layout")
def test_rows_with_costs_and_without_a_score_do_not_stop_the_page(make_trial):
    records = [make_trial(0.9, backbone=name) for name in ("one", "two")]
    for record in records:
        test = record.predictions["test"]  # of the third class there is no sample
        record.predictions["test"] = replace(test, target=np.minimum(test.target, 1))
    board = build_leaderboard(records, analysis=Analysis(resamples=100))
    with pytest.raises(UsageError, match="balanced accuracy is undefined for all rows with a cost"):
        cost(board.tables[0], board.tables[0].metrics[0])
    assert "Class by class" in Elements(render(board, [], {}, [], MADE)).text


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
