"""Every format of the leaderboard can be read by the program it is meant for."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser

import pytest

from mritk.errors import StoreError
from mritk.results.footnotes import footnotes
from mritk.results.formats import FORMATS, format_leaderboard
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder

CLASSES_WRONG = (0, 0, 1, 0)


@pytest.fixture
def board(make_record):
    """Two backbones, one with two seeds, a failed trial, a second protocol, a damaged file."""
    return build_leaderboard(
        [
            make_record(backbone="net_a@imagenet"),
            make_record(CLASSES_WRONG, backbone="net_a@imagenet", seed=1),
            make_record(CLASSES_WRONG, backbone="b<i>&@scratch"),
            make_record(backbone="c", status="failed"),
            make_record(fingerprint="0" * 64, protocol_json='{"image_size":64,"split":{"seed":1}}'),
            StoreError("damaged.h5 is not <readable>"),
        ]
    )


def test_the_formats_of_the_command_line_are_those_of_the_library():
    from mritk.cli.leaderboard import FORMATS as OFFERED

    assert set(OFFERED) == {*FORMATS, "parquet"}, "Parquet is a binary format"


@pytest.mark.parametrize("style", ["github", "plain", "latex", "html"])
def test_text_formats_hold_numbers_conditions_and_notes(board, style):
    text = format_leaderboard(board, style)
    assert "0.875" in text
    assert "0.177" in text, "the standard deviation of 0.75 and 1"
    assert "fast" in text
    assert "ffffffff" in text
    assert "4 test samples of 2 patients" in text
    assert "hold-out split" in text
    assert "1 failed" in text
    assert "image_size: 64 | 32" in text
    assert "Not read: damaged.h5" in text


def test_github_tables_have_a_head_and_as_many_cells_in_each_row(board):
    lines = [x for x in format_leaderboard(board, "github").splitlines() if x.startswith("|")]
    assert lines[0].startswith("| backbone")
    assert "balanced accuracy ↑" in lines[0]
    assert "log loss ↓" in lines[0]
    assert set(lines[1]) <= set("|-: ")
    heads = [number for number, line in enumerate(lines) if line.startswith("| backbone")]
    for begin, end in zip(heads, [*heads[1:], len(lines)], strict=True):
        assert len({line.count("|") for line in lines[begin:end]}) == 1


def test_the_augmentation_is_a_column_only_where_there_are_several(make_record):
    one = build_leaderboard([make_record()])
    assert "augmentation" not in format_leaderboard(one, "github")
    two = build_leaderboard([make_record(), make_record(augmentation="affine")])
    assert "| augmentation" in format_leaderboard(two, "github")


def test_csv_has_full_numbers_and_one_line_per_row(board):
    lines = list(csv.DictReader(io.StringIO(format_leaderboard(board, "csv"))))
    assert len(lines) == 4
    (line,) = [x for x in lines if x["backbone"] == "net_a@imagenet"]
    assert float(line["balanced_accuracy_mean"]) == 0.875
    assert float(line["balanced_accuracy_sd"]) == pytest.approx(0.1767767)
    assert (line["trials"], line["failed"], line["dataset"]) == ("2", "0", "bands")
    assert line["fingerprint"] == "f" * 64


def test_csv_quotes_names_with_commas(make_record):
    board = build_leaderboard([make_record(backbone='a,"b"')])
    (line,) = csv.DictReader(io.StringIO(format_leaderboard(board, "csv")))
    assert line["backbone"] == 'a,"b"'


@pytest.mark.parametrize("style", FORMATS)
def test_a_damaged_file_is_reported_in_every_format(mritk, make_record, tmp_path, style):
    folder = ResultsFolder(tmp_path)
    folder.write(make_record(id="good"))
    folder.trial_path("broken").write_bytes(b"no hdf5")
    ended = mritk("leaderboard", tmp_path, "--format", style)
    assert ended.code == 0
    assert "broken.h5" in ended.out + ended.err


def test_json_is_json_with_null_for_undefined_numbers(board):
    data = json.loads(format_leaderboard(board, "json"), parse_constant=pytest.fail)
    table = next(t for t in data["tables"] if t["fingerprint"] == "f" * 64)
    assert table["sorted_by"] == "balanced_accuracy"
    assert table["test_samples"] == 4
    first, *_, last = table["rows"]
    assert first["backbone"] == "net_a@imagenet"
    assert first["seeds"] == [0, 1]
    assert first["metrics"]["accuracy"]["values"] == [1.0, 0.75]
    accuracy = last["metrics"]["accuracy"]
    assert (accuracy["mean"], accuracy["sd"], accuracy["values"]) == (None, None, [])
    assert first["metrics"]["accuracy"]["interval"]["reason"]
    assert last["failed"] == 1
    assert len(data["differing_protocol_fields"]) == 1
    assert data["not_read"] == ["damaged.h5 is not <readable>"]


class Cells(HTMLParser):
    """Collects tags and the text of cells and paragraphs."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)
        if tag in ("td", "th", "p"):
            self.texts.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, "tags are closed in order"

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th", "p"):
            self.texts[-1] += data


