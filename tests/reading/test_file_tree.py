"""A folder is listed whole: what cannot be listed is an error, and links are followed to an end."""

from __future__ import annotations

import os

import pytest

from mritk import DataError, PassedOver, list_folder, list_tree
from mritk.reading.litter import is_litter


@pytest.fixture
def root(tmp_path):
    for name in ("a/1.png", "a/deep/2.png", "b/.hidden/3.png", "b/.4.png", "readme"):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path / "root"


def names(folder):
    found = [path for tree in list_tree(folder).walk() for path in tree.files]
    return [path.relative_to(folder).as_posix() for path in found]


def refuse_to_list(monkeypatch, folder):
    """Take the right to list ``folder``, also from an administrator."""
    scandir = os.scandir

    def refusing(path):
        if not isinstance(path, int) and os.fspath(path) == str(folder):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)


def test_all_files_are_listed_and_hidden_folders_are_named_and_not_entered(root):
    assert names(root) == ["readme", "a/1.png", "a/deep/2.png", "b/.4.png"]
    (_, b) = list_tree(root).folders
    assert [folder.path.name for folder in b.folders] == [".hidden"]


def test_one_level_is_listed_without_the_others(root):
    assert [tree.path.name for tree in list_folder(root).walk()] == ["root", "a", "b"]
    assert list_folder(root).folders[0].files == ()


@pytest.mark.parametrize("name", [".DS_Store", "Thumbs.db", "desktop.ini", "._1.png", "a.NFO"])
def test_litter_is_not_listed(root, name):
    (root / "a" / name).touch()
    assert is_litter(name)
    assert f"a/{name}" not in names(root)


@pytest.mark.parametrize("folder", ["a/deep", "b", ""])
def test_a_folder_that_cannot_be_listed_is_an_error_that_names_it(root, monkeypatch, folder):
    refuse_to_list(monkeypatch, root / folder)
    with pytest.raises(DataError, match=r"cannot be listed \(Permission denied\)") as error:
        list_tree(root)
    assert str(root / folder) in str(error.value)


def test_links_to_folders_are_followed_even_out_of_the_root(root, tmp_path):
    (tmp_path / "elsewhere" / "P9").mkdir(parents=True)
    (tmp_path / "elsewhere" / "P9" / "9.png").touch()
    (root / "a" / "P9").symlink_to(tmp_path / "elsewhere" / "P9")
    assert "a/P9/9.png" in names(root)


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_to_a_folder_that_contains_it_is_refused(root, target):
    (root / "a" / "again").symlink_to(target)
    with pytest.raises(DataError, match="again is a link to a folder that contains it"):
        list_tree(root)


def test_links_that_lead_nowhere_or_to_themselves_count_as_files(root):
    (root / "a" / "8.png").symlink_to("nowhere")
    (root / "a" / "9.png").symlink_to("9.png")
    assert {"a/8.png", "a/9.png"} <= set(names(root))


def test_a_pipe_is_no_file_to_be_opened(root):
    os.mkfifo(root / "a" / "pipe.png")
    (root / "a" / "link.png").symlink_to("pipe.png")
    (a, _) = list_tree(root).folders
    assert [path.name for path in a.specials] == ["link.png", "pipe.png"]
    assert "a/pipe.png" not in names(root)


def test_what_is_passed_over_is_counted_and_the_first_are_named():
    assert str(PassedOver("hidden", [".a", ".b/"])) == "2 hidden (.a, .b/)"
    assert str(PassedOver("empty", [f"{k}/" for k in range(5)])) == "5 empty (0/, 1/, 2/, …)"
    assert str(PassedOver("not DICOM", ["*.txt"] * 5)) == "5 not DICOM (*.txt)"


def test_a_name_that_is_no_text_can_be_printed():
    (name,) = PassedOver("hidden", [os.fsdecode(b".\xff")]).names
    assert name.encode("utf-8") == rb".\udcff"
