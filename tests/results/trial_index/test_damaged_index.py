"""An index that is torn, foreign, old or shared is passed over, and made anew."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from mritk.errors import StoreError
from mritk.files.results_names import INDEX
from mritk.results import trial_index
from mritk.results.leaderboard import build_leaderboard
from mritk.results.trial_index import TrialIndex
from mritk.store import index_file
from mritk.store.folder import ResultsFolder
from mritk.store.index_file import TRIAL, IndexFile
from mritk.store.trial_state import TrialState
from tests.results.trial_index.conftest import MEANS, QUICK, board_of, slow, text


def torn(path):
    path.write_bytes(path.read_bytes()[:-100])


def flipped(path):
    content = bytearray(path.read_bytes())
    content[content.index(b'"finished"') + 3] ^= 1
    path.write_bytes(content)


def of_another_version(path):
    path.write_bytes(path.read_bytes().replace(b"mritk index 1 ", b"mritk index 2 ", 1))


def foreign(path):
    path.write_bytes(os.urandom(1000))


def a_folder(path):
    path.unlink()
    path.mkdir()


def empty(path):
    path.write_bytes(b"")


def lost(path):
    path.unlink()


def sealed_nonsense(path):
    file = IndexFile.read(path)
    for number, key in enumerate(file.lines):
        file.lines[key] = (b"[]", b"7", b"{", b'[[1,2,3,4],"x"]')[number % 4]
    file.write()
    assert IndexFile.read(path).lines


def sealed_depths(path):
    file = IndexFile.read(path)
    file.lines = dict.fromkeys(file.lines, b"[" * 100_000)
    file.write()


def sealed_kinds(path):
    file = IndexFile.read(path)
    odd = [b'{"kind":"odd"}', b'{"kind":"classification","classes":[]}', b'{"kind":[]}', b"[]"]
    for number, (key, line) in enumerate(file.lines.items()):
        file.lines[key] = re.sub(rb'\{"kind":.*?\}', odd[number % 4], line.replace(b": ", b":"))
    file.write()


def sealed_bytes(path):
    head = path.read_bytes().splitlines(keepends=True)[0]
    body = head + b"no tab\n\xff\xfe\t[]\n"
    path.write_bytes(body + f"sha256 {hashlib.sha256(body).hexdigest()}\n".encode())


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        *(lost, torn, sealed_nonsense, sealed_kinds),
        *slow(flipped, of_another_version, foreign, empty, a_folder, sealed_depths, sealed_bytes),
    ],
)
def test_an_index_that_is_not_whole_is_passed_over_and_made_anew(folder, reads, spoil):
    expected = text(build_leaderboard(folder.trials(), analysis=QUICK))
    board_of(folder, QUICK)
    spoil(folder.path / INDEX)
    assert folder.status("one0") is folder.states(["one0"])["one0"] is TrialState.FINISHED
    assert text(board_of(folder, QUICK)) == expected
    reads.clear()
    assert text(board_of(folder, QUICK)) == expected
    assert not reads or spoil is a_folder, "it is whole again"


@pytest.mark.slow
def test_what_other_code_noted_is_not_believed(folder, reads, monkeypatch):
    board_of(folder, QUICK)
    monkeypatch.setattr(index_file, "code_at_work", lambda: "0" * 32)
    assert not folder.index().lines
    reads.clear()
    board_of(folder, QUICK)
    assert len(reads) == len(folder.trial_files())


@pytest.mark.slow
def test_of_several_writers_the_last_one_stays_whole(folder):
    expected = text(build_leaderboard(folder.trials(), analysis=MEANS))

    def write(number):
        if number % 2:
            (folder.path / INDEX).unlink(missing_ok=True)
        return text(board_of(folder))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(write, range(12))) == {expected}
    assert text(board_of(folder)) == expected
    assert [path.name for path in folder.path.iterdir() if path.is_file()] == [INDEX]


@pytest.mark.slow
def test_what_two_saw_at_once_is_lost_but_for_the_last_and_read_again(folder, reads):
    with TrialIndex(folder) as one, TrialIndex(folder) as other:
        _ = dict(one.look_up(["one0", "one1"]))
        _ = dict(other.look_up(["two0"]))
    noted = {key for key in folder.index().lines if key.startswith(TRIAL)}
    assert noted == {f"{TRIAL}one0", f"{TRIAL}one1"}
    reads.clear()
    board_of(folder)
    assert "one0" not in reads
    assert "two0" in reads


@pytest.mark.slow
def test_where_nothing_can_be_written_tables_are_shown_all_the_same(folder, monkeypatch):
    def refuse(*arguments, **options):
        raise StoreError("read-only")

    monkeypatch.setattr(index_file, "write_whole", refuse)
    assert len(board_of(folder).tables) == 3
    assert not (folder.path / INDEX).exists()
    monkeypatch.undo()
    monkeypatch.setattr(trial_index, "time_of", lambda path: None)
    assert len(board_of(folder).tables) == 3
    assert not (folder.path / INDEX).exists()


@pytest.mark.slow
def test_an_index_that_came_with_a_folder_says_nothing(folder, reads, tmp_path):
    """Its seal is right, and its numbers are made up; the files are those that it was made for."""
    expected = text(build_leaderboard(folder.trials(), analysis=QUICK))
    board_of(folder, QUICK)
    index = folder.index()
    index.lines = {
        key: re.sub(rb"0\.\d+", b"0.999", value).replace(b"radimagenet", b"nothing")
        for key, value in index.lines.items()
    }
    index.write()
    assert text(board_of(folder, QUICK)) != expected, "whoever can write here can seal"
    shutil.copytree(folder.path, tmp_path / "copy")  # with their times
    copy = ResultsFolder(tmp_path / "copy")
    for _ in range(2):
        assert text(board_of(copy, QUICK)) == expected
