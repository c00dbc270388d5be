"""The results folder: trial files are the truth, ``results.h5`` is a view."""

from __future__ import annotations

import h5py
import pytest

from mritk.errors import StoreError, UsageError
from mritk.results.leaderboard import build_leaderboard
from mritk.store.folder import ResultsFolder


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path / "results")


def test_trials_come_in_order_of_id(folder, make_record):
    for name in ("b", "c", "a"):
        folder.write(make_record(id=name))
    assert [trial.id for trial in folder.trials()] == ["a", "b", "c"]
    assert folder.trial_path("a") == folder.path / "trials" / "a.h5"


def test_the_status_of_a_trial(folder, make_record):
    folder.write(make_record(id="good"))
    folder.write(make_record(id="bad", status="failed"))
    folder.trial_path("broken").write_bytes(b"no hdf5")
    names = ("good", "bad", "broken", "none")
    assert [folder.status(n) for n in names] == ["finished", "failed", "torn", "absent"]


@pytest.mark.parametrize("changes", [{"status": "odd"}, {"predictions": {}}])
def test_a_state_is_never_believed_that_the_whole_file_would_deny(folder, make_record, changes):
    folder.write(make_record(id="one", **changes))
    (error,) = folder.trials()
    assert folder.status("one") == error.state == "torn"


def test_a_trial_that_cannot_be_read_is_not_called_finished(folder, make_record):
    """Else a run would skip it for ever, and no table would ever show it."""
    folder.write(make_record(id="one"))
    with h5py.File(folder.trial_path("one"), "a") as file:
        del file["predictions/test/score"]
    (error,) = folder.trials()
    assert isinstance(error, StoreError)
    assert folder.status("one") == "altered"


def test_a_finished_trial_takes_the_place_of_a_failed_one(folder, make_record):
    folder.write(make_record(id="one", status="failed"))
    folder.write(make_record(id="one"))
    (trial,) = folder.trials()
    assert (trial.status, trial.failure) == ("finished", None)


@pytest.mark.slow
def test_a_damaged_file_gives_an_error_in_its_place_and_the_others_are_read(folder, make_record):
    for name in ("a", "b", "c"):
        folder.write(make_record(id=name))
    path = folder.trial_path("b")
    path.write_bytes(path.read_bytes()[:4000])
    first, error, last = folder.trials()
    assert (first.id, last.id) == ("a", "c")
    assert isinstance(error, StoreError)
    assert "b.h5" in str(error)
    board = build_leaderboard(folder.trials())
    assert board.tables[0].rows[0].trials == 2
    assert len(board.damaged) == 1


def test_unfinished_temporary_files_are_no_trials(folder, make_record):
    folder.write(make_record(id="a"))
    (folder.path / "trials" / ".b.h5.123.tmp").write_bytes(b"half")
    assert [trial.id for trial in folder.trials()] == ["a"]
    folder.rebuild_view()
    with h5py.File(folder.path / "results.h5") as view:
        assert list(view["trials"]) == ["a"]


def test_the_view_links_to_every_trial(folder, make_record, monkeypatch, tmp_path):
    folder.write(make_record(id="a", seed=3))
    folder.write(make_record(id="b", status="failed"))
    folder.rebuild_view()
    monkeypatch.chdir(tmp_path)
    with h5py.File(folder.path / "results.h5") as view:
        assert sorted(view["trials"]) == ["a", "b"]
        assert view["trials/a"].attrs["seed"] == 3
        assert view["trials/a/predictions/test/score"].shape == (4, 2)
        assert view["trials/b"].attrs["status"] == "failed"
        assert isinstance(view["trials"].get("a", getlink=True), h5py.ExternalLink)


def test_the_view_still_works_when_the_folder_was_moved(folder, make_record, tmp_path):
    folder.write(make_record(id="a"))
    folder.rebuild_view()
    folder.path.rename(tmp_path / "moved")
    with h5py.File(tmp_path / "moved" / "results.h5") as view:
        assert view["trials/a"].attrs["status"] == "finished"


def test_losing_the_view_loses_nothing(folder, make_record):
    folder.write(make_record(id="a"))
    folder.rebuild_view()
    before = (folder.path / "results.h5").stat().st_size
    board = repr(build_leaderboard(folder.trials()))  # NaN equals NaN in it
    (folder.path / "results.h5").unlink()
    assert repr(build_leaderboard(folder.trials())) == board
    folder.rebuild_view()
    assert (folder.path / "results.h5").stat().st_size == before


def test_the_view_is_rebuilt_over_a_damaged_one_and_forgets_removed_trials(folder, make_record):
    folder.write(make_record(id="a"))
    folder.write(make_record(id="b"))
    folder.rebuild_view()
    (folder.path / "results.h5").write_bytes(b"damaged")
    folder.trial_path("b").unlink()
    folder.rebuild_view()
    with h5py.File(folder.path / "results.h5") as view:
        assert list(view["trials"]) == ["a"]


def test_a_view_that_cannot_be_written_is_a_store_error(folder, make_record):
    folder.write(make_record(id="a"))
    (folder.path / "results.h5").mkdir()
    with pytest.raises(StoreError, match="cannot write"):
        folder.rebuild_view()
    assert [path.name for path in folder.path.iterdir() if path.suffix == ".tmp"] == []


def test_a_folder_that_is_not_there_is_a_usage_error(folder):
    with pytest.raises(UsageError, match="no results folder"):
        list(folder.trials())


def test_a_file_in_place_of_a_folder_is_called_one(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("")
    with pytest.raises(UsageError, match=r"notes\.txt is a file, not a results folder"):
        list(ResultsFolder(path).trials())
    for results in (path, path / "results"):
        with pytest.raises(UsageError, match="Not a directory; move the existing file"):
            ResultsFolder(results).require_reachable()


def test_an_empty_folder_has_no_trials(folder):
    folder.require_writable()
    assert list(folder.trials()) == []
    assert list((folder.path / "trials").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_noticed_before_anything_is_trained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UsageError, match=r"is not writable: .*; move .* file .*file, or choose another$"
    ):
        ResultsFolder(tmp_path / "file" / "results").require_writable()


def test_a_discarded_checkpoint_leaves_nothing_and_those_of_others_alone(folder):
    folder.require_writable()
    one, other = (folder.checkpoint_path(name) for name in ("one", "other"))
    torn = one.with_name(f".{one.name}.tmp")
    one.parent.mkdir(parents=True)
    for path in (one, other, torn):
        path.write_bytes(b"state")
    beside = one.with_suffix(".files")
    (beside / "deep").mkdir(parents=True)
    (beside / "deep" / "file").write_bytes(b"of a program")
    assert folder.status("one") == "interrupted"
    folder.discard_checkpoints(["one"])
    assert sorted(one.parent.iterdir()) == [other]
    folder.discard_checkpoints(["other"])
    folder.discard_checkpoints(["one"])
    folder.tidy()
    assert not one.parent.exists()
