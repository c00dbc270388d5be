"""Manifests: a table beside the files says what they are."""

from __future__ import annotations

from unicodedata import normalize

import numpy as np
import pytest
from PIL import Image

from mritk import Classification, DataError, Regression, Unavailable
from mritk.plugins.registry import Registry
from mritk_folders import resolve_manifest
from mritk_folders.manifest import read_manifest
from mritk_folders.options import ManifestOptions

ROWS = (
    ("first/1.png", "glioma", "p1", "north", "A", "Training"),
    ("first/2.png", "none", "p2", "north", "B", "training"),
    ("more/3.png", "glioma", "p3", "south", "A", "test"),
    ("z4.png", "none", "p4", "south", "B", "Testing_Set"),
)
COLUMNS = ("path", "label", "patient", "site", "source", "split")


@pytest.fixture
def manifest(tmp_path):
    """Write small images and a table beside them."""
    for number, (name, *_) in enumerate(ROWS):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((4, 5), number, np.uint8)).save(path)

    def write(columns=COLUMNS, rows=ROWS, name="table.csv", delimiter=","):
        lines = [delimiter.join(cells) for cells in (columns, *rows)]
        (tmp_path / name).write_text("\n".join(lines))
        return tmp_path / name

    return write


def read(file, **options):
    return read_manifest(file, ManifestOptions(**options))


def test_every_row_is_a_sample_with_what_the_table_says_of_it(manifest):
    samples = read(manifest())
    assert samples.ids == ("first/1.png", "first/2.png", "more/3.png", "z4.png")
    assert samples.task == Classification(("glioma", "none"))
    assert samples.targets.tolist() == [0, 1, 0, 1]
    assert samples.patients == ("p1", "p2", "p3", "p4")
    assert samples.sites == ("north", "north", "south", "south")
    assert samples.sources == ("A", "B", "A", "B")
    assert samples.splits == ("train", "train", "test", "test")
    assert [int(samples.read(i)[0, 0]) for i in range(4)] == [0, 1, 2, 3]


def test_the_order_of_lines_means_nothing(manifest):
    samples, other = read(manifest()), read(manifest(rows=ROWS[::-1]))
    for column in ("ids", "patients", "sites", "sources", "splits"):
        assert getattr(samples, column) == getattr(other, column)
    assert samples.targets.tolist() == other.targets.tolist()
    assert [int(other.read(i)[0, 0]) for i in range(4)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "delimiter"), [("t.tsv", "\t"), ("t.csv", ","), ("t.csv", ";"), ("T.CSV", ";")]
)
def test_tabs_commas_and_semicolons(manifest, name, delimiter):
    assert read(manifest(name=name, delimiter=delimiter)).patients == ("p1", "p2", "p3", "p4")


def test_columns_stand_in_any_order_and_case(manifest):
    rows = [(label, path) for path, label, *_ in ROWS]
    samples = read(manifest(("Label", "PATH"), rows))
    assert samples.task.classes == ("glioma", "none")
    assert samples.patients is samples.sites is samples.sources is samples.splits is None


def test_a_number_can_be_the_target(manifest):
    rows = [(path, str(20 + i)) for i, (path, *_) in enumerate(ROWS)]
    file = manifest(("path", "target"), rows)
    assert read(file).task == Classification(("20", "21", "22", "23"))
    samples = read(file, task="regression")
    assert samples.task == Regression("")
    assert samples.targets.tolist() == [20, 21, 22, 23]


def test_volumes_and_their_slices(tmp_path, write_nifti, make_head):
    for i in range(2):
        write_nifti(tmp_path / f"{i}.nii.gz", make_head(seed=i), "PIR")
    (tmp_path / "m.csv").write_text("path,label,patient\n0.nii.gz,a,p\n1.nii.gz,b,q\n")
    assert read(tmp_path / "m.csv").read(1).shape == (20, 24, 22)
    samples = read(tmp_path / "m.csv", slices=2)
    assert samples.ids == ("0.nii.gz#0", "0.nii.gz#1", "1.nii.gz#0", "1.nii.gz#1")
    assert samples.patients == ("p", "p", "q", "q")
    assert samples.read(3).shape == (24, 22)


def test_paths_have_one_spelling(manifest):
    rows = [("./first//1.png", "a"), ("first/./2.png", "b")]
    assert read(manifest(("path", "label"), rows)).ids == ("first/1.png", "first/2.png")


def test_paths_of_windows_and_absolute_ones_below_the_manifest(manifest, tmp_path):
    rows = [("first\\1.png", "a"), (".\\more\\3.png", "b"), (str(tmp_path / "z4.png"), "b")]
    assert read(manifest(("path", "label"), rows)).ids == ("first/1.png", "more/3.png", "z4.png")