def test_html_is_well_formed_and_names_are_escaped(board):
    parser = Cells()
    parser.feed(format_leaderboard(board, "html"))
    assert parser.open == []
    assert parser.tags.count("table") == 2
    assert "b<i>&@scratch" in [text.strip() for text in parser.texts]
    assert "i" not in parser.tags
    assert "Not read: damaged.h5 is not <readable>" in parser.texts


def test_latex_uses_booktabs_and_escapes_names(board):
    text = format_leaderboard(board, "latex")
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == 2
    assert r"net\_a@imagenet" in text
    assert r"\&@scratch" in text
    assert re.search(r"0\.875 +& 0\.177", text)
    assert r"accuracy $\uparrow$" in text
    assert r"loss $\downarrow$" in text


def test_latex_outside_comments_is_ascii(board):
    text = format_leaderboard(board, "latex")
    code = [line for line in text.splitlines() if not line.startswith("%")]
    assert "\n".join(code).isascii()


class Environments:
    """What LaTeX complains of first: environments and braces that do not match, bare signs."""

    def __init__(self, text):
        self.opened = []
        for line in text.splitlines():
            code = re.sub(r"(?<!\\)%.*", "", line)
            for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", code):
                if kind == "begin":
                    self.opened.append(name)
                else:
                    assert self.opened.pop() == name
            bare = re.sub(r"\\.", "", code)
            assert bare.count("{") == bare.count("}")
            assert bare.count("$") % 2 == 0
            assert "#" not in bare
            assert not re.search(r"[_^]", re.sub(r"\$[^$]*\$", "", bare)), line


@pytest.mark.parametrize(
    "name", ["net_a", r"100% {a}^b & \x ~ #1 <i> |x| $y$ `z` \"q\"", "[x] *y*"]
)
def test_a_latex_table_is_whole_whatever_names_hold(make_record, name):
    record = make_record(backbone=name, dataset=name, protocol=name)
    text = format_leaderboard(build_leaderboard([record]), "latex")
    assert Environments(text).opened == []
    body = re.search(r"\\midrule\n(.*?)\\bottomrule", text, re.DOTALL)[1]
    assert all(line.count(" & ") >= 5 for line in body.strip().splitlines())
    assert not re.search(r"\\\\\s*\[", text), "that would be a distance"
    assert not re.search(r"\\item\s*\[", text), "that would be a label"


def test_a_latex_table_has_caption_label_and_notes_to_be_pasted(board):
    text = format_leaderboard(board, "latex")
    assert text.startswith(r"% Needs: \usepackage{booktabs,threeparttable}")
    assert text.count(r"\begin{threeparttable}") == len(board.tables) == 2
    assert r"\caption{bands (dddddddd); protocol fast (ffffffff); hold-out split, 4 test" in text
    assert re.findall(r"\\label\{(.*?)\}", text) == ["tab:bands-fast", "tab:bands-fast-2"]
    items = [line.strip() for line in text.splitlines() if line.strip().startswith(r"\item")]
    of_columns = items.count(r"\item SD: over trials (seeds and folds).")
    assert of_columns == 1, "one of the two has rows of several trials"
    assert len(items) == of_columns + sum(len(footnotes(table)) for table in board.tables)
    captions = text.index(r"\caption")
    assert captions < text.index(r"\begin{tabular}") < text.index(r"\begin{tablenotes}")


def test_a_column_that_is_not_shown_is_not_explained(board):
    assert "SD:" in format_leaderboard(board, "github")
    assert "SD:" not in format_leaderboard(board, "github", columns=["trials"])


