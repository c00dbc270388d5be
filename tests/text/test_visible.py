"""Names are shown, and never obeyed, by a terminal."""

from __future__ import annotations

import json
import os
import unicodedata

import pytest

from mritk.text.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", r"\u001b[31mred\u001b[0m"),
        ("title\x1b]0;mine\x07", r"title\u001b]0;mine\u0007"),
        ("\x9b2J", r"\u009b2J"),
        ("clean\rdirty", r"clean\u000ddirty"),
        ("a\u202egnp.exe", r"a\u202egnp.exe"),
        ("a\u2028b", r"a\u2028b"),
        (os.fsdecode(b"M\xfcller"), r"M\udcfcller"),
    ],
)
def test_what_a_terminal_would_obey_is_written_out(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize("text", ["", "a\tb\nc\r\nd", "Müller", "méningiome → 脳", r"C:\data"])
def test_all_else_stays_as_it_is(text):
    assert visible(text) == text


def test_no_control_character_of_unicode_is_forgotten():
    control = [chr(i) for i in range(0x110000) if unicodedata.category(chr(i)) == "Cc"]
    assert [c for c in control if visible(c) == c] == ["\t", "\n"]
    turning = [chr(i) for i in range(0x3000) if unicodedata.bidirectional(chr(i)) in BIDI]
    assert turning
    assert not [c for c in turning if visible(c) == c]


BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def test_json_stays_json():
    text = json.dumps({"name": "a\x7fb\x1b"}, ensure_ascii=False)
    assert json.loads(visible(text)) == {"name": "a\x7fb\x1b"}
