"""The set as a dataset: patients, the publisher's folds, and what to do when it is not there."""

from __future__ import annotations

import json
import shutil

import h5py
import numpy as np
import pytest
from scipy.io import savemat

import mritk_figshare
from mritk import DataError, Unavailable, UsageError, sha256_of
from mritk.plugins.registry import Registry
from mritk_figshare import FigshareOptions, mritk_datasets, open_published, resolve_figshare
from mritk_figshare.cjdata import read_slice
from mritk_figshare.collection import read_collection
from mritk_figshare.cvind import read_folds

ZIPS = "brainTumorDataPublic_1-766"
NINE_FOLDS = [1, 1, 1, 2, 2, 2, 3, 4, 5]


def test_each_file_is_a_sample_with_its_label_and_its_patient(write_set):
    samples = read_collection(write_set())
    assert samples.ids == tuple(f"{number}.mat" for number in range(1, 10))
    assert samples.task.classes == ("meningioma", "glioma", "pituitary"), "labels 1, 2, 3"
    assert samples.targets.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert samples.patients == ("MR000A",) * 3 + ("MR001A",) * 3 + ("MR002A",) * 3
    assert samples.splits is None, "patients are known, so that mritk draws the parts"


def test_files_are_in_order_of_their_numbers_and_not_of_their_names(write_set):
    assert read_collection(write_set(11)).ids[8:] == ("9.mat", "10.mat", "11.mat")


def test_a_sample_is_the_slice_of_its_file_and_known_by_its_bytes(write_set):
    folder = write_set()
    samples = read_collection(folder)
    for i, name in enumerate(samples.ids):
        np.testing.assert_array_equal(samples.read(i), read_slice(folder / name))
        assert samples.content(i) == sha256_of(folder / name)
    assert len(set(samples.contents)) == 9


def test_how_the_zip_files_were_unpacked_changes_neither_ids_nor_fingerprint(write_set, tmp_path):
    folder = write_set()
    flat = read_collection(folder)
    nested = tmp_path / "unpacked" / ZIPS
    nested.mkdir(parents=True)
    for name in flat.ids[:5]:
        shutil.copy(folder / name, nested)
    for name in flat.ids[5:]:
        shutil.copy(folder / name, nested.parent)
    again = read_collection(nested.parent)
    assert again.ids == flat.ids
    assert again.fingerprint == flat.fingerprint


def test_hidden_files_and_other_files_are_left_aside(write_set):
    folder = write_set()
    (folder / "README.txt").write_text("x")
    (folder / "._1.mat").write_bytes(b"x")
    (folder / "__MACOSX").mkdir()
    (folder / "__MACOSX" / "1.mat").write_bytes(b"x")
    assert len(read_collection(folder)) == 9


# -- the publisher's folds -----------------------------------------------------------------------


def as_v73(path, folds, write_cvind):
    write_cvind(path, folds)


def as_v5_column(path, folds, write_cvind):
    savemat(path, {"cvind": np.asarray(folds, dtype=float)[:, None]})


def as_v5_row_of_bytes(path, folds, write_cvind):
    savemat(path, {"cvind": np.asarray(folds, dtype=np.uint8)[None]}, do_compression=True)


@pytest.mark.slow
@pytest.mark.parametrize("write", [as_v73, as_v5_column, as_v5_row_of_bytes])
@pytest.mark.parametrize("place", ["cvind.mat", f"{ZIPS}/cvind.mat"])
def test_a_fold_of_cvind_is_the_official_test_part(write_set, write_cvind, write, place):
    folder = write_set()
    (folder / place).parent.mkdir(exist_ok=True)
    write(folder / place, NINE_FOLDS, write_cvind)
    samples = read_collection(folder, fold=2)
    assert samples.splits == ("train",) * 3 + ("test",) * 3 + ("train",) * 3
    assert read_collection(folder, fold=5).splits == ("train",) * 8 + ("test",)
    assert read_collection(folder).splits is None


def test_folds_follow_the_numbers_of_the_files_and_not_the_order_of_their_names(
    write_set, write_cvind
):
    folder = write_set(12)
    write_cvind(folder / "cvind.mat", [1] * 9 + [2, 2, 3])
    samples = read_collection(folder, fold=2)
    splits = dict(zip(samples.ids, samples.splits, strict=True))
    assert {name for name, part in splits.items() if part == "test"} == {"10.mat", "11.mat"}


def test_without_cvind_a_fold_says_what_to_fetch(write_set):
    with pytest.raises(Unavailable, match=r"fold=1 needs cvind\.mat.*figshare\.com"):
        read_collection(write_set(), fold=1)


