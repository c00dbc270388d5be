"""The first mistakes of a new user: each error says what to type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mritk_dicom
import mritk_figshare
import mritk_folders
import mritk_medmnist
from mritk.errors import DataError, MritkError, ProtocolError, Unavailable, UnknownName
from mritk.plugins.registry import Registry
from mritk.study.benchmark import Benchmark
from mritk.study.data_options import DataOptions
from mritk.study.opening import open_datasets
from mritk.study.path_hint import hinted, path_hint, slices_hint


def open_dataset(name, *given):
    (opened,) = open_datasets((name,), *given)
    return opened


@pytest.fixture(scope="module")
def registry():
    """The families of files, without the other plugins."""
    found = Registry()
    found.register(mritk_folders)
    found.register(mritk_dicom)
    return found


@pytest.fixture
def there(tmp_path, monkeypatch):
    """What a person has in the current folder."""

    def image(name):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(name)

    monkeypatch.chdir(tmp_path)
    for label in ("glioma", "healthy"):
        image(f"imgs/{label}/1.png")
        image(f"my imgs/{label}/1.png")
        Path(f"dcm/{label}").mkdir(parents=True)
        Path(f"dcm/{label}/IM1").write_bytes(bytes(128) + b"DICM")
    image("x.jpg")
    image("flat/1.png")
    image("listed/1.png")
    Path("listed/labels.csv").touch()
    Path("head.nii.gz").touch()
    Path("table.xlsx").touch()
    Path("table.csv").write_text("path,label\nimgs/glioma/1.png,a\nimgs/healthy/1.png,b\n")
    Path("study").mkdir()
    Path("study/participants.tsv").write_text("participant_id\tage\nsub-1\t3\nsub-2\t4\n")
    for person in ("sub-1", "sub-2"):
        Path(f"study/{person}/anat").mkdir(parents=True)
        Path(f"study/{person}/anat/{person}_T1w.nii").touch()
    return tmp_path


def refusal(name, registry, workspace) -> str:
    with pytest.raises(MritkError) as caught:
        open_dataset(name, registry, workspace, DataOptions())
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("typed", "remedy"),
    [
        ("./imgs", "use folder:./imgs"),
        ("imgs", "use folder:imgs"),
        ("imgs,slices=2", "use folder:imgs,slices=2"),
        ("study,target=age,slices=4", "use bids:study,target=age,slices=4"),
        ("dicom:imgs,patient=none", "use folder:imgs$"),
        ("x.jpg", "x.jpg is a single scan; folder:PATH needs a folder"),
        ("head.nii.gz", "head.nii.gz is a single scan"),
        ("table.xlsx", "save table.xlsx as CSV, with the columns path and label, for manifest:"),
        ("./nowhere", "no file or folder ./nowhere"),
        ("nowhere.csv,slices=2", "no file or folder nowhere.csv"),
        ("table.csv", "use manifest:table.csv"),
        ("study", "use bids:study"),
        ("./dcm", "use dicom:./dcm"),
        ("folder:table.csv", "manifest:table.csv"),
        ("folder:x.jpg", "x.jpg is a single file; folder:PATH needs a folder with one subfolder"),
        ("folder:./dcm", "use dicom:./dcm"),
        ("folder:flat", "flat contains 1 files such as 1.png but no class folders"),
        ("folder:flat", "columns path and label and use manifest:flat/FILE.csv"),
        ("folder:listed", "use manifest:listed/labels.csv"),
        ("folder:study", "bids:study,target=COLUMN"),
        ("dicom:imgs", "use folder:imgs"),
        ("manifest:imgs", "use folder:imgs"),
        ("manifest:study", "use bids:study"),
        ("bids:imgs", "use folder:imgs"),
        ("bids:study", "bids:PATH,target=COLUMN with one of its columns: age"),
        ("folder:nowhere", "no folder nowhere"),
    ],
)
def test_a_dataset_named_in_the_wrong_way_says_what_to_type(
    typed, remedy, there, registry, workspace
):
    told = refusal(typed, registry, workspace)
    assert remedy.removesuffix("$") in told
    assert not remedy.endswith("$") or told.endswith(remedy[:-1])


@pytest.mark.parametrize("name", ["phantm", "nobody:x/y", "balls"])
def test_what_may_be_no_path_is_not_looked_for(name, there, registry):
    assert path_hint(name, registry) == ""


@pytest.mark.parametrize("prefix", ["folder", "manifest", "bids", "dicom"])
@pytest.mark.parametrize("ending", ["", ":", ":,slices=8"])
def test_a_prefix_without_a_path_is_not_the_current_folder(prefix, ending, there, registry):
    """As ``folder:$DATA`` is with no such variable."""
    with pytest.raises(UnknownName) as caught:
        hinted(lambda: registry.dataset(prefix + ending), prefix + ending, registry)
    assert str(caught.value) == f"{prefix}{ending} has no path; write {prefix}:PATH"


def test_dicom_in_place_of_images_is_told_once(there, registry, workspace):
    for label in ("glioma", "healthy"):
        Path(f"dcm/{label}/1.dcm").write_bytes(bytes(128) + b"DICM")
    assert refusal("folder:./dcm", registry, workspace).count("dicom:") == 1


@pytest.mark.parametrize("name", ["folder:imgs", "manifest:table.csv"])
def test_what_is_right_is_left_alone(name, there, registry, workspace):
    assert path_hint(name, registry) == ""
    assert len(open_dataset(name, registry, workspace, DataOptions()).samples) == 2


@pytest.mark.parametrize(
    ("typed", "remedy", "kind"),
    [
        ("imgs", "no benchmark file imgs; for this path, use -d folder:imgs", Unavailable),
        ("study", "use -d bids:study", Unavailable),
        ("folder:imgs", "; specify the dataset as -d folder:imgs$", Unavailable),
        ("my imgs", "use -d 'folder:my imgs'", Unavailable),
        ("table.csv", "is not valid TOML.*use -d manifest:table.csv", ProtocolError),
        ("x.jpg", "x.jpg, line 1: not valid UTF-8", ProtocolError),
        ("nowhere.toml", "no benchmark file nowhere.toml$", Unavailable),
    ],
)
def test_data_in_place_of_a_benchmark_file(typed, remedy, kind, there, registry):
    with pytest.raises(kind, match=remedy):
        hinted(lambda: Benchmark.from_file(Path(typed)), typed, registry, "-d")


@pytest.mark.parametrize("name", ["folder:imgs", "bids:x,target=age", "dicom:y", "manifest:t.csv"])
def test_volumes_for_a_backbone_of_images_are_sliced_by_an_option(name, registry):
    assert ",slices=8" in slices_hint(name, registry)


def test_so_says_a_run_of_volumes_with_a_backbone_of_images(mritk, tmp_path):
    for label in ("a", "b"):
        (tmp_path / "vol" / label).mkdir(parents=True)
        (tmp_path / "vol" / label / f"sub-{label}.nii").touch()
    ended = mritk("run", "-d", f"folder:{tmp_path / 'vol'}", "-b", "small_cnn", "-n")
    assert ended.code == 2
    assert "takes images, but folder:vol contains volumes; add ,slices=8 to" in ended.err
    # It brings volumes of any shape to one size; others take them as they are, if they are alike.
    assert "a backbone for volumes, such as -b small_cnn3d, or" in ended.err


@pytest.mark.parametrize("name", ["balls", "nobody:x", "folder:imgs,frames=4"])
def test_no_option_is_invented(name, registry):
    assert slices_hint(name, registry) == ""


def test_a_look_that_fails_hides_no_error(there, registry, monkeypatch):
    def broken(path):
        raise OSError("disk")

    family = next(f for f in registry.records(mritk_folders.DatasetFamily) if f.prefix == "folder")
    monkeypatch.setitem(family.__dict__, "reads", broken)
    with pytest.raises(DataError, match=r"^odd$"):
        hinted(lambda: (_ for _ in ()).throw(DataError("odd")), "imgs", registry)


@pytest.mark.parametrize("name", ["set/1.mat", "set/1.MAT", "set/unzipped/1.Mat", "set.NPZ"])
def test_files_are_known_by_their_ending_in_any_case(name, tmp_path):
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    registry = Registry()
    registry.register(mritk_figshare)
    registry.register(mritk_medmnist)
    path, prefix = (file, "medmnist") if "/" not in name else (tmp_path / "set", "figshare")
    assert path_hint(str(path), registry) == f"for this path, use {prefix}:{path}"