def test_a_long_heading_of_a_latex_table_takes_several_lines(board):
    text = format_leaderboard(board, "latex")
    assert r"\shortstack[l]{log \\ loss $\downarrow$}" in text


def test_latex_keeps_a_message_of_several_lines_in_comments():
    text = format_leaderboard(build_leaderboard([StoreError("x.h5\nis damaged")]), "latex")
    assert all(line.startswith("%") for line in text.splitlines())


def test_a_pipe_in_a_name_does_not_break_a_github_table(make_record):
    board = build_leaderboard([make_record(backbone="net@file:a|b.pt")])
    lines = [x for x in format_leaderboard(board, "github").splitlines() if x.startswith("|")]
    assert len({line.replace(r"\|", "").count("|") for line in lines}) == 1


MARKUP = "<img src=x> [a](http://b) *c* <!-- end of mritk leaderboard -->"


def test_names_are_text_to_markdown(make_record):
    record = make_record(backbone=MARKUP, dataset=MARKUP, protocol=MARKUP)
    board = build_leaderboard([record, StoreError(f"{MARKUP} is damaged")])
    text = format_leaderboard(board, "github")
    head, _, notes = text.partition("Not read:")
    for markup in ("<img", "<!--", "[a]", " *c*"):
        assert markup not in head
    # Sentences hold brackets and stars of their own; a name makes no tag and no link of them.
    for escaped in (r"\<img", r"\<!--", r"[a]\(http"):
        assert escaped in notes


def test_tables_of_a_varied_protocol_come_in_natural_order_and_all_images_last(make_record):
    def record(shots, dataset="a"):
        return make_record(
            dataset=dataset,
            protocol=f"quick[shots={shots}]",
            fingerprint=f"{shots:064}",
            protocol_json=json.dumps({"split": {"shots": shots}}),
        )

    records = [record(0), *(record(shots) for shots in (15, 5, 100)), record(5, "b10")]
    board = build_leaderboard([*records, record(5, "b9")], group_by=["protocol"])
    told = [(table.keys["dataset"], table.protocol.shots) for table in board.tables]
    assert told == [("a", 5), ("a", 15), ("a", 100), ("a", 0), ("b9", 5), ("b10", 5)]
    text = format_leaderboard(board, "plain")
    assert "quick[shots=0] (00000000) · hold-out split, all training samples" in text
    assert text.count("all training samples") == 1


def test_groups_come_in_natural_order(make_record):
    board = build_leaderboard([make_record(seed=n) for n in (10, 2, 1)], group_by=["seed"])
    assert [table.keys["seed"] for table in board.tables] == [1, 2, 10]


def leaves(board, width, style="plain"):
    """Return the lines, the headings and the notes at a terminal of this width."""
    text = format_leaderboard(board, style, width=width)
    lines = text.splitlines()
    head = next(line for line in lines if "backbone" in line)
    named = " ".join(text.split()).partition("Columns omitted to fit the terminal: ")[2]
    return lines, head, named.partition(" (all: mritk leaderboard --wide)")[0]


@pytest.mark.parametrize("style", ["plain", "github"])
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_a_terminal_gets_tables_and_notes_no_wider_than_it_is(make_record, width, style):
    records = [make_record(seed=n, cost={"parameters": 1e6}) for n in (0, 1)]
    lines, _, _ = leaves(build_leaderboard(records), width, style)
    assert max(map(len, lines)) <= width


def test_metrics_from_the_right_go_first_and_are_named(make_record):
    records = [make_record(seed=n, cost={"parameters": 1e6}) for n in (0, 1)]
    board = build_leaderboard(records)
    _, head, named = leaves(board, 100)
    assert named == "accuracy, log loss, trials"
    assert "parameters (M)" in head
    assert "SD" in head
    _, head, named = leaves(board, 50)
    assert head.split() == ["backbone", "balanced", "accuracy", "↑", "SD"]
    assert named == "macro AUROC, MCC, macro F1, accuracy, log loss, parameters (M), trials"


def test_what_a_table_is_about_stays_however_narrow_the_terminal(board):
    _, head, _ = leaves(board, 20)
    assert head.split() == ["backbone", "balanced", "accuracy", "↑"]


def test_without_a_width_nothing_is_left_out(board):
    assert "omitted" not in format_leaderboard(board, "plain")
