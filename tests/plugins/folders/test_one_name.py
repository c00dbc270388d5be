"""Two spellings are never two classes, whatever reads them; a missing value is none."""

from __future__ import annotations

import unicodedata

import pytest

import mritk_folders
from mritk import DataError
from mritk.plugins.registry import Registry
from mritk.study.data_options import DataOptions
from mritk.study.opening import open_datasets
from mritk_folders.target_column import read_targets

FLAT = ("No Tumor/1.png", "no_tumor/2.png", "glioma/3.png")
PARTS = ("Training/No Tumor/1.png", "Training/glioma/2.png", "Testing/no_tumor/3.png")
SCANS = tuple(f"sub-{k}/anat/sub-{k}_T1w.nii" for k in (1, 2, 3))


def open_dataset(name, *given):
    (opened,) = open_datasets((name,), *given)
    return opened


@pytest.fixture
def opened(tmp_path, workspace):
    """Write empty files and open them as samples."""
    registry = Registry()
    registry.register(mritk_folders)

    def write(form, files, table="", **options):
        for name in files:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        if table:
            (tmp_path / "data" / "participants.tsv").write_text(table)
        name = form.format(tmp_path / "data")
        return open_dataset(name, registry, workspace, DataOptions(**options)).samples

    return write


def test_class_folders(opened):
    with pytest.raises(DataError, match="--rename 'no_tumor=No Tumor'"):
        opened("folder:{}", FLAT)
    merged = opened("folder:{}", FLAT, rename={"no_tumor": "No Tumor"})
    assert merged.task.classes == ("No Tumor", "glioma")
    apart = opened("folder:{}", FLAT, rename={"no_tumor": "healthy"})
    assert apart.task.classes == ("No Tumor", "glioma", "healthy")


def test_class_folders_of_a_file_system_that_takes_letters_apart(opened):
    """What it calls a class, and what a person types, may be either Unicode form."""
    apart, whole = (unicodedata.normalize(form, "Méningiome") for form in ("NFD", "NFC"))
    samples = opened("folder:{}", (f"{apart}/1.png", "gliome/2.png"), rename={apart: "ménin"})
    assert samples.task.classes == ("gliome", "ménin")
    assert opened("folder:{}", ()).task.classes == (whole, "gliome")


def test_class_folders_of_two_parts_are_one_class(opened):
    samples = opened("folder:{}", (*PARTS, "Testing/Glioma/4.png"))
    assert samples.task.classes == ("No Tumor", "glioma")


def test_a_class_folder_that_a_script_made_of_missing_labels(opened):
    with pytest.raises(
        DataError, match=r"the class 'nan', which stands for a missing .*nan/4\.png"
    ):
        opened("folder:{}", ("healthy/1.png", "glioma/3.png", "nan/4.png"))


def test_diagnoses_of_participants(opened):
    table = "participant_id\tdx\nsub-1\tAD\nsub-2\tad\nsub-3\tCN\n"
    with pytest.raises(DataError, match="--rename 'ad=AD'"):
        opened("bids:{},target=dx", SCANS, table)
    assert opened("bids:{},target=dx", SCANS, table, rename={"ad": "AD"}).targets.tolist() == [
        *(0, 0, 1)
    ]


def test_patients_that_a_table_or_a_regex_tells(opened, tmp_path, caplog):
    files = ("a/p1_x.png", "a/P1_y.png", "b/p2_x.png")
    samples = opened("folder:{}", files, patient_regex=r"[pP]\d")
    assert len(set(samples.patients)) == 2
    table = tmp_path / "who.csv"
    table.write_text("path;patient\na/p1_x.png;7\na/P1_y.png;7.0\nb/p2_x.png;8\n")
    samples = opened("folder:{}", files, patients=str(table))
    assert len(set(samples.patients)) == 2
    assert "'7' and '7.0'" in caplog.text


@pytest.mark.parametrize("texts", [("3,5", "4", "5,25"), ("1,200", "3")])
def test_decimal_commas_are_no_classes(texts):
    with pytest.raises(DataError, match=r"column age contains .* a comma; use a decimal"):
        read_targets(texts, "auto", "", "column age")
    assert read_targets(texts, "classification", "", "column code")[0].outputs == len(texts)
