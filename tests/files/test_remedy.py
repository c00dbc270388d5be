"""What mritk advises where it cannot write follows from what the system says."""

from __future__ import annotations

import errno
import os

import pytest

from mritk.errors import StoreError
from mritk.files.atomic import write_whole
from mritk.files.kept import kept
from mritk.files.remedy import refusal_of_disk
from mritk.store.folder import ResultsFolder
from mritk.store.trial_file import write_hdf5
from mritk.store.view import write_view

CAUSES = [
    (errno.ENOSPC, "free some space"),
    (errno.EDQUOT, "free some space"),
    (errno.EROFS, "make its file system writable"),
    (errno.EACCES, "check its permissions"),
    (errno.EIO, "check the disk"),
]


def refuse(monkeypatch, number):
    def refusing(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refusing)


@pytest.mark.parametrize(("number", "remedy"), CAUSES)
def test_the_advice_on_every_file_follows_from_the_cause(
    tmp_path, monkeypatch, make_record, number, remedy
):
    results = ResultsFolder(tmp_path)
    results.require_writable()
    refuse(monkeypatch, number)
    writes = [
        lambda: write_whole(tmp_path / "report.html", b""),
        lambda: write_hdf5(tmp_path / "explanations.h5", lambda file: None),
        lambda: write_view(tmp_path),
        lambda: results.write(make_record()),
        lambda: results.write_content("x", b""),
    ]
    for write in writes:
        with pytest.raises(StoreError) as told:
            write()
        why, advice = str(told.value).split("; ", 1)
        assert why.endswith(os.strerror(number))
        assert advice.startswith(f"{remedy}, or ")
        assert "--" not in advice, "none of these is written by one command alone"


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.EISDIR, "folder"), (errno.ENOTDIR, "file"), (errno.ENOENT, "its")]
)
def test_what_is_in_the_way_is_named(tmp_path, number, remedy):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    place = {errno.EISDIR: "folder", errno.ENOTDIR: "file/x", errno.ENOENT: "gone/x"}[number]
    with pytest.raises(StoreError, match=rf"{os.strerror(number)}; .*{remedy}.*, or write") as told:
        write_whole(tmp_path / place, b"", parents=0)
    assert told.value.__cause__.errno == number


@pytest.mark.parametrize("parents", [None, 0, 1])
@pytest.mark.parametrize("below", ["x", "x/y"])
def test_of_all_folders_above_the_file_in_the_way_is_named(tmp_path, below, parents):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as told:
        write_whole(tmp_path / "file" / below, b"", parents=parents)
    assert f"; move the existing file {tmp_path / 'file'}, or" in str(told.value)


def test_what_is_in_the_way_of_a_cache_is_named(tmp_path):
    (tmp_path / "images").touch()
    with pytest.raises(StoreError, match=f"move the existing file {tmp_path / 'images'}, or set"):
        kept(tmp_path / "images", {}, lambda draft: {}, "images")


def behind(error):
    """What a library makes of an error."""
    try:
        raise RuntimeError("saving failed") from error
    except RuntimeError as raised:
        return raised


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
@pytest.mark.parametrize("path", [None, "home/a.npy", "elsewhere/a.npy"])
def test_that_a_disk_refuses_is_told_with_what_helps(tmp_path, number, path):
    home, file = tmp_path / "home", path and str(tmp_path / path)
    told = refusal_of_disk(behind(OSError(number, "refused", file)), "the masks", home)
    assert told.startswith(f"cannot write {file or 'the masks'}: {os.strerror(number)}; ")
    is_in_home = path is None or path.startswith("home")
    assert told.endswith(f"or set MRITK_HOME (it is {home}) to another folder") is is_in_home


@pytest.mark.parametrize("error", [KeyError("x"), OSError(errno.EIO, "x"), OSError("no space")])
def test_other_errors_are_not_of_the_disk(tmp_path, error):
    assert refusal_of_disk(behind(error), "the masks", tmp_path) == ""


@pytest.mark.parametrize(("number", "is_told"), [(errno.EROFS, False), (errno.ENOSPC, True)])
def test_what_was_dealt_with_is_not_why_another_error_comes_unless_no_file_fits(number, is_told):
    try:
        try:
            raise OSError(number, "refused", "index")
        except OSError:
            {}["an index that could not be written"]
    except KeyError as error:
        assert bool(refusal_of_disk(error, "the masks")) is is_told


@pytest.mark.parametrize(("path", "is_told"), [("home/a", True), ("elsewhere/a", False)])
def test_rights_are_nobodys_mistake_in_the_folder_of_mritk(tmp_path, path, is_told):
    error = PermissionError(errno.EACCES, "refused", str(tmp_path / path))
    told = refusal_of_disk(error, "the masks", tmp_path / "home")
    assert bool(told) is is_told
    if is_told:
        assert told.startswith(f"cannot use {tmp_path / path}: Permission denied; check its perm")
