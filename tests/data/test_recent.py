"""The last few results of a slow function are remembered."""

from __future__ import annotations

from gzip import BadGzipFile

import pytest

from mritk import DataError, Recent
from mritk.data.recent import KEPT


def test_only_the_last_files_are_kept(tmp_path):
    made = []
    recent = Recent(lambda path: made.append(path.name) or path.name)
    paths = [tmp_path / str(i) for i in range(KEPT + 1)]
    for path in [*paths, paths[-1], paths[0]]:
        assert recent(path) == path.name
    assert made == [*(path.name for path in paths), "0"]


def test_an_error_is_remembered_like_a_result(tmp_path):
    made = []

    def fail(path):
        made.append(path)
        raise DataError("broken")

    recent = Recent(fail)
    for _ in range(3):
        with pytest.raises(DataError, match="broken"):
            recent(tmp_path)
    assert len(made) == 1


def data_error(cause):
    error = DataError("cannot be read")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        OSError(116, "Stale file handle"),
        MemoryError(),
        KeyboardInterrupt(),
        data_error(OSError(116, "Stale file handle")),
    ],
    ids=repr,
)
def test_what_may_not_come_again_is_forgotten(error):
    errors = [error]

    def make(key):
        if errors:
            raise errors.pop()
        return key

    recent = Recent(make)
    with pytest.raises(type(error)):
        recent("a")
    assert recent("a") == "a"


def test_an_error_of_the_system_counts_however_deep_it_lies_or_hidden_it_is():
    made = []

    def hidden(key):
        made.append(key)
        try:
            raise OSError(116, "Stale file handle")
        except OSError:
            raise DataError("slice 1 cannot be decoded") from None

    def deep(key):
        made.append(key)
        raise data_error(data_error(OSError(5, "Input/output error")))

    for make in (hidden, deep):
        made.clear()
        recent = Recent(make)
        for _ in range(2):
            with pytest.raises(DataError):
                recent("a")
        assert made == ["a", "a"]


def test_a_corrupt_file_is_remembered_though_gzip_calls_it_an_error_of_the_system():
    made = []

    def fail(key):
        made.append(key)
        raise data_error(BadGzipFile("Not a gzipped file"))

    recent = Recent(fail)
    for _ in range(2):
        with pytest.raises(DataError):
            recent("a")
    assert made == ["a"]


def test_what_is_asked_for_again_is_kept_longer():
    made = []
    recent = Recent(lambda key: made.append(key) or key, kept=2)
    for key in "abaca":
        recent(key)
    assert made == ["a", "b", "c"]


def test_an_error_that_is_its_own_cause_is_remembered_like_any_other(tmp_path):
    made = []

    def fail(path):
        made.append(path)
        try:
            raise ValueError("slice 7 is damaged")
        except ValueError as error:
            raise error from error

    recent = Recent(fail)
    for _ in range(2):
        with pytest.raises(ValueError, match="slice 7"):
            recent(tmp_path)
    assert len(made) == 1
