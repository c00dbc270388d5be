"""Axial slices: which ones, of which patient, read how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mritk import Classification, DataError
from mritk.splits.units import units
from mritk_folders import scan_table
from mritk_folders.scan_table import ScanTable
from mritk_folders.slicing import axial_slices, slice_rows


@pytest.fixture
def table(tmp_path, write_nifti, make_head):
    """Two heads of two patients."""
    for seed, name in enumerate(("one.nii.gz", "two.nii.gz")):
        write_nifti(tmp_path / name, make_head(seed=seed))
    return ScanTable(
        tmp_path,
        ["one.nii.gz", "two.nii.gz"],
        np.array([1, 0]),
        Classification(("a", "b")),
        patients=["p1", "p2"],
        sites=["s1", "s2"],
        splits=["train", "test"],
    )


# -- the rule ----------------------------------------------------------------------------------


@given(st.integers(0, 50), st.integers(1, 300), st.integers(1, 200))
def test_rows_are_different_and_lie_in_the_central_60_percent(start, length, count):
    if count > max(1, length * 6 // 10):
        with pytest.raises(DataError, match="or fewer"):
            slice_rows(start, start + length, count)
        return
    rows = slice_rows(start, start + length, count)
    assert len(set(rows)) == count
    assert rows == sorted(rows)
    assert all(start + 0.2 * length - 1 < row < start + 0.8 * length for row in rows)


@given(st.integers(1, 100), st.integers(1, 20))
def test_rows_are_evenly_spaced(tens, count):
    length = 10 * tens
    if count <= length * 6 // 10:
        gaps = np.diff(slice_rows(0, length, count))
        assert not len(gaps) or gaps.max() - gaps.min() <= 1


def test_a_single_slice_is_the_middle_of_the_head():
    assert slice_rows(10, 30, 1) == [20]


def test_five_slices_of_a_hundred():
    assert slice_rows(0, 100, 5) == [26, 38, 50, 62, 74]


def test_air_above_and_below_the_head_does_not_count():
    volume = np.random.default_rng(0).integers(0, 20, (40, 30, 30)).astype(np.uint8)
    volume[10:30, 5:25, 5:25] = 200
    volume[0, 0, 0] = volume[39, 3, 3] = 255  # spikes
    np.testing.assert_array_equal(axial_slices(volume, 3), volume[slice_rows(10, 30, 3)])


def test_a_volume_without_a_head_is_refused():
    with pytest.raises(DataError, match="no axial slice contains a head"):
        axial_slices(np.full((5, 20, 20), 20, np.uint8), 1)


def test_more_slices_than_the_head_has_are_refused_with_what_is_possible():
    with pytest.raises(DataError, match="slices=12 or fewer"):
        axial_slices(np.full((20, 5, 5), 200, np.uint8), 13)


# -- samples -----------------------------------------------------------------------------------


def test_volumes_stay_volumes_by_default(table):
    samples = table.samples()
    assert samples.ids == ("one.nii.gz", "two.nii.gz")
    assert samples.spatial_dims == 3
    assert samples.read(0).shape == (20, 24, 22)
    assert samples.read(0).dtype == np.uint8


def test_each_slice_is_a_sample_of_the_patient_of_its_volume(table):
    samples = table.samples(3)
    assert samples.ids == tuple(f"{name}.nii.gz#{k}" for name in ("one", "two") for k in range(3))
    assert samples.spatial_dims == 2
    assert samples.targets.tolist() == [1, 1, 1, 0, 0, 0]
    assert samples.patients == ("p1",) * 3 + ("p2",) * 3
    assert samples.sites == ("s1",) * 3 + ("s2",) * 3
    assert samples.splits == ("train",) * 3 + ("test",) * 3
    volumes = table.samples()
    for i in range(6):
        expected = axial_slices(volumes.read(i // 3), 3)[i % 3]
        np.testing.assert_array_equal(samples.read(i), expected)


def test_digests_tell_slices_numbers_of_slices_and_volumes_apart(table):
    found = [content for slices in (0, 1, 3) for content in table.samples(slices).contents]
    assert len(set(found)) == len(found) == 2 + 2 + 6


def test_a_volume_is_read_once_for_all_its_slices(table, monkeypatch):
    reads = []
    real = scan_table.read_scan
    monkeypatch.setattr(scan_table, "read_scan", lambda path: reads.append(path) or real(path))
    samples = table.samples(5)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(samples.read, range(10)))
    assert sorted(path.name for path in reads) == ["one.nii.gz", "two.nii.gz"]


def test_every_slice_of_a_corrupt_volume_tells_why(table):
    (table.folder / "two.nii.gz").write_bytes(b"<html>")
    samples = table.samples(2)
    assert samples.read(1).shape == (24, 22)
    for i in (2, 3):
        with pytest.raises(DataError, match="not a NIfTI"):
            samples.read(i)


def test_slices_of_a_volume_stay_together_without_patients(table):
    alone = ScanTable(table.folder, table.names, table.targets, table.task).samples(2)
    assert alone.patients is None
    assert units(alone).tolist() == [0, 0, 1, 1]
