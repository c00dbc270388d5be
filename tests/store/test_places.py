"""Where trial files stand: side by side, and in sub-folders once there are many."""

from __future__ import annotations

import os
import time
from pathlib import Path

import h5py
import pytest

from mritk.errors import Unavailable
from mritk.execute.status import Status
from mritk.results.trial_index import TrialIndex
from mritk.store import places
from mritk.store.doctor import ABANDONED_AFTER, State, cure, diagnose
from mritk.store.find_trial import trial_file
from mritk.store.folder import ResultsFolder
from mritk.store.merge import merge
from mritk.store.places import FLAT

IDS = ("aa1", "ab2", "ab3", "b4", "c")


@pytest.fixture(autouse=True)
def two_side_by_side(monkeypatch):
    """A thousand files would take their time."""
    monkeypatch.setattr(places, "FLAT", 2)


@pytest.fixture
def folder(tmp_path, make_record):
    folder = ResultsFolder(tmp_path / "results")
    for seed, name in enumerate(IDS):
        folder.write(
            make_record(id=name, seed=seed, status="failed" if name == "b4" else "finished")
        )
    return folder


def below(folder):
    return [path.relative_to(folder.path / "trials").as_posix() for path in folder.trial_files()]


def test_a_thousand_files_stand_side_by_side():
    assert FLAT == 1000


def test_further_files_stand_in_the_folder_of_the_first_two_characters(folder):
    assert below(folder) == ["aa1.h5", "ab2.h5", "ab/ab3.h5", "b4/b4.h5", "c/c.h5"]


@pytest.mark.slow
def test_every_reader_finds_them(folder):
    assert [trial.id for trial in folder.trials()] == list(IDS)
    assert folder.status("ab3") == "finished"
    assert dict(folder.look_up(["c", "ab4"]))["c"].seed == 4
    assert list(folder.states(["b4", "ab3", "none"]).values()) == ["failed", "finished", "absent"]
    assert trial_file("ab3", folder.path) == folder.trial_path("ab3")
    assert trial_file("b", folder.path).name == "b4.h5"
    with TrialIndex(folder) as index:
        assert [trial.facts.id for trial in index.trials()] == list(IDS)
    found = Status.of(folder)
    assert (found.finished, list(found.failed)) == (4, ["b4"])
    folder.rebuild_view()
    with h5py.File(folder.path / "results.h5") as view:
        assert {name: view["trials"][name].attrs["id"] for name in IDS} == {n: n for n in IDS}
    assert {ailment.state for ailment in diagnose(folder).ailments} <= {
        State.FAILED,
        State.INCONSISTENT,
    }


def test_a_further_attempt_takes_the_place_of_the_first(folder, make_record):
    before = below(folder)
    folder.write(make_record(id="b4"))
    assert below(folder) == before
    assert folder.status("b4") == "finished"


def test_many_files_side_by_side_are_read_and_stay(tmp_path, make_record, monkeypatch):
    monkeypatch.setattr(places, "FLAT", 100)
    folder = ResultsFolder(tmp_path / "earlier")
    for name in IDS[:-1]:
        folder.write(make_record(id=name))
    monkeypatch.setattr(places, "FLAT", 2)
    folder.write(make_record(id="c"))
    assert below(folder) == ["aa1.h5", "ab2.h5", "ab3.h5", "b4.h5", "c/c.h5"]
    assert [trial.id for trial in folder.trials()] == list(IDS)


@pytest.mark.slow
def test_a_folder_that_is_merged_into_decides_where_trials_go(folder, tmp_path):
    target = ResultsFolder(tmp_path / "target")
    assert len(merge([folder], target, dry_run=False).copied) == len(IDS)
    assert below(target) == below(folder)
    assert len(merge([folder], target, dry_run=False).same) == len(IDS)


@pytest.mark.slow
def test_of_two_files_of_one_trial_one_counts_and_the_other_is_named(folder):
    second = folder.path / "trials" / "aa" / "aa1.h5"
    second.parent.mkdir()
    second.write_bytes(folder.trial_path("aa1").read_bytes())
    assert folder.trial_path("aa1").parent.name == "trials"
    assert [trial.id for trial in folder.trials()] == list(IDS)
    found = [a for a in diagnose(folder).ailments if a.state is State.DUPLICATE]
    assert [ailment.path.as_posix() for ailment in found] == ["trials/aa/aa1.h5"]
    assert "trials/aa1.h5, which counts" in found[0].text


@pytest.mark.slow
def test_damage_and_leftovers_in_sub_folders_are_named_and_cured(folder):
    whole = folder.trial_path("ab3")
    whole.write_bytes(whole.read_bytes()[:-200])
    draft = whole.with_name(".ab9.h5.1.tmp")
    draft.touch()
    os.utime(draft, (time.time() - 2 * ABANDONED_AFTER,) * 2)
    misplaced = whole.with_name("zz1.h5")
    misplaced.write_bytes(folder.trial_path("c").read_bytes())
    diagnosis = diagnose(folder)
    states = {a.path.as_posix(): a.state for a in diagnosis.ailments}
    assert states["trials/ab/ab3.h5"] in (State.TORN, State.ALTERED)
    assert states["trials/ab/.ab9.h5.1.tmp"] is State.LEFTOVER
    assert states["trials/ab/zz1.h5"] is State.FOREIGN
    assert "zz1" not in folder.trial_paths(), "nobody reads it"
    cure(folder, diagnosis)
    assert sorted(path.name for path in (folder.path / "quarantine").iterdir()) == [
        "ab3.h5",
        "zz1.h5",
    ]
    assert not draft.exists()
    assert folder.status("ab3") == "absent"


def test_a_folder_that_cannot_be_listed_is_not_taken_for_an_empty_one(folder, monkeypatch):
    """All its trials would be trained again."""

    real = os.scandir

    def refuse(path):
        if Path(path).is_relative_to(folder.path):
            raise OSError(5, "Input/output error")
        return real(path)

    monkeypatch.setattr(places.os, "scandir", refuse)
    for look in (folder.trial_files, folder.any, lambda: folder.states(["c"])):
        with pytest.raises(Unavailable, match=r"cannot list .*trials: Input/output error"):
            look()


@pytest.mark.parametrize("is_many", [False, True])
def test_what_states_have_been_read_is_kept_if_that_pays(folder, monkeypatch, is_many):
    time.sleep(0.02)  # files of this tick of the clock are not noted
    monkeypatch.setattr("mritk.store.folder.WORTH_WRITING", 200 if is_many else 0)
    expected = folder.states(IDS)
    assert list(expected) == list(IDS)
    reads = []
    monkeypatch.setattr(
        "mritk.store.trial_file.TrialReader.read_state",
        lambda self, path: reads.append(path.stem) or expected[path.stem],
    )
    assert folder.states(IDS) == expected
    assert reads == ([] if is_many else list(IDS))
    with TrialIndex(folder) as index:
        assert len(list(index.trials())) == len(IDS), "a state is not taken for more"
