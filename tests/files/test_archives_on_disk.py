"""What the disk refuses while an archive is unpacked, and what to do about it."""

from __future__ import annotations

import errno
import os
import shutil
import zipfile

import pytest

from mritk import DataError, unpacked


def archive_of(path, name):
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr(name, "content")
    return path


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EACCES, "unpack it manually and specify the folder"),
        (None, "download the archive again"),
    ],
)
def test_space_is_asked_for_where_it_lacks(number, remedy, tmp_path, workspace, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number)) if number else OSError("invalid data")

    archive = archive_of(tmp_path / "x.zip", "a.png")
    monkeypatch.setattr(shutil, "copyfileobj", refuse)
    with pytest.raises(DataError, match=f"'a.png' cannot be unpacked: .*; {remedy}$"):
        unpacked(archive, workspace)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no error of its own for long names")
def test_a_name_that_is_too_long_is_no_lack_of_space(tmp_path, workspace):
    archive = archive_of(tmp_path / "x.zip", "n" * 300)
    with pytest.raises(DataError, match="File name too long; unpack it manually"):
        unpacked(archive, workspace)
