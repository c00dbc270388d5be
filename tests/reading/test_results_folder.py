"""Results of mritk among data are no data, in whatever state a run has left them."""

from __future__ import annotations

import pytest

from mritk import list_folder, list_tree
from mritk.files import results_names
from mritk.reading import results_folder
from mritk.reading.results_folder import BESIDE, ENDING, SUBFOLDER, TRIALS, is_results_folder
from mritk.store import claims, places, view
from mritk.store.folder import ResultsFolder


def put(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_files_of_results_are_known_by_the_names_that_they_are_stored_by():
    assert {"results.h5", "trials.index", "claims"} == BESIDE
    assert {view.VIEW, claims.CLAIMS, results_names.INDEX} == BESIDE
    assert (places.TRIALS, places.ENDING) == (TRIALS, ENDING) == ("trials", ".h5")
    assert places.SUBFOLDER == SUBFOLDER


def test_a_results_folder_is_known_from_its_first_moment_to_its_end(tmp_path, make_record):
    results = ResultsFolder(tmp_path / "results")
    results.require_writable()
    assert is_results_folder(results.path)
    results.write(make_record())
    assert is_results_folder(results.path), "killed before its view was written"
    claims.claim_path(results, "x").parent.mkdir()
    put(results.path, "checkpoints/x.ckpt")
    assert is_results_folder(results.path), "going on"
    claims.claim_path(results, "x").parent.rmdir()
    results.tidy()
    put(results.path, "explanations/x/1.png", "models/x.safetensors")
    assert is_results_folder(results.path)


@pytest.mark.parametrize("beside", [(), ("results.h5",)])
def test_trials_may_lie_in_sub_folders_and_beside_what_is_no_data(
    tmp_path, monkeypatch, make_record, beside
):
    results = ResultsFolder(tmp_path / "results")
    results.write(make_record(seed=1))
    monkeypatch.setattr(places, "FLAT", 1)
    results.write(make_record(seed=2))
    assert list((results.path / TRIALS).glob(f"*/*{ENDING}"))
    put(results.path / TRIALS, ".x.h5.pc-1-ab.tmp", "ab/.x.h5.pc-1-ab.tmp", "Thumbs.db", "._x.h5")
    put(results.path, *beside)
    assert is_results_folder(results.path)


def test_of_many_trials_a_few_names_are_read(tmp_path, monkeypatch):
    root = put(tmp_path, *(f"trials/ab/{number}.h5" for number in range(150)), "results.h5")
    read = []
    monkeypatch.setattr(results_folder, "is_litter", read.append)
    assert is_results_folder(root)
    assert 100 <= len(read) <= 102


@pytest.mark.parametrize(
    "names",
    [
        ("1.png",),
        ("trials",),
        ("trials/1.png",),
        ("trials/1.h5", "trials/1.png"),
        ("trials/1.h5", "tests/1.h5"),
        ("results.h5", "trials.index"),
        ("trials/1.png", "claims/1.png", "scans/1.png"),
        ("trials/1.h5", "trials/1.png", "results.h5"),
        ("trials/AD/1.png", "trials/CN/1.png", "claims/1.png"),
        ("trials/ab/cd/1.h5", "claims/1.png"),
        ("trials/sub-1/1.h5", "claims/1.png"),
    ],
)
def test_a_class_of_scans_is_none_though_its_folders_be_called_alike(tmp_path, names):
    root = put(tmp_path, *(f"class/{name}" for name in names))
    assert not is_results_folder(root / "class")
    assert [folder.path.name for folder in list_tree(root).folders] == ["class"]


@pytest.mark.parametrize("listed", [list_tree, list_folder])
def test_a_results_folder_is_not_listed_at_any_depth(tmp_path, listed):
    root = put(tmp_path, "a/1.png", "results/trials/x.h5", "results/results.h5", "b/2.png")
    put(root, "a/results/trials/x.h5", "a/results/claims/x.lock", "a/results/explanations/x/1.png")
    assert [folder.path.name for folder in listed(root).folders] == ["a", "b"]
    files = [path.name for folder in listed(root).walk() for path in folder.files]
    assert files == (["1.png", "2.png"] if listed is list_tree else [])


def test_a_results_folder_lists_itself(tmp_path):
    root = put(tmp_path, "trials/x.h5", "results.h5")
    assert [path.name for path in list_tree(root).files] == ["results.h5"]


def test_a_folder_that_may_not_be_entered_is_still_named(tmp_path, monkeypatch):
    root = put(tmp_path, "closed/trials/x.h5", "closed/results.h5")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.is_dir", refuse)
    assert [folder.path.name for folder in list_folder(root).folders] == ["closed"]