def test_a_part_of_the_set_has_no_official_folds_but_is_a_dataset(write_set, write_cvind):
    folder = write_set()
    write_cvind(folder / "cvind.mat", NINE_FOLDS)
    (folder / "4.mat").unlink()
    assert len(read_collection(folder)) == 8
    with pytest.raises(DataError, match=r"9 files, but .* contains 8 \(4\.mat is missing\)"):
        read_collection(folder, fold=1)


def test_more_files_than_folds(write_set, write_cvind):
    folder = write_set()
    write_cvind(folder / "cvind.mat", NINE_FOLDS[:8])
    with pytest.raises(DataError, match=r"8 files, but .* contains 9 \(9\.mat has no fold\)"):
        read_collection(folder, fold=1)


def test_as_many_files_as_folds_but_of_other_numbers(write_set, write_cvind):
    folder = write_set()
    write_cvind(folder / "cvind.mat", NINE_FOLDS)
    (folder / "9.mat").rename(folder / "10.mat")
    with pytest.raises(DataError, match=r"9\.mat is missing"):
        read_collection(folder, fold=1)


def test_a_fold_without_files_does_not_silently_become_another_split(write_set, write_cvind):
    folder = write_set()
    write_cvind(folder / "cvind.mat", [1] * 9)
    with pytest.raises(DataError, match="no file in fold 2"):
        read_collection(folder, fold=2)


def test_two_cvind_files(write_set, write_cvind):
    folder = write_set()
    for place in ("a/cvind.mat", "b/cvind.mat"):
        write_cvind(folder / place, NINE_FOLDS)
    with pytest.raises(DataError, match=r"a/cvind\.mat and b/cvind\.mat"):
        read_collection(folder, fold=1)
    assert len(read_collection(folder)) == 9, "it is not needed without a fold"


@pytest.mark.parametrize("folds", [[1, 2, 6], [0, 1, 2], [1, 2, 2.5], [1, np.nan, 2]])
def test_a_number_that_is_no_fold(tmp_path, write_cvind, folds):
    with pytest.raises(DataError, match=r"cvind\.mat: cvind contains .*; folds are 1 to 5"):
        read_folds(write_cvind(tmp_path / "cvind.mat", folds))


def test_a_cvind_of_another_variable(tmp_path, write_cvind):
    write_cvind(tmp_path / "cvind.mat", [1, 2], name="folds")
    savemat(tmp_path / "v5.mat", {"folds": [1, 2]})
    for name in ("cvind.mat", "v5.mat"):
        with pytest.raises(DataError, match=f"{name} has no variable cvind"):
            read_folds(tmp_path / name)


@pytest.mark.parametrize("value", [np.ones((3, 2)), "12345", np.zeros((0, 0)), [{"a": 1}]])
def test_a_cvind_that_is_no_vector_of_numbers(tmp_path, value):
    savemat(tmp_path / "cvind.mat", {"cvind": value})
    with pytest.raises(DataError, match=r"cvind\.mat: cvind "):
        read_folds(tmp_path / "cvind.mat")


@pytest.mark.parametrize("kind", ["v5", "v7.3"])
@pytest.mark.parametrize("share", [0, 0.3, 0.7])
def test_a_truncated_cvind(tmp_path, write_cvind, kind, share):
    path = tmp_path / "cvind.mat"
    if kind == "v5":
        savemat(path, {"cvind": np.arange(1000) % 5 + 1})
    else:
        write_cvind(path, np.arange(1000) % 5 + 1)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match=r"cvind\.mat is not a MATLAB file, or is damaged"):
        read_folds(path)


# -- trouble with the files ----------------------------------------------------------------------


def test_every_malformed_file_is_named_with_its_reason(write_set, write_slice):
    folder = write_set()
    (folder / "2.mat").write_bytes(b"")
    write_slice(folder / "5.mat", label=7)
    with pytest.raises(DataError) as refused:
        read_collection(folder)
    text = str(refused.value)
    assert "2 of 9 files" in text
    assert "2.mat (empty file)" in text
    assert "5.mat (cjdata/label is 7.0" in text
    assert "\n" not in text


def test_many_malformed_files_are_counted(write_set):
    folder = write_set(30)
    for path in folder.glob("*.mat"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"30 of 30 files .*; and 10 more"):
        read_collection(folder)


def test_pixels_that_cannot_be_read_are_told_by_the_id_of_their_sample(write_set):
    folder = write_set()
    samples = read_collection(folder)
    with h5py.File(folder / "3.mat", "r+") as file:
        shape = file["cjdata/image"].shape
        del file["cjdata/image"]
        file["cjdata/image"] = np.full(shape, np.inf)
    with pytest.raises(DataError, match="NaN or infinite"):
        samples.read(2)


