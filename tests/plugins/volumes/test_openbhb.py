"""``openbhb:PATH``: volumes in the published layout, its official parts, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from mritk import DataError, Unavailable, UsageError
from mritk.splits.split_rule import SplitRule
from mritk.splits.splits import make_folds
from mritk_volumes import openbhb_samples
from mritk_volumes.openbhb import OpenBHBOptions, resolve_openbhb
from mritk_volumes.openbhb_samples import FILES, open_scans, read_scan

COLUMNS = [
    "participant_id",
    "study",
    "sex",
    "age",
    "siteXacq",
    "tiv",
    "magnetic_field_strength",
    "split",
]
# Two scanners to learn from and be tested on, a third one for the external part.
PEOPLE = [
    (100 + i, i % 3, ("female", "male")[i % 2], 20.5 + i, i % 2, 1500 + i, 3.0, "train")
    for i in range(12)
]
PEOPLE += [(200 + i, 0, "male", 40 + i, i % 2, 1500, 1.5, "internal_test") for i in range(3)]
PEOPLE += [(300 + i, 4, "female", 50 + i, 7, "", 1.5, "external_test") for i in range(4)]
SMALL = {"vbm": (6, 8, 7), "quasiraw": (9, 12, 15)}


@pytest.fixture(autouse=True)
def small_volumes(monkeypatch):
    """Volumes of the published shapes take megabytes each."""
    monkeypatch.setattr(openbhb_samples, "SHAPES", SMALL)


def place(folder, person, modality):
    part = "train" if person[-1] == "train" else "val"
    name = f"sub-{person[0]}"
    return folder / part / "derivatives" / name / "ses-1" / f"{name}_{FILES[modality]}"


def volume_of(person, modality):
    values = np.random.default_rng(person[0]).uniform(0, 1, (1, *SMALL[modality]))
    return values.astype(np.float32)


def write_table(folder, people, columns=COLUMNS):
    lines = ["\t".join(columns), *("\t".join(map(str, person)) for person in people)]
    (folder / "participants.tsv").write_text("\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "openbhb"
    path.mkdir()
    write_table(path, PEOPLE)
    for person in PEOPLE:
        for modality in SMALL:
            file = place(path, person, modality)
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, volume_of(person, modality))
    return path


def opened(folder, **options):
    return open_scans(folder, OpenBHBOptions(**{"target": "age", **options}))


def test_the_training_part_and_the_external_scanners(folder):
    samples = opened(folder)
    assert len(samples) == 16
    assert samples.splits.count("train") == 12
    assert samples.splits.count("test") == 4
    train, test = (
        {site for site, part in zip(samples.sites, samples.splits, strict=True) if part == name}
        for name in ("train", "test")
    )
    assert test == {"7"} and not train & test
    assert samples.targets[0] == 20.5
    assert np.isnan(samples.covariates["tiv"][-1]) and samples.covariates["tiv"][0] == 1500


@pytest.mark.parametrize(("test", "count"), [("internal", 3), ("external", 4), ("both", 7)])
def test_the_tested_part_is_chosen_and_told(folder, test, count):
    samples = opened(folder, test=test)
    told = [p for p in samples.covariates["part"] if p != "train"]
    assert len(told) == count
    fold = next(iter(make_folds(samples, SplitRule())))
    assert len(fold.test) == count
    assert {samples.splits[i] for i in fold.test} == {"test"}


def test_sex_is_a_class(folder):
    samples = opened(folder, target="sex")
    assert samples.task.classes == ("female", "male")
    assert samples.targets[:3].tolist() == [0, 1, 0]


def test_grey_matter_keeps_its_scale_and_volumes_lie_as_scans_do(folder):
    samples = opened(folder)
    stored = volume_of(PEOPLE[0], "vbm")[0]
    found = samples.read(0)
    assert found.shape == (7, 8, 6)
    assert found.dtype == np.uint8
    assert found[2, 0, 3] == round(200 * float(stored[3, -1, 2]))
    np.testing.assert_array_equal(samples.spacing[0], [1.5, 1.5, 1.5])


def test_the_quasi_raw_scan_comes_in_voxels_of_either_size(folder):
    fine, coarse = (opened(folder, modality="quasiraw", resolution=mm) for mm in (1.0, 1.5))
    assert fine.read(0).shape == (15, 12, 9)
    assert coarse.read(0).shape == (10, 8, 6)
    assert abs(float(fine.read(0).mean()) - float(coarse.read(0).mean())) < 10
    assert coarse.spacing[0].tolist() == [1.5] * 3 and fine.spacing[0].tolist() == [1.0] * 3


def test_its_name_has_options_and_the_folder_is_checked(folder, registry, tmp_path):
    dataset = registry.dataset(f"openbhb:{folder},target=sex,modality=quasiraw,test=both")
    assert "OpenBHB" in dataset.sources
    for text, told in (
        ("", "no target; write openbhb:PATH,target=age|sex"),
        (",target=iq", "unknown target iq"),
        (",target=age,resolution=2", "write 1.5 or 1.0"),
    ):
        with pytest.raises(UsageError, match=told.replace("|", r"\|")):
            registry.dataset(f"openbhb:{folder}{text}")
    with pytest.raises(Unavailable, match=r"no participants\.tsv in .*benoit-dufumier/openBHB"):
        list(resolve_openbhb(str(tmp_path), OpenBHBOptions("age")))


# -- bad input -------------------------------------------------------------------------------------


def changed(row, **cells):
    values = dict(zip(COLUMNS, PEOPLE[row], strict=True)) | cells
    return [*PEOPLE[:row], tuple(values[name] for name in COLUMNS), *PEOPLE[row + 1 :]]


@pytest.mark.parametrize(
    ("target", "cells", "told"),
    [
        ("age", {"age": "n/a"}, r"line 4: age is 'n/a' \(1 of 16 have none\)"),
        ("age", {"age": ""}, r"line 4: age is empty \(1 of 16 have none\)"),
        ("sex", {"sex": "F"}, "line 4: sex is 'F'"),
        ("age", {"split": "validation"}, "split is 'validation'; expected train"),
    ],
)
def test_a_target_or_part_that_is_none_is_told_with_its_line(folder, target, cells, told):
    write_table(folder, changed(2, **cells))
    with pytest.raises(DataError, match=told):
        opened(folder, target=target)


def test_missing_volumes_are_counted_and_nothing_is_dropped(folder):
    for person in PEOPLE[3:5]:
        place(folder, person, "vbm").unlink()
    with pytest.raises(DataError, match=r"2 of 16 volumes are missing .*the first is train/deriv"):
        opened(folder)


def test_a_table_without_a_column_is_told(folder):
    write_table(folder, [person[:-1] for person in PEOPLE], COLUMNS[:-1])
    with pytest.raises(DataError, match="has no column split"):
        opened(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (np.full((1, *SMALL["vbm"]), np.nan, np.float32), "336 voxels that are NaN"),
        (np.zeros((1, 5, 5, 5), np.float32), "so it is not vbm"),
        (np.zeros((40, *SMALL["vbm"]), np.float32), r"\(40, 6, 8, 7\); expected one volume"),
        (b"", "cannot be read"),
        (b"\x93NUMPY\x01", "cannot be read"),
    ],
)
def test_a_file_that_is_no_volume_is_told(folder, content, told):
    path = place(folder, PEOPLE[0], "vbm")
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(DataError, match=told):
        read_scan(path, OpenBHBOptions("age"))
