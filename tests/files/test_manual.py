"""Files that a person brings: where they are looked for, and what is said when they are absent."""

from __future__ import annotations

from functools import partial

import pytest

from mritk import Unavailable, Workspace, manual_file

FILE, VARIABLE = "net.pt", "MY_WEIGHTS"


@pytest.fixture
def find(tmp_path, monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    return partial(
        manual_file,
        FILE,
        Workspace(tmp_path / "home"),
        folder="weights/mine",
        instructions="get it from https://example.org",
    )


def put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"weights")
    return path


def test_a_file_in_the_workspace_is_found(find, tmp_path):
    path = put(tmp_path / "home" / "weights" / "mine" / FILE)
    assert find() == path
    assert find(variable=VARIABLE) == path


def test_the_folder_of_the_variable_comes_first(find, tmp_path, monkeypatch):
    put(tmp_path / "home" / "weights" / "mine" / FILE)
    path = put(tmp_path / "elsewhere" / FILE)
    monkeypatch.setenv(VARIABLE, str(path.parent))
    assert find(variable=VARIABLE) == path
    assert find() != path


def test_a_folder_of_the_person_is_written_with_a_tilde(find, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "~/files")
    path = put(tmp_path / "files" / FILE)
    assert find(variable=VARIABLE) == path


def test_it_is_also_found_as_its_archive_unpacks_but_flat_comes_first(find, tmp_path):
    folder = tmp_path / "home" / "weights" / "mine"
    unpacked = put(folder / "published" / FILE)
    assert find(inside=["published"]) == unpacked
    flat = put(folder / FILE)
    assert find(inside=["published"]) == flat


def test_a_folder_of_that_name_is_no_file(find, tmp_path):
    (tmp_path / "home" / "weights" / "mine" / FILE).mkdir(parents=True)
    with pytest.raises(Unavailable):
        find()


def test_an_absent_file_is_explained_in_one_line(find, tmp_path, monkeypatch):
    home = tmp_path / "home" / "weights" / "mine"
    with pytest.raises(Unavailable) as alone:
        find()
    how = "get it from https://example.org, and put it there"
    assert str(alone.value) == f"no {FILE} in {home}; {how}"

    monkeypatch.setenv(VARIABLE, "/data")
    with pytest.raises(Unavailable) as both:
        find(variable=VARIABLE)
    told = f"no {FILE} in /data or {home}; {how}, or set {VARIABLE} to its folder"
    assert str(both.value) == told
