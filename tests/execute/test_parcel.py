"""Trials of workers that see no results folder of the run: stored in their own, handed over."""

from __future__ import annotations

from mritk import Workspace
from mritk.execute.parcel import own_results, packed, receive
from mritk.store.folder import ResultsFolder


def test_a_trial_is_handed_over_as_it_was_stored(make_record, tmp_path):
    own = own_results(Workspace(tmp_path / "home"), tmp_path / "results")
    content = own.write(make_record(id="a")).read_bytes()
    parcel = packed(own, "a")
    assert parcel.trial == content
    assert packed(own, "a") is None, "it is handed over once"
    results = ResultsFolder(tmp_path / "results")
    results.require_writable()
    receive(parcel, results, "a", failed=False)
    assert results.trial_path("a").read_bytes() == content


def test_the_folder_stays_for_other_workers_that_are_about_to_store(make_record, tmp_path):
    own = own_results(Workspace(tmp_path / "home"), tmp_path / "results")
    own.write(make_record(id="a"))
    packed(own, "a")
    assert own.is_there()
    assert own.write(make_record(id="b"), create=False).is_file()


def test_a_failure_takes_no_finished_trials_place(make_record, tmp_path):
    results = ResultsFolder(tmp_path / "results")
    results.write(make_record(id="a"))
    own = own_results(Workspace(tmp_path / "home"), results.path)
    own.write(make_record(id="a", status="failed"))
    receive(packed(own, "a"), results, "a", failed=True)
    assert results.status("a") == "finished"
