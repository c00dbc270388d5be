"""The tree of a DICOM collection: what lies in it, how its options are written, what is refused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from mritk import DataError, Unavailable, UsageError
from mritk.plugins.registry import Registry
from mritk_dicom.collection import find_series, read_collection

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
    options = f"{root},classes=glioma/none,patient=folder"
    done = subprocess.run([*command[:-1], options], capture_output=True, text=True, check=True)
    patients = {line.split("\t")[2] for line in done.stdout.splitlines()[1:]}
    assert patients == {folder.name for folder in root.glob("*/*")}
    refused = subprocess.run(command[:-1], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stdout) == (2, "")


@pytest.mark.slow
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_of_the_table_that_has_gone_is_no_error(cohort, unbuffered):
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    command = [sys.executable, "-m", "mritk_dicom", str(cohort())]
    done = subprocess.run(
        command, stdout=write, stderr=subprocess.PIPE, check=False, env=environment
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_results_among_the_classes_are_no_class(cohort):
    root = cohort()
    before = read_collection(root)
    for name in ("trials/x.h5", "results.h5", "explanations/x/1.nii.gz"):
        for inside in (root, root / "none"):
            (inside / "mritk-results" / name).parent.mkdir(parents=True, exist_ok=True)
            (inside / "mritk-results" / name).touch()
    after = read_collection(root)
    assert (after.ids, after.passed_over) == (before.ids, before.passed_over)
