"""Names in Markdown and YAML are text, whatever they hold."""

from __future__ import annotations

import re

import pytest
import yaml

from mritk.text.markdown import code_block, escape, front_matter, table

EVIL = 'a|b <script>alert("x")</script> `c` [d](http://e) *f*\n# g\n---\n![h](i)'


@pytest.mark.parametrize(
    "text",
    [
        *(EVIL, "_a_ b_c __d__", "1. x", "1) x", "12345", "- x", "+ x", "# x", "=", "~~x~~"),
        *("$x$", "&lt;", "a\\", "\u202etxt", "0.667", "-3", "http://e"),
    ],
)
def test_escaped_text_is_rendered_as_itself(text):
    markdown_it = pytest.importorskip("markdown_it")
    tokens = markdown_it.MarkdownIt("gfm-like", {"linkify": False}).parse(escape(text))
    kinds = [token.type for token in tokens]
    assert kinds == ["paragraph_open", "inline", "paragraph_close"]
    pieces = tokens[1].children
    assert {piece.type for piece in pieces} <= {"text", "text_special"}
    shown = "".join(piece.content for piece in pieces)
    assert shown == " ".join(re.sub(r"[\x00-\x1f\u202e]+", " ", text).split(" ")).strip()


def test_plain_names_stay_readable():
    for text in (
        "balanced_accuracy",
        "densenet121@imagenet",
        "0.667 (2 of 3)",
        "timm:a.b-c",
        "2026-11-23",
    ):
        assert escape(text) == text


def test_a_cell_cannot_end_its_row():
    lines = table(("a", "b"), [("x|y", "1\n2")])
    assert lines == ["| a | b |", "| --- | --- |", "| x\\|y | 1 2 |"]


def test_a_fence_is_longer_than_what_it_holds():
    assert code_block("a ```` b") == ["`````", "a ```` b", "`````"]


@pytest.mark.parametrize("text", [EVIL, "---", "a\u2028b\u0085c", 'q"uote', "x: y", "\x00"])
def test_front_matter_is_yaml_whatever_a_name_holds(text):
    first, *inner, last = front_matter({"name": text, "list": [text]})
    assert first == last == "---"
    assert yaml.safe_load("\n".join(inner)) == {"name": text, "list": [text]}
