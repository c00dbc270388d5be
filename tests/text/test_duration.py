"""Times as a person writes and reads them."""

import math

import pytest

from mritk.text.duration import duration, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("90m", 5400), ("1.5h", 5400), ("2h30m", 9000), ("3d", 259200)],
)
def test_a_time_with_units_is_seconds(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "45", "h", "0s", "-2h", "2 h", "2h ", "1e3s", "2x", "٢h", "nan"]
)
def test_other_text_is_no_time(text):
    assert seconds_of(text) is None


def test_seconds_are_read_back_as_they_were_told():
    assert [duration(s) for s in (41, 185, 7500, math.nan)] == [
        "41 s",
        "3 min 5 s",
        "2 h 5 min",
        "–",
    ]
