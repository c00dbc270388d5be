"""``mritk cache`` shows and clears what is in MRITK_HOME, and nothing else."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

import mritk
from mritk.cli.cache import MADE
from mritk.cli.main import main
from mritk.execute.parcel import APART
from mritk.files.draft import draft_of


@pytest.fixture
def home(own_home):
    for name, size in (
        ("decoded/a.npy", 3_000_000),
        ("decoded/deep/b.npy", 500),
        ("audit/x.json", 10),
        ("weights/radimagenet/net.pt", 7),
        ("datasets/figshare/1.mat", 5),
        (".hidden/x", 1),
        ("file", 1),
    ):
        path = own_home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    return own_home


@pytest.fixture
def outside(tmp_path):
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "precious").write_bytes(b"x")
    return folder


def names(home):
    return {path.name for path in home.iterdir()}


def test_path_prints_the_folder(mritk, home):
    assert mritk("cache", "path").out == f"{home}\n"


def test_list_shows_folders_with_sizes(mritk, home):
    ended = mritk("cache", "list")
    assert ended.code == 0
    lines = [line.split() for line in ended.out.splitlines()[2:]]
    assert lines == [
        ["audit", "1", "10", "B"],
        ["datasets", "1", "5", "B", "added", "manually"],
        ["decoded", "2", "3.0", "MB"],
        ["weights", "1", "7", "B", "added", "manually"],
        ["total", "5", "3.0", "MB"],
    ]


def test_list_as_json(mritk, home):
    found = json.loads(mritk("cache", "list", "--json").out)
    told = {"name": "decoded", "files": 2, "bytes": 3_000_500, "link": False, "unfinished": []}
    assert told in found


def test_list_without_anything(mritk, monkeypatch, tmp_path):
    monkeypatch.setenv("MRITK_HOME", str(tmp_path / "none"))
    assert mritk("cache", "list", "--json").out == "[]\n"
    assert mritk("cache", "clear", "--all", "--yes").code == 5
    assert not (tmp_path / "none").exists()


def test_clear_removes_the_named_folders(mritk, home):
    ended = mritk("cache", "clear", "decoded", "weights", "--yes")
    assert ended.code == 0
    assert "removed decoded (3.0 MB), weights (7 B)" in ended.err
    assert names(home) == {"audit", "datasets", ".hidden", "file"}


def test_clear_all_spares_what_was_put_there_by_hand(mritk, home):
    assert mritk("cache", "clear", "--all", "--yes").code == 0
    assert names(home) == {"datasets", "weights", ".hidden", "file"}


def test_clear_all_spares_what_mritk_did_not_make(mritk, home):
    (home / "thesis").mkdir()
    (home / "thesis" / "chapter.tex").write_text("years of work")
    line = next(row for row in mritk("cache", "list").out.splitlines() if "thesis" in row)
    assert line.endswith("of a plugin, or your own")
    assert mritk("cache", "clear", "--all", "--yes").code == 0
    assert names(home) == {"datasets", "weights", "thesis", ".hidden", "file"}
    assert mritk("cache", "clear", "--all", "--yes").code == 5
    assert mritk("cache", "clear", "thesis", "--yes").code == 0
    assert "thesis" not in names(home)


def test_the_help_promises_to_clear_nothing_that_only_goes_by_name(mritk):
    assert "generated datasets" not in mritk("cache", "--help").out
    assert "nothing of plugins" in " ".join(mritk("cache", "clear", "--help").out.split())


def test_all_that_mritk_makes_is_known_to_clear():
    root = Path(mritk.__file__).parents[1]
    code = [path.read_text() for path in (root / "mritk").rglob("*.py")]
    made = {name for text in code for name in re.findall(r'workspace\.folder\("(\w+)"', text)}
    assert made | {APART} == set(MADE)


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("y\n", 0, False), ("n\n", 130, True), ("", 2, True)]
)
def test_clear_asks_first(home, monkeypatch, capsys, answer, code, left):
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert main(["cache", "clear", "decoded"]) == code
    assert "Remove decoded (3.0 MB) from" in "".join(capsys.readouterr())
    assert (home / "decoded").exists() == left


@pytest.mark.parametrize("closed", [True, False])
def test_where_nobody_can_be_asked_the_option_that_asks_nobody_is_told(
    mritk, home, monkeypatch, closed
):
    monkeypatch.setattr("sys.stdin", None if closed else io.StringIO())
    ended = mritk("cache", "clear", "decoded")
    assert ended.code == 2
    told = "mritk: nobody answers, so nothing was removed; add --yes to remove unasked"
    assert ended.err.splitlines()[-1] == told
    assert (home / "decoded").exists()


@pytest.mark.parametrize("arguments", [[], ["decoded", "--all"]])
def test_clear_wants_names_or_all(mritk, home, arguments):
    ended = mritk("cache", "clear", *arguments, "--yes")
    assert ended.code == 2
    assert "decoded" in names(home)


@pytest.mark.parametrize("name", ["..", ".", "/", "decoded/deep", ".hidden", "file", "none", ""])
def test_clear_knows_only_what_list_shows(mritk, home, outside, name):
    before = names(home)
    ended = mritk("cache", "clear", "audit", name, "--yes")
    assert ended.code == 2
    assert "available: audit, datasets, decoded, weights" in ended.err
    assert names(home) == before
    assert mritk("cache", "clear", outside, "--yes").code == 2
    assert (outside / "precious").exists()


def test_links_are_removed_and_never_followed(mritk, home, outside):
    (home / "decoded" / "link").symlink_to(outside)
    (home / "linked").symlink_to(outside)
    found = {row["name"]: row for row in json.loads(mritk("cache", "list", "--json").out)}
    assert found["linked"]["link"]
    assert (found["linked"]["files"], found["linked"]["bytes"]) == (0, 0)
    assert found["decoded"]["bytes"] == 3_000_500
    assert mritk("cache", "clear", "decoded", "linked", "--yes").code == 0
    assert not (home / "decoded").exists()
    assert not (home / "linked").is_symlink()
    assert (outside / "precious").exists()


@pytest.mark.parametrize("where", ["home", "above", "link"])
def test_a_home_of_people_is_not_cleared(mritk, home, monkeypatch, tmp_path, where):
    """MRITK_HOME=~ is a slip that must not cost anybody their documents."""
    (home / "user" / "documents").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home / "user" if where == "above" else home))
    if where == "link":
        (tmp_path / "link").symlink_to(home)
        monkeypatch.setenv("MRITK_HOME", str(tmp_path / "link"))
    ended = mritk("cache", "clear", "--all", "--yes")
    assert ended.code == 2
    assert "not created by mritk" in ended.err
    assert (home / "user" / "documents").exists()
    assert Path(home / "decoded").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pwd")
def test_a_user_without_a_home_may_clear(mritk, home, monkeypatch):
    """So it is in containers with ``--user 1234``."""
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert mritk("cache", "clear", "decoded", "--yes").code == 0
    assert not (home / "decoded").exists()


@pytest.mark.slow
def test_a_cleared_cache_is_made_again(run_toy, mritk, own_home):
    assert run_toy("--seeds", 1).code == 0
    made = names(own_home)
    assert "decoded" in made
    assert mritk("cache", "clear", "--all", "--yes").code == 0
    assert names(own_home) == set()
    assert run_toy("--seeds", 1, "--rerun").code == 0
    assert names(own_home) == made


@pytest.fixture
def unfinished(home):
    """A draft of this process, one that is two days old, and a hidden file of a person."""
    living, dead = draft_of(home / "decoded" / "x"), home / "audit" / ".x.0000abcd-1-00.tmp"
    for draft in (living, dead):
        draft.mkdir()
        (draft / "values.npy").write_bytes(bytes(1000))
    (home / "datasets" / ".DS_Store").write_bytes(b"x")
    for path in (dead / "values.npy", dead, home / "datasets" / ".DS_Store"):
        os.utime(path, (time.time() - 2 * 86400,) * 2)
    return living, dead


def test_list_names_what_is_unfinished(mritk, home, unfinished):
    found = {row["name"]: row for row in json.loads(mritk("cache", "list", "--json").out)}
    living, dead = unfinished
    assert found["decoded"]["unfinished"] == [living.name]
    assert found["audit"]["unfinished"] == [dead.name]
    assert found["datasets"]["unfinished"] == []
    assert mritk("cache", "list").out.count("1 unfinished") == 2


def test_clear_unfinished_removes_what_nobody_will_complete(mritk, home, unfinished):
    before = names(home)
    ended = mritk("cache", "clear", "--unfinished")
    assert ended.code == 0
    assert "1 may still be in use" in ended.err
    assert "removed 1 incomplete" in ended.err
    living, dead = unfinished
    assert living.exists()
    assert not dead.exists()
    assert names(home) == before
    assert (home / "datasets" / ".DS_Store").exists()
    assert mritk("cache", "clear", "--unfinished").code == 5
    assert mritk("cache", "clear", "--unfinished", "--all").code == 2


@pytest.mark.slow
def test_a_run_removes_what_killed_runs_left(run_toy, own_home):
    shutil.rmtree(own_home / "audit")
    for kind in ("decoded", "audit"):
        dead = own_home / kind / ".x.0000abcd-1-00.tmp"
        dead.mkdir(parents=True)
        os.utime(dead, (time.time() - 2 * 86400,) * 2)
    assert run_toy("--seeds", 1).code == 0
    for kind in ("decoded", "audit"):
        assert not list((own_home / kind).glob(".*"))