@pytest.mark.parametrize(("stored", "listed"), [("é", "e\u0301"), ("e\u0301", "é")])
def test_a_path_is_found_whatever_its_unicode_form(manifest, tmp_path, stored, listed):
    (tmp_path / "z4.png").rename(tmp_path / f"{stored}.png")
    rows = [("first/1.png", "a"), (f"{listed}.png", "b")]
    samples = read(manifest(("path", "label"), rows))
    assert {int(samples.read(i)[0, 0]) for i in range(2)} == {0, 3}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_path_is_found_where_folder_and_file_differ_in_unicode_form(manifest, tmp_path, form):
    stored = "M\u00fcller/e\u0301.png"
    (tmp_path / "M\u00fcller").mkdir()
    (tmp_path / "z4.png").rename(tmp_path / stored)
    rows = [("first/1.png", "a"), (normalize(form, stored), "b")]
    samples = read(manifest(("path", "label"), rows))
    assert {int(samples.read(i)[0, 0]) for i in range(2)} == {0, 3}


def test_a_path_that_may_mean_two_files_is_missing(manifest, tmp_path):
    (tmp_path / "z4.png").rename(tmp_path / "éé.png")
    (tmp_path / "more" / "3.png").rename(tmp_path / "e\u0301e\u0301.png")
    rows = [("first/1.png", "a"), ("ée\u0301.png", "b")]
    if not (tmp_path / "ée\u0301.png").is_file():  # a Mac takes all of these for one
        with pytest.raises(DataError, match="1 of them missing"):
            read(manifest(("path", "label"), rows))


def test_an_absolute_path_through_a_link_to_the_folder(manifest, tmp_path):
    file = manifest(("path", "label"), [(str(tmp_path / "z4.png"), "a"), ("first/1.png", "b")])
    (tmp_path / "more" / "link").symlink_to(tmp_path, target_is_directory=True)
    assert read(tmp_path / "more" / "link" / file.name).ids == ("first/1.png", "z4.png")


def test_other_columns_are_left_aside_aloud(manifest, caplog):
    columns = ("", "path", "label", "patient", "mask_path", "patient_age", "scanner")
    rows = [
        (str(i), path, label, patient, "m.png", "61", "")
        for i, (path, label, patient, *_) in enumerate(ROWS)
    ]
    with caplog.at_level("WARNING", "mritk"):
        samples = read(manifest(columns, rows))
    assert samples.patients == ("p1", "p2", "p3", "p4")
    assert samples.sites is None
    assert "other columns are ignored: mask_path, patient_age, scanner" in caplog.text


@pytest.mark.parametrize("cell", ["nan", "NaN", "None", "N/A", "NULL"])
@pytest.mark.parametrize("column", ["label", "patient", "site"])
def test_a_missing_value_is_no_class_and_no_patient(manifest, column, cell):
    row = list(ROWS[2])
    row[COLUMNS.index(column)] = cell
    with pytest.raises(DataError, match=f"line 4 has no {column} .'{cell}' stands for a missing"):
        read(manifest(rows=[*ROWS[:2], row, ROWS[3]]))


# -- trouble -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/data/1.png", "line 3: /data/1.png is an absolute path"),
        ("C:\\data\\1.png", "absolute path"),
        ("C:/data/1.png", "absolute path"),
        ("..\\1.png", "is outside the folder"),
        ("first\\1.png", "lists first/1.png in lines 2 and 3"),
        ("../1.png", "is outside the folder"),
        ("first/../../1.png", "is outside the folder"),
        ("first/1.png", "lists first/1.png in lines 2 and 3"),
        ("./first/1.png", "lists first/1.png in lines 2 and 3"),
        ("first/1.dcm", "neither an image nor a NIfTI suffix"),
        ("first/1", r"write whole names of files, such as 1\.png"),
        ("first/nine.png", r"lists 2 files, 1 of them missing: first/nine\.png \(line 3\)"),
        ("", "line 3 has no path"),
    ],
)
def test_a_path_that_cannot_be_used(manifest, path, reason):
    file = manifest(("path", "label"), [("first/1.png", "a"), (path, "b")])
    with pytest.raises(DataError, match=reason):
        read(file)


@pytest.mark.parametrize(
    ("columns", "delimiter", "remedy"),
    [
        (("path", "label"), "|", "separate columns by commas, semicolons or tabs"),
        (("first/9.png", "a"), ",", "add a first line .*, such as path,label"),
        (("image", "diagnosis"), ",", "rename or add"),
    ],
)
def test_a_table_without_its_columns_says_what_to_do(manifest, columns, delimiter, remedy):
    with pytest.raises(DataError, match=rf"no column path and label; .*; {remedy}$"):
        read(manifest(columns, [("first/1.png", "a")], delimiter=delimiter))


def test_only_the_first_of_many_missing_files_are_listed(manifest):
    rows = [(f"{i}.jpg", "ab"[i % 2]) for i in range(100)]
    with pytest.raises(DataError, match=r"100 of them missing: 0\.jpg \(line 2\).* and 95 more"):
        read(manifest(("path", "label"), rows))


