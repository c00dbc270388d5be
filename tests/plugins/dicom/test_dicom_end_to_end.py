"""DICOM trains, and what is written thereby says nothing of the patients."""

from __future__ import annotations

import json
import sys

import h5py
import pytest

# Ids, names, institutions and folders that must not leave the files.
SECRETS = ("ZX-4711", "Zimmermann", "HospitalQ", "ward-7b")


@pytest.fixture
def cohort(write_series, make_head, tmp_path):
    """Write 12 patients; their class is whether the head is brighter in front or behind."""
    for i in range(12):
        label = i % 2
        write_series(
            tmp_path / "cohort" / f"class-{label}" / f"Zimmermann_{i}" / "ward-7b",
            make_head(label, seed=i),
            patient=f"ZX-4711-{i}",
            PatientName=f"Zimmermann^Anna{i}",
            InstitutionName="HospitalQ",
        )
    return tmp_path / "cohort"


@pytest.fixture
def run(mritk, toy, fast_protocol, cohort, tmp_path, monkeypatch):
    def run(*arguments):
        words = [
            *("run", "-p", toy, "-b", "tiny", "-d", f"dicom:{cohort},slices=1", "--json"),
            *("--protocol", fast_protocol, "--seeds", 1, "--device", "cpu"),
            *("-o", tmp_path / "results", *arguments),
        ]
        # A trial file keeps the command line, as in a process of its own.
        monkeypatch.setattr(sys, "argv", ["mritk", *map(str, words)])
        return mritk(*words)

    return run


def texts_in(file):
    """Yield every text in an HDF5 file, stored compressed or not."""

    def texts(value):
        yield str(value[()] if isinstance(value, h5py.Dataset) else value)
        if isinstance(value, h5py.Dataset) and value.dtype.kind == "O" and value.shape:
            yield from (str(cell) for cell in value[()].ravel())

    found = []
    with h5py.File(file) as opened:
        objects = [opened]
        opened.visititems(lambda name, value: objects.append(value))
        for value in objects:
            found += [value.name, *map(str, value.attrs.values())]
            if isinstance(value, h5py.Dataset):
                found += texts(value)
    return found


def leaks(*roots):
    """Return (file, secret) for each secret in a name or in the content of a file."""
    found = []
    for path in (path for root in roots for path in root.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        shown = [str(path), content.decode("latin-1")]
        if path.suffix == ".h5":
            shown += texts_in(path)
        found += [(path, secret) for secret in SECRETS if any(secret in text for text in shown)]
    return found


@pytest.mark.slow
def test_a_folder_of_dicom_trains_and_no_patient_can_be_found_in_what_is_written(
    run, tmp_path, own_home
):
    ended = run()
    assert ended.code == 0, ended.err
    (table,) = json.loads(ended.out)["leaderboard"]["tables"]
    assert table["dataset"] == "dicom:cohort,slices=1"
    assert table["patients"] == 2, "a fifth of them"
    assert table["rows"][0]["metrics"]["macro_auroc"]["mean"] > 0.9
    written = [*(tmp_path / "results").rglob("*.h5")]
    assert any("patient-0001/series-01#0" in text for path in written for text in texts_in(path))
    assert [path for path in own_home.rglob("*") if path.is_file()]
    assert leaks(tmp_path / "results", own_home) == []


@pytest.mark.slow
def test_nor_if_a_file_is_broken(run, cohort, tmp_path, own_home):
    path = cohort / "class-1" / "Zimmermann_3" / "ward-7b" / "IM0003"
    path.write_bytes(path.read_bytes()[:-200])
    refused = run()
    assert refused.code == 2
    assert "slice" in refused.err
    assert "Traceback" not in refused.err
    assert run("--skip-unreadable").code == 0
    assert leaks(tmp_path / "results", own_home) == []


@pytest.mark.slow
@pytest.mark.usefixtures("no_near_copies")
def test_the_search_for_leaks_finds_them(run, tmp_path):
    """A folder named after a patient by whoever types it is the case that mritk cannot help."""
    (tmp_path / "cohort").rename(tmp_path / "ward-7b")
    (tmp_path / "cohort").symlink_to(tmp_path / "ward-7b")
    assert run().code == 0
    assert {secret for _, secret in leaks(tmp_path / "results")} == {"ward-7b"}
