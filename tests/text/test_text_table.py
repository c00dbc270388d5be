"""Tables as text: aligned, whatever characters their cells hold."""

from __future__ import annotations

from mritk.text.text_table import Column, filled, fitted, text_table, text_width

NAMES = Column("name", ["a|b", "脳 MRI", "é"])
NUMBERS = Column("size (M)", ["1.5", "–", "120"], keep=1, right=True)


def test_columns_are_aligned_numbers_at_the_right():
    assert text_table([NAMES, NUMBERS], "plain").splitlines() == [
        "name    size (M)",
        "------  --------",
        "a|b          1.5",
        "脳 MRI         –",
        "é            120",
    ]


def test_markdown_tells_which_columns_are_flush_right_and_no_bar_ends_a_cell():
    assert text_table([NAMES, NUMBERS], "github").splitlines() == [
        "| name   | size (M) |",
        "|--------|---------:|",
        r"| a\|b   |      1.5 |",
        "| 脳 MRI |        – |",
        "| é      |      120 |",
    ]


def test_no_bar_in_a_heading_ends_its_cell_in_markdown():
    heading = Column("a|b", ["1"])
    assert text_table([heading], "github").splitlines()[0] == r"| a\|b |"
    assert text_table([heading], "plain").splitlines()[0] == "a|b"


def test_wide_and_combining_characters_take_the_places_that_a_terminal_gives_them():
    assert (text_width("脳"), text_width("e\u0301"), text_width("ab")) == (2, 1, 2)


def test_texts_are_measured_as_often_in_a_long_table_as_in_a_short_one(monkeypatch):
    measured = []
    monkeypatch.setattr(
        "mritk.text.text_table.text_width", lambda text: measured.append(text) or len(text)
    )
    for rows in (10, 100):
        measured.clear()
        text_table([Column("n", [str(row) for row in range(rows)])], "plain")
        assert len(measured) <= 2 * (rows + 1)


def test_the_least_column_goes_first_and_columns_that_stay_never_go():
    columns = [NAMES, NUMBERS, Column("more", ["1", "2", "3"], keep=0)]
    assert fitted(columns, "plain", 22) == (columns, [])
    assert fitted(columns, "plain", 21) == ([NAMES, NUMBERS], [columns[2]])
    assert fitted(columns, "plain", 3) == ([NAMES], columns[1:])
    assert fitted(columns, "plain", None) == (columns, [])


def test_a_long_sentence_is_filled_and_a_long_name_in_it_stays_whole():
    name = "x" * 30
    assert filled(f"one two {name} three", 20) == f"one two\n  {name}\n  three"
    assert filled("one two three", None) == "one two three"