def test_a_number_that_is_there_twice_does_not_count_twice(write_set):
    folder = write_set()
    (folder / ZIPS).mkdir()
    shutil.copy(folder / "7.mat", folder / ZIPS)
    with pytest.raises(DataError, match=rf"number 7 twice, as 7\.mat and {ZIPS}/7\.mat"):
        read_collection(folder)


@pytest.mark.parametrize("name", ["1 (1).mat", "01.mat", "features.mat", "0.mat"])
def test_a_mat_file_of_another_name_is_not_silently_dropped(write_set, name):
    folder = write_set()
    shutil.copy(folder / "1.mat", folder / name)
    with pytest.raises(DataError, match="neither a numbered file"):
        read_collection(folder)


def test_a_folder_without_slices_says_what_is_expected(tmp_path, write_cvind):
    write_cvind(tmp_path / "cvind.mat", [1])
    with pytest.raises(DataError, match=r"no numbered files .* 1\.mat, 2\.mat"):
        read_collection(tmp_path)


# -- the names -----------------------------------------------------------------------------------


def test_the_plugin_names_the_set_and_a_family_of_folders():
    published, family = mritk_datasets()
    assert (published.name, published.license) == ("figshare_brain_tumor", "CC BY 4.0")
    assert published.sources == ("figshare_brain_tumor",)
    assert (family.prefix, family.placeholder) == ("figshare", "PATH")


def test_a_member_knows_which_collection_it_is_from_and_holds_no_path(tmp_path):
    (dataset,) = resolve_figshare(str(tmp_path), FigshareOptions())
    assert dataset.name == f"figshare:{tmp_path.name}"
    assert dataset.sources == ("figshare_brain_tumor",)
    assert dataset.license == "CC BY 4.0"


def test_another_test_part_is_another_name(tmp_path):
    dataset = Registry.load(environ={}).dataset(f"figshare:{tmp_path},fold=3")
    assert dataset.name == f"figshare:{tmp_path.name},fold=3"


def test_a_folder_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"nowhere.*figshare\.com"):
        list(resolve_figshare(str(tmp_path / "nowhere"), FigshareOptions()))


@pytest.mark.parametrize("fold", [-1, 6])
def test_a_fold_that_does_not_exist(fold):
    with pytest.raises(UsageError, match="use 1 to 5"):
        FigshareOptions(fold=fold)


def test_the_set_that_is_not_there_says_what_to_download_and_where_to_put_it(workspace):
    with pytest.raises(Unavailable) as refused:
        open_published(workspace)
    text = str(refused.value)
    assert "https://figshare.com/articles/dataset/brain_tumor_dataset/1512427" in text
    assert "states no SHA-256" in text
    assert "unpack all four zip files there, and put cvind.mat next to them" in text
    assert str(workspace.home / "datasets" / "figshare_brain_tumor") in text
    assert not workspace.home.exists(), "asking creates no folder"


def test_the_set_is_found_in_the_workspace_and_must_be_whole(workspace, write_set, monkeypatch):
    folder = workspace.home / "datasets" / "figshare_brain_tumor"
    folder.parent.mkdir(parents=True)
    shutil.move(write_set(), folder)
    with pytest.raises(DataError, match="has 9 of the 3064 slices"):
        open_published(workspace)
    monkeypatch.setattr(mritk_figshare, "PUBLISHED_FILES", 9)
    assert len(open_published(workspace)) == 9


# -- on the command line -------------------------------------------------------------------------


def test_the_names_are_listed(mritk):
    listed = mritk("list", "datasets").out
    assert "figshare_brain_tumor" in listed
    assert "figshare:PATH" in listed


@pytest.mark.slow
@pytest.mark.usefixtures("no_near_copies")
def test_a_fold_of_the_set_is_learnt(mritk, toy, write_set, write_cvind, fast_protocol, tmp_path):
    """Whole patients make up the fold, as in the set; guessing gives an area of 0.5."""
    folder = write_set(90)
    write_cvind(folder / "cvind.mat", [1 + (number // 9) % 5 for number in range(90)])
    ended = mritk(
        *("run", "-d", f"figshare:{folder},fold=2", "-p", toy, "-b", "tiny", "--seeds", 1),
        *("--protocol", fast_protocol, "-o", tmp_path / "results", "--device", "cpu", "--json"),
    )
    assert ended.code == 0, ended.err
    (table,) = json.loads(ended.out)["leaderboard"]["tables"]
    assert table["dataset"] == "figshare:cheng,fold=2"
    assert table["patients"] == 6, "18 slices of 6 patients are tested on"
    assert table["rows"][0]["metrics"]["macro_auroc"]["mean"] > 0.8


def test_a_mistyped_option_is_explained(mritk, tmp_path):
    ended = mritk("run", "-d", f"figshare:{tmp_path},folds=2", "-n")
    assert ended.code == 2
    assert "did you mean fold?" in ended.err
