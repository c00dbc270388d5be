"""A folder of DICOM becomes samples whose names say nothing of the patients."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from mritk import DataError
from mritk.plugins.registry import Registry
from mritk_dicom.collection import read_collection
from mritk_dicom.pseudonyms import pseudonyms
from tests.plugins.dicom.conftest import PEOPLE


def by_sha256(names):
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="others allow no such names")
def test_a_patient_folder_whose_name_is_not_utf_8_has_a_pseudonym(
    write_series, make_head, tmp_path
):
    """As archives of other countries unpack: its name is bytes, with no text of its own."""
    for seed, name in enumerate((b"a/M\xfcller", b"a/Abel", b"b/M\xfchle")):
        folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        write_series(folder, make_head(seed=seed), patient="ANON", series=str(seed))
    samples = read_collection(tmp_path, rule="folder")
    assert sorted(samples.patients) == [f"patient-{k:04d}" for k in (1, 2, 3)]
    assert len(samples.fingerprint) == 64
    command = [sys.executable, "-m", "mritk_dicom", f"{tmp_path},patient=folder"]
    strict = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    table = subprocess.run(command, capture_output=True, check=True, env=strict).stdout
    assert b"\tM\xfcller\t" in table


def test_volumes_are_the_default(cohort):
    samples = read_collection(cohort())
    assert samples.spatial_dims == 3
    assert samples.read(0).shape == (12, 24, 22)
    assert samples.read(0).dtype == np.uint8


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_class_of_two_spellings_in_two_parts_is_one(write_series, make_head, tmp_path):
    folders = ("Training/No Tumor", "Training/glioma", "Testing/no_tumor", "Testing/Glioma")
    for seed, name in enumerate(folders):
        write_series(tmp_path / name / "s", make_head(seed=seed), patient=f"p{seed}")
    assert read_collection(tmp_path).task.classes == ("No Tumor", "glioma")


@pytest.mark.slow
def test_institutions_become_numbered_sites(cohort, write_series, make_head):
    root = cohort(InstitutionName="Hospital Q", StationName="MR1")
    folder = root / "none" / "elsewhere"
    write_series(folder, make_head(seed=20), patient="x", InstitutionName="Clinic R")
    sites = read_collection(root).sites
    assert sorted(sites) in (["site-1"] + ["site-2"] * 5, ["site-1"] * 5 + ["site-2"])


@pytest.mark.slow
def test_stations_are_the_sites_if_institutions_are_not_all_known(cohort, write_series, make_head):
    root = cohort(InstitutionName="Hospital Q", StationName="MR1")
    write_series(root / "none" / "e", make_head(seed=20), patient="x", StationName="MR1")
    assert set(read_collection(root).sites) == {"site-1"}


@pytest.mark.slow
def test_sites_are_unknown_if_one_file_names_none(cohort, write_series, make_head):
    root = cohort(InstitutionName="Hospital Q")
    write_series(root / "none" / "elsewhere", make_head(seed=20), patient="x")
    assert read_collection(root).sites is None


def test_spellings_of_one_institution_are_one_site(write_series, make_head, tmp_path, caplog):
    """Case, spaces, and the Unicode form: é as one character, or as e and an accent."""
    names = ("Charité Berlin", "CHARITE\u0301 BERLIN", "Charité-Berlin ", "UKE")
    for seed, name in enumerate(names):
        folder = tmp_path / "ab"[seed % 2] / str(seed)
        encoded = {"SpecificCharacterSet": "ISO_IR 192", "InstitutionName": name}
        write_series(folder, make_head(seed=seed), patient=f"p{seed}", **encoded)
    with caplog.at_level("WARNING", "mritk"):
        samples = read_collection(tmp_path)
    counts = sorted(samples.sites.count(site) for site in set(samples.sites))
    assert counts == [1, 3]
    assert "2 sites differ from others only in spelling and are merged" in caplog.text
    assert "berlin" not in caplog.text.lower()


def test_an_institution_that_stands_for_a_missing_value_is_no_site(
    write_series, make_head, tmp_path
):
    for seed, name in enumerate(("Hospital Q", "N/A")):
        folder = tmp_path / "ab"[seed]
        write_series(folder, make_head(seed=seed), patient=f"p{seed}", InstitutionName=name)
    assert read_collection(tmp_path).sites is None


# -- other patients ------------------------------------------------------------------------------


@pytest.mark.slow
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
def test_the_folder_of_a_part_inside_of_a_class_is_no_patient(write_series, make_head, tmp_path):
    for seed, name in enumerate(f"{c}/{p}" for c in "ab" for p in ("Training", "Testing")):
        for one in (f"{seed}x", f"{seed}y"):
            write_series(tmp_path / name / one, make_head(seed=seed), patient="ANON", series=one)
    samples = read_collection(tmp_path, classes=("a", "b"), rule="folder")
    assert len(set(samples.patients)) == len(samples) == 8
    shutil.move(next((tmp_path / "a" / "Training").rglob("IM*")), tmp_path / "a" / "Training")
    with pytest.raises(DataError, match="is not in a patient folder"):
        read_collection(tmp_path, classes=("a", "b"), rule="folder")


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


@pytest.mark.slow
def test_one_patient_id_for_all_is_mentioned(cohort, caplog):
    with caplog.at_level("WARNING", "mritk"):
        read_collection(cohort(PatientID="ANON"))
    assert "add ,patient=folder" in caplog.text


def test_one_patient_folder_for_all_is_not_told_to_use_folders(cohort, caplog, tmp_path):
    root = tmp_path / "one"
    for number, path in enumerate(sorted(cohort().rglob("IM*"))):
        place = root / ("none", "glioma")[number % 2] / "p1" / f"IM{number}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    with caplog.at_level("WARNING", "mritk"):
        assert set(read_collection(root, rule="folder").patients) == {"patient-0001"}
    assert "PatientID" not in caplog.text


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