@pytest.mark.parametrize("column", COLUMNS)
def test_a_column_is_complete_or_absent(manifest, column):
    row = list(ROWS[2])
    row[COLUMNS.index(column)] = " "
    with pytest.raises(DataError, match=f"line 4 has no {column}"):
        read(manifest(rows=[*ROWS[:2], row, ROWS[3]]))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        (("file", "label"), "no column path; its columns are file, label"),
        (("path", "class"), "no column label; its columns are path, class"),
        (("a", "b"), "no column path and label"),
        (("label", "target", "path"), "both columns label and target"),
        (("path", "label", "patients"), "the column patients, which looks like patient; rename"),
        (("path", "label", "Subject ID"), "subject id, which looks like patient"),
        (("path", "label", "patient_id"), "patient_id, which looks like patient"),
        (("path", "label", "spilt"), "spilt, which looks like split"),
        (("path", "label", "site.1"), r"site\.1, which looks like site"),
    ],
)
def test_columns_that_are_not_understood_are_listed(manifest, columns, reason):
    with pytest.raises(DataError, match=reason):
        read(manifest(columns, [["x"] * len(columns)]))


def test_a_split_that_nobody_knows(manifest):
    rows = [*ROWS[:3], (*ROWS[3][:5], "holdout")]
    with pytest.raises(DataError, match="line 5: 'holdout' is not a split"):
        read(manifest(rows=rows))


def test_images_beside_volumes(manifest, tmp_path):
    (tmp_path / "v.nii").touch()
    with pytest.raises(DataError, match=r"first/1\.png.*v\.nii"):
        read(manifest(("path", "label"), [("first/1.png", "a"), ("v.nii", "b")]))


def test_another_kind_of_table(manifest):
    with pytest.raises(DataError, match=r"neither \.csv nor \.tsv"):
        read(manifest(name="table.xlsx"))


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(Unavailable, match=r"no file .*none\.csv"):
        list(resolve_manifest(str(tmp_path / "none.csv"), ManifestOptions()))


def test_its_name_holds_no_path_of_this_machine(manifest, workspace):
    dataset = Registry.load(environ={}).dataset(f"manifest:{manifest()},task=classification")
    assert dataset.name == "manifest:table.csv,task=classification"
    assert len(dataset.open(workspace)) == 4


# -- covariates, spacing, label maps ---------------------------------------------------------------


def test_named_columns_are_covariates_and_may_have_gaps(manifest):
    further = (("40", "f"), ("", "m"), ("61", "n/a"), ("70.5", "f"))
    rows = [(*row, *more) for row, more in zip(ROWS, further, strict=True)]
    samples = read(manifest((*COLUMNS, "Age", "sex"), rows), covariates="age/sex/site")
    np.testing.assert_array_equal(samples.covariates["age"], [40, np.nan, 61, 70.5])
    assert samples.covariates["sex"].tolist() == ["f", "m", "", "f"]
    assert samples.covariates["site"].tolist() == ["north", "north", "south", "south"]
    assert read(manifest()).covariates == {}, "none unless they are named"


def test_a_covariate_that_is_no_column_is_refused_with_the_nearest(manifest):
    with pytest.raises(DataError, match="'sites' for covariates=sites; did you mean site"):
        read(manifest(), covariates="sites")


def test_slices_have_the_covariates_of_their_volume(tmp_path, write_nifti, make_head):
    for name in "ab":
        write_nifti(tmp_path / f"{name}.nii", make_head())
    (tmp_path / "t.csv").write_text("path,label,age\na.nii,x,40\nb.nii,y,50\n")
    samples = read(tmp_path / "t.csv", covariates="age", slices=2)
    assert samples.covariates["age"].tolist() == [40, 40, 50, 50]


def test_label_maps_need_a_column_and_volumes(cases, manifest):
    file, _ = cases
    with pytest.raises(DataError, match="no column mask"):
        read(manifest(), labels="background/tumour")
    with pytest.raises(DataError, match="lists label maps, which are of volumes; remove slices"):
        read(file, labels="background/tumour", slices=2)
    with pytest.raises(DataError, match="no column label"):
        read(file)


def test_label_maps_without_their_names_and_label_maps_of_images_are_explained(cases, manifest):
    file, _ = cases
    with pytest.raises(DataError, match=r"no column label.* or predict the label maps .*,labels="):
        read(file)
    rows = [(path, path, label) for path, label, *_ in ROWS]
    with pytest.raises(DataError, match="label maps of images such as"):
        read(manifest(("path", "mask", "label"), rows), labels="background/tumour")


@pytest.mark.parametrize("column", ["patient", "site", "label"])
def test_a_patient_that_is_also_a_covariate_is_not_missing(manifest, column):
    row = list(ROWS[2])
    row[COLUMNS.index(column)] = ""
    with pytest.raises(DataError, match=f"line 4 has no {column}"):
        read(manifest(rows=[*ROWS[:2], row, ROWS[3]]), covariates=column)


def test_what_is_told_without_reading_the_table_holds_for_every_table(manifest):
    (record,) = resolve_manifest(str(manifest()), ManifestOptions())
    assert read(manifest()).patients
    assert record.no_patients == "unless the table has a column patient"
