"""Where nothing can be made is told beforehand, and nothing is made to find out."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace

import pytest

from mritk.errors import UsageError
from mritk.files.ground import ground_of, why_not_writable
from mritk.store.folder import ResultsFolder


def test_what_is_not_there_stands_on_the_nearest_that_is(tmp_path, monkeypatch):
    assert ground_of(tmp_path / "a" / "b") == tmp_path
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").symlink_to(tmp_path)
    assert ground_of(tmp_path / "a" / "b") == tmp_path / "a", "a link may lead to a folder"
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


@pytest.mark.parametrize(
    "call",
    [
        ResultsFolder.require_there,
        ResultsFolder.require_reachable,
        ResultsFolder.require_writable,
        lambda results: list(results.trials()),
    ],
)
@pytest.mark.parametrize("below", ["", "results"])
def test_a_link_that_leads_nowhere_is_called_one(tmp_path, call, below):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=rf"link is a link to {tmp_path}/nowhere, .* not there"):
        call(ResultsFolder(tmp_path / "link" / below))
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


@pytest.mark.parametrize(
    ("flag", "text"),
    [
        (0, "Permission denied; check its permissions"),
        (os.ST_RDONLY, "Read-only file system; make"),
    ],
)
def test_why_a_folder_is_closed_is_told(tmp_path, monkeypatch, flag, text):
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_flag=flag))
    for path in (tmp_path, tmp_path / "results"):
        with pytest.raises(UsageError, match=text):
            ResultsFolder(path).require_reachable()
    assert list(tmp_path.iterdir()) == []


def test_stored_trials_of_a_closed_folder_can_be_used(tmp_path, monkeypatch, make_record):
    ResultsFolder(tmp_path).write(make_record())
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    ResultsFolder(tmp_path).require_reachable()


def test_a_file_in_place_of_the_trials_is_noticed(tmp_path):
    (tmp_path / "trials").touch()
    assert why_not_writable(tmp_path / "trials").errno == errno.ENOTDIR
    with pytest.raises(UsageError, match="Not a directory; move the existing file") as told:
        ResultsFolder(tmp_path).require_reachable()
    assert f"file {tmp_path / 'trials'}, or" in str(told.value)
