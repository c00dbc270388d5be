"""A folder of DICOM becomes samples whose names say nothing of the patients."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys

import numpy as np
import pydicom
import pytest

from mritk import DataError, Unavailable, UsageError
from mritk.plugins.registry import Registry
from mritk_dicom.collection import find_series, read_collection
from mritk_dicom.pseudonyms import pseudonyms

PEOPLE = (("glioma", "Zimmermann_Anna"), ("glioma", "Abel"), ("none", "Quist"), ("none", "Ola"))


@pytest.fixture
def cohort(write_series, make_head, tmp_path):
    """Write four patients in folders that bear their names; the first has two series."""

    def write(root="cohort", **attributes):
        for seed, (label, name) in enumerate(PEOPLE):
            folder = tmp_path / root / label / name / "MR"
            write_series(folder / "t1", make_head(seed=seed), patient=name, **attributes)
        first = tmp_path / root / "glioma" / "Zimmermann_Anna" / "MR" / "t2"
        write_series(first, make_head(seed=9), patient="Zimmermann_Anna", series="t2", **attributes)
        return tmp_path / root

    return write


def by_sha256(names):
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def test_patients_are_numbered_in_the_order_of_the_sha256_of_their_ids(cohort):
    samples = read_collection(cohort())
    names = by_sha256(name for _, name in PEOPLE)
    label_of = {name: label for label, name in PEOPLE}
    expected = {f"patient-{i:04d}": label_of[name] for i, name in enumerate(names, 1)}
    found = {
        p: samples.task.classes[t] for p, t in zip(samples.patients, samples.targets, strict=True)
    }
    assert found == expected


def test_series_are_numbered_within_their_patient(cohort):
    anna = f"patient-{by_sha256(name for _, name in PEOPLE).index('Zimmermann_Anna') + 1:04d}"
    ids = read_collection(cohort()).ids
    assert len(ids) == 5
    assert [id_ for id_ in ids if id_.startswith(anna)] == [
        f"{anna}/series-01",
        f"{anna}/series-02",
    ]
    assert all(id_.endswith(("/series-01", "/series-02")) for id_ in ids)


def test_pseudonyms_depend_on_the_names_only():
    assert pseudonyms(["a", "b", "a"], "p{}") == pseudonyms(["b", "a"], "p{}")
    assert sorted(pseudonyms("abcdef", "p{}").values()) == [f"p{i}" for i in range(1, 7)]


def test_volumes_are_the_default(cohort):
    samples = read_collection(cohort())
    assert samples.spatial_dims == 3
    assert samples.read(0).shape == (12, 24, 22)
    assert samples.read(0).dtype == np.uint8


def test_every_slice(cohort):
    root = cohort()
    volumes, samples = read_collection(root), read_collection(root, slices="all")
    assert samples.spatial_dims == 2
    assert len(samples) == 5 * 12
    assert samples.ids[:2] == ("patient-0001/series-01#0", "patient-0001/series-01#1")
    for i in (0, 13, 59):
        np.testing.assert_array_equal(samples.read(i), volumes.read(i // 12)[i % 12])
    assert samples.patients == tuple(np.repeat(volumes.patients, 12))


def test_slices_of_the_central_part(cohort):
    root = cohort()
    volumes, samples = read_collection(root), read_collection(root, slices=3)
    assert len(samples) == 5 * 3
    # The middle of each third of the central 60 % of 12 slices: 12 × 0.3, 0.5, 0.7.
    for k, row in enumerate((3, 6, 8)):
        np.testing.assert_array_equal(samples.read(k), volumes.read(0)[row])


def test_slices_of_a_series_belong_together_also_without_patients(cohort):
    samples = read_collection(cohort(), slices=3, rule="none")
    assert samples.patients is None
    assert samples.scans == tuple(name.partition("#")[0] for name in samples.ids)
    assert len(set(samples.scans)) == 5
    assert read_collection(cohort(), rule="none").scans is None


def test_more_slices_than_there_are_names_the_series(cohort):
    with pytest.raises(
        DataError, match=r"central 60 % of the 12 slices .*has fewer than 8.*slices=7"
    ):
        read_collection(cohort(), slices=8)


def test_contents_differ_from_slice_to_slice_and_follow_the_files(cohort):
    root = cohort()
    before = read_collection(root, slices="all").contents
    assert len(set(before)) == 60
    path = next(path for path in root.rglob("*") if path.is_file())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    after = read_collection(root, slices="all").contents
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 12, "one series"


def test_moving_and_renaming_folders_changes_nothing(cohort, tmp_path):
    root = cohort()
    before = read_collection(root)
    fingerprint = before.fingerprint
    moved = shutil.move(root, tmp_path / "elsewhere")
    (moved / "glioma" / "Abel").rename(moved / "glioma" / "Zoe")
    after = read_collection(moved)
    assert (after.ids, after.fingerprint) == (before.ids, fingerprint)


def test_official_parts(write_series, make_head, tmp_path):
    names = [f"{part}/{label}" for part in ("Training", "Testing") for label in "ab"]
    for seed, name in enumerate(names):
        write_series(tmp_path / "root" / name, make_head(seed=seed), patient=name)
    samples = read_collection(tmp_path / "root")
    assert sorted(samples.splits) == ["test", "test", "train", "train"]
    assert samples.task.classes == ("a", "b")
    shutil.rmtree(tmp_path / "root" / "Testing" / "b")
    with pytest.raises(DataError, match=r"the test set of .* has no DICOM files of b"):
        read_collection(tmp_path / "root")


# -- sites -------------------------------------------------------------------------------------


def test_a_class_of_two_spellings_in_two_parts_is_one(write_series, make_head, tmp_path):
    folders = ("Training/No Tumor", "Training/glioma", "Testing/no_tumor", "Testing/Glioma")
    for seed, name in enumerate(folders):
        write_series(tmp_path / name / "s", make_head(seed=seed), patient=f"p{seed}")
    assert read_collection(tmp_path).task.classes == ("No Tumor", "glioma")


def test_institutions_become_numbered_sites(cohort, write_series, make_head):
    root = cohort(InstitutionName="Hospital Q", StationName="MR1")
    folder = root / "none" / "elsewhere"
    write_series(folder, make_head(seed=20), patient="x", InstitutionName="Clinic R")
    sites = read_collection(root).sites
    assert sorted(sites) in (["site-1"] + ["site-2"] * 5, ["site-1"] * 5 + ["site-2"])


def test_stations_are_the_sites_if_institutions_are_not_all_known(cohort, write_series, make_head):
    root = cohort(InstitutionName="Hospital Q", StationName="MR1")
    write_series(root / "none" / "e", make_head(seed=20), patient="x", StationName="MR1")
    assert set(read_collection(root).sites) == {"site-1"}


def test_sites_are_unknown_if_one_file_names_none(cohort, write_series, make_head):
    root = cohort(InstitutionName="Hospital Q")
    write_series(root / "none" / "elsewhere", make_head(seed=20), patient="x")
    assert read_collection(root).sites is None


# -- other patients ------------------------------------------------------------------------------


def test_folders_can_be_the_patients(cohort):
    """Of files that name none, or were all given one name."""
    root = cohort()
    for path in root.rglob("IM*"):
        data = pydicom.dcmread(path)
        data.PatientID = ""
        data.save_as(path)
    samples = read_collection(root, rule="folder")
    assert sorted(set(samples.patients)) == [f"patient-{k:04d}" for k in range(1, 5)]
    assert len(samples) == 5
    for _, name in PEOPLE:
        assert all(name not in text for text in (*samples.ids, *samples.patients))
    shutil.move(next(root.rglob("IM0001")), root / "none" / "IM0001")
    with pytest.raises(DataError, match="is not in a patient folder"):
        read_collection(root, rule="folder")


@pytest.mark.slow
def test_patients_can_be_unknown(cohort, workspace):
    root = cohort(PatientID="")
    dataset = Registry.load(environ={}).dataset(f"dicom:{root},patient=none")
    samples = dataset.open(workspace)
    assert samples.patients is None
    assert dataset.no_patients
    assert samples.ids == tuple(f"series-{k:04d}" for k in range(1, 6))
    with pytest.raises(DataError, match=r"no PatientID.*,patient=folder"):
        read_collection(root)


def test_one_patient_id_for_all_is_mentioned(cohort, caplog):
    with caplog.at_level("WARNING", "mritk"):
        read_collection(cohort(PatientID="ANON"))
    assert "add ,patient=folder" in caplog.text


def test_spellings_of_one_patient_are_one_patient(cohort, caplog):
    root = cohort()
    for path in (root / "glioma" / "Zimmermann_Anna" / "MR" / "t1").iterdir():
        data = pydicom.dcmread(path)
        data.PatientID = "ZIMMERMANN ANNA"
        data.save_as(path)
    with caplog.at_level("WARNING", "mritk"):
        samples = read_collection(root)
    assert len(set(samples.patients)) == 4
    assert "1 patients differ from others only in spelling" in caplog.text
    assert "immermann" not in caplog.text.lower()


# -- the tree ------------------------------------------------------------------------------------


def test_side_files_are_left_aside(cohort):
    root = cohort()
    before = read_collection(root).ids
    for name in ("none/Quist/viewer.nfo", "none/preview.JPG", "none/x.log", "none/start.exe"):
        (root / name).write_bytes(b"x" * 200)
    for name in ("DICOMDIR", "notes.txt", "glioma/report.XML", "none/.DS_Store", "a.csv"):
        (root / name).write_bytes(b"x" * 200)
    (root / "none" / "Quist" / "Thumbs.db").write_bytes(b"")
    (root / "readme").write_bytes(b"beside the classes")
    (root / "none" / "Quist, Hans").mkdir()
    samples = read_collection(root)
    assert samples.ids == before
    told = {found.reason: sorted(found.names) for found in samples.passed_over}
    # Names of files may be those of patients, so that they are counted only.
    assert told == {
        "not DICOM": sorted(
            ["*", "*.XML", "*.csv", "*.txt", "DICOMDIR", "*.JPG", "*.exe", "*.log"]
        ),
        "empty": ["*/"],
    }


def test_a_folder_of_a_patient_may_be_a_link(cohort, tmp_path):
    root = cohort()
    before = read_collection(root).ids
    shutil.move(root / "none" / "Quist", tmp_path / "elsewhere")
    (root / "none" / "Quist").symlink_to(tmp_path / "elsewhere")
    assert read_collection(root).ids == before


def test_names_and_suffixes_of_dicom_files_do_not_matter(cohort):
    root = cohort()
    before = read_collection(root).ids
    for path in sorted(root.rglob("IM000[1-3]")):
        path.rename(path.with_name(f"{path.name}.{'txt' if path.name.endswith('1') else 'dcm'}"))
    assert read_collection(root).ids == before


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"x" * 500])
def test_a_file_that_is_no_dicom_is_named(cohort, content):
    root = cohort()
    path = root / "none" / "Quist" / "scan"
    path.write_bytes(content)
    with pytest.raises(DataError, match="is not a DICOM file") as error:
        read_collection(root)
    assert str(path) in str(error.value)


def test_dicom_beside_the_class_folders_is_not_dropped_silently(cohort):
    root = cohort()
    shutil.copy(next(root.rglob("IM0001")), root / "stray")
    with pytest.raises(DataError, match=r"stray has no class"):
        read_collection(root)


def test_named_classes_leave_out_what_lies_outside_of_them(cohort):
    root = cohort()
    before = read_collection(root).ids
    shutil.copytree(root / "none", root / "pilot")
    shutil.copy(next(root.rglob("IM0001")), root / "stray")
    samples = read_collection(root, classes=("glioma", "none"))
    assert samples.ids == before
    (found,) = samples.passed_over
    assert found.reason == "without a class"
    assert set(found.names) == {"*"}


def test_links_that_lead_nowhere_or_to_folders(cohort, tmp_path):
    root = cohort()
    link = root / "none" / "link"
    link.symlink_to("../.git/annex/objects/x")
    with pytest.raises(Unavailable, match="datalad get"):
        read_collection(root)
    link.unlink()
    link.symlink_to(tmp_path)
    with pytest.raises(DataError, match="link to a folder that contains it"):
        read_collection(root)


@pytest.mark.parametrize("label", ["", "only"])
def test_fewer_than_two_classes(write_series, make_head, tmp_path, label):
    (tmp_path / "root").mkdir()
    if label:
        write_series(tmp_path / "root" / label, make_head())
    with pytest.raises(DataError, match=r"one class only \(only\)|no DICOM files"):
        read_collection(tmp_path / "root")


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_named(cohort):
    path = next(cohort().rglob("IM0001"))
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        read_collection(path.parents[4])


def test_a_file_that_vanishes_is_told_without_its_name(cohort, caplog):
    root = cohort()
    samples = read_collection(root)
    path = next((root / "glioma" / "Zimmermann_Anna").rglob("IM0001"))
    path.unlink()
    with pytest.raises(DataError) as error:
        _ = samples.contents
    assert "a file cannot be read: No such file" in str(error.value)
    assert "Zimmermann" not in str(error.value)
    assert str(path) in caplog.text


# -- the family ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("option", "count"), [("", 5), (",slices=2", 10), (",slices=all", 60)])
def test_options_follow_the_path(cohort, workspace, option, count):
    dataset = Registry.load(environ={}).dataset(f"dicom:{cohort()}{option}")
    assert dataset.name == f"dicom:cohort{option}"
    assert len(dataset.open(workspace)) == count


@pytest.mark.parametrize("option", ["slices=-1", "slices=some", "slice=2"])
def test_wrong_options_are_refused(tmp_path, option):
    with pytest.raises(UsageError, match="slices"):
        Registry.load(environ={}).dataset(f"dicom:{tmp_path},{option}")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(Unavailable, match="nowhere"):
        Registry.load(environ={}).dataset(f"dicom:{tmp_path / 'nowhere'}")


@pytest.mark.slow
def test_the_table_of_pseudonyms_is_printed_for_those_who_have_the_data(cohort):
    root = cohort()
    command = [sys.executable, "-m", "mritk_dicom", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    header, *lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert header == ["id", "class", "patient", "slices", "folder"]
    expected = [
        (s.id, s.series.label, s.series.patient, "12", str(s.series.folder))
        for s in find_series(root)
    ]
    assert [tuple(line) for line in lines] == expected
    refused = subprocess.run(command[:-1], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")
