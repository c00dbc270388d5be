"""A file is there whole, or as it was before."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mritk.errors import StoreError
from mritk.whole_file import open_whole, write_whole


def test_a_file_appears_when_its_block_has_ended(tmp_path):
    path = tmp_path / "new" / "file"
    with open_whole(path) as stream:
        stream.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write_whole(path, b"before")
    with pytest.raises(error), open_whole(path) as stream:
        stream.write(b"half")
        raise error
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_the_same_time_leave_one_whole_file(tmp_path):
    contents = [bytes([number]) * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: write_whole(tmp_path / "file", content), contents))
    assert (tmp_path / "file").read_bytes() in contents
    assert len(list(tmp_path.iterdir())) == 1


def test_what_cannot_be_written_is_told_with_advice(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot write .*file/x: .*; buy a disk"):
        write_whole(tmp_path / "file" / "x", b"", "buy a disk")
