"""Logs keep their beginning and end, whoever adds to them, and say how much they left out."""

from __future__ import annotations

import numpy as np
import pytest

from mritk.external.bounded_log import BoundedLog
from mritk.external.program import LONGEST, Lines

HEAD, TAIL = 200, 100


def lines(count, first=0):
    return b"".join(b"line %06d\n" % number for number in range(first, first + count))


def log(path):
    return BoundedLog(path, head=HEAD, tail=TAIL)


def test_a_short_log_is_whole(tmp_path):
    path = tmp_path / "log.txt"
    log(path).add(b"one\n")
    log(path).add(b"two\n")  # a later attempt
    assert path.read_bytes() == b"one\ntwo\n"


@pytest.mark.parametrize("attempts", [1, 3])
def test_a_long_log_has_its_beginning_and_its_last_lines_and_says_what_is_missing(
    tmp_path, attempts
):
    path, rng, whole = tmp_path / "log.txt", np.random.default_rng(0), lines(3000)
    left = whole
    for attempt in range(attempts):
        part = left if attempt == attempts - 1 else left[: len(whole) // attempts]
        left = left[len(part) :]
        own = log(path)
        while part:
            size = int(rng.integers(1, 80))
            own.add(part[:size])
            part = part[size:]
            assert path.stat().st_size <= HEAD + 2 * TAIL + 64
    text = path.read_bytes()
    assert text.startswith(whole[:HEAD])
    message, _, end = text[HEAD + 1 :].partition(b"\n")
    assert message == b"[mritk left out %d bytes here]" % (len(whole) - HEAD - len(end))
    assert whole.endswith(end)
    assert end.startswith(b"line ")  # lines are whole
    assert len(end) >= TAIL - len(b"line 000000\n")


def test_one_endless_line_is_bounded_too(tmp_path):
    path, own = tmp_path / "log.txt", log(tmp_path / "log.txt")
    for _ in range(500):
        own.add(b"." * 37)
    text = path.read_bytes()
    assert len(text) <= HEAD + 2 * TAIL + 64
    assert text.count(b"\n") == 2
    left_out = int(text.split(b"left out ")[1].split()[0])
    assert text.count(b".") + left_out == 500 * 37


def test_lines_are_handed_on_whole_however_bytes_come():
    told, text = [], "één\r\ntwo\n\nthree\nrest".encode()
    for size in (1, 2, 5, 100):
        told.clear()
        own = Lines(told.append)
        for at in range(0, len(text), size):
            own.take(text[at : at + size])
        assert told == ["één", "two", "", "three"]
        assert own.tail == ": één | two | three | rest"
    assert Lines(told.append).tail == ""


def test_of_a_line_without_end_its_end_is_handed_on():
    told = []
    own = Lines(told.append)
    for _ in range(100):
        own.take(b"." * 10_000)
    own.take(b"last\nnext\n")
    assert [len(line) <= LONGEST + 10_000 for line in told] == [True, True]
    assert told[0].endswith("....last")
    assert told[1] == "next"
