"""``frames=K``: volumes of a series as samples of one patient."""

from __future__ import annotations

import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mritk import Classification, DataError, Segmentation, UsageError, grey_levels
from mritk.data.patients import PatientRule, require_patients, with_patients
from mritk.images.decode import decoded
from mritk.plugins.options import options_text
from mritk.splits.splits import SplitRule, make_folds
from mritk_folders.bids import read_bids
from mritk_folders.frames import frame_rows
from mritk_folders.manifest import read_manifest
from mritk_folders.nifti import read_affine, read_frames, read_length, read_volume
from mritk_folders.options import BidsOptions, FolderOptions, ManifestOptions, ScanOptions
from mritk_folders.scan_table import ScanTable
from mritk_folders.tree import read_tree

LENGTH = 11
SERIES = np.random.default_rng(0).integers(1, 1000, (5, 6, 7, LENGTH)).astype(np.int16)
AFFINES = {
    "RAS": np.diag([2.0, 3.0, 4.0, 1.0]),
    "LPS": np.diag([-2.0, -3.0, 4.0, 1.0]),
    "SLA": np.array([[0, -3.0, 0, 1], [0, 0, 4, 2], [2, 0, 0, 3], [0, 0, 0, 1]]),
}


def saved(path, values=SERIES, affine=AFFINES["RAS"]):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)
    return path


def by_nibabel(path, frame):
    """A frame in canonical orientation, (D, H, W) as radiologists look at it."""
    canonical = nib.as_closest_canonical(nib.load(path))
    return grey_levels(np.asarray(canonical.dataobj[..., frame]).transpose(2, 1, 0)[:, ::-1, ::-1])


@pytest.fixture
def table(tmp_path):
    """Three series of three patients at two sites."""
    names = ["one.nii.gz", "two.nii", "three.nii.gz"]
    for number, name in enumerate(names):
        saved(tmp_path / name, SERIES + number)
    return ScanTable(
        tmp_path,
        names,
        np.array([1, 0, 1]),
        Classification(("a", "b")),
        patients=["p1", "p2", "p3"],
        sites=["s1", "s1", "s2"],
        splits=["train", "test", "train"],
        covariates={"age": np.array([20.0, 30.0, 40.0])},
    )


# -- the rule ----------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 300))
def test_frames_hold_the_middles_of_equal_spans(length, count):
    if count > length:
        with pytest.raises(DataError, match=f"fewer than frames={count}; use frames={length}"):
            frame_rows(length, count)
        return
    rows = frame_rows(length, count)
    assert sorted(set(rows)) == rows and len(rows) == count
    middles = [(k + 0.5) * length / count for k in range(count)]
    assert all(row <= middle + 1e-9 < row + 1 for row, middle in zip(rows, middles, strict=True))


def test_four_frames_of_a_hundred_and_fifty():
    assert frame_rows(150, 4) == [18, 56, 93, 131]
    assert frame_rows(11, 1) == [5]
    assert frame_rows(3, 3) == [0, 1, 2]


# -- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bold.nii", "bold.nii.gz"])
@pytest.mark.parametrize("codes", AFFINES)
def test_each_frame_is_what_nibabel_reads(tmp_path, name, codes):
    path = saved(tmp_path / name, affine=AFFINES[codes])
    assert read_length(path) == LENGTH
    for rows in ([0], [LENGTH - 1], [1, 5, 9], range(LENGTH)):
        for row, (found, holes) in zip(rows, read_frames(path, list(rows)), strict=True):
            np.testing.assert_array_equal(found, by_nibabel(path, row))
            assert holes == 0


@pytest.mark.parametrize("endianness", ["<", ">"])
def test_the_scale_and_the_order_of_bytes_count(tmp_path, endianness):
    image = nib.Nifti1Image(
        SERIES / 7 - 20, AFFINES["LPS"], nib.Nifti1Header(endianness=endianness)
    )
    image.set_data_dtype(np.int16)  # nibabel finds a slope and an intercept
    nib.save(image, tmp_path / "bold.nii.gz")
    for row, (found, _) in zip([2, 8], read_frames(tmp_path / "bold.nii.gz", [2, 8]), strict=True):
        expected = by_nibabel(tmp_path / "bold.nii.gz", row)
        np.testing.assert_allclose(found.astype(int), expected.astype(int), atol=1)


def test_a_frame_is_read_like_a_file_of_it_alone(tmp_path):
    path = saved(tmp_path / "bold.nii.gz", affine=AFFINES["SLA"])
    nib.save(nib.load(path).slicer[..., 5], tmp_path / "frame.nii")
    found, _ = read_frames(path, [5])[0]
    np.testing.assert_array_equal(found, read_volume(tmp_path / "frame.nii"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bold.nii", "bold.nii.gz"])
def test_memory_holds_the_frames_that_are_asked_for(tmp_path, name):
    series = np.random.default_rng(0).integers(1, 1000, (32, 32, 32, 120)).astype(np.int16)
    path = saved(tmp_path / name, series)
    read_frames(path, [0])  # what is imported once does not count
    tracemalloc.start()
    try:
        read_frames(path, [10, 110])
        # From Python 3.12 on, the reader of compressed files holds more of one.
        assert tracemalloc.get_traced_memory()[1] < series.nbytes / 2
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("value", "reason"), [(7, "every voxel is 7,"), (np.nan, "only NaN")])
def test_a_frame_of_one_value_is_one_sample_that_cannot_be_read(table, value, reason):
    series = SERIES.astype(np.float32)
    series[..., 5] = value
    path = saved(table.folder / "two.nii", series)
    samples = table.samples(frames=3)
    for i, row in ((3, 1), (5, 9)):
        np.testing.assert_array_equal(samples.read(i), by_nibabel(path, row))
        assert samples.holes(i) == 0
    for _ in range(2):
        with pytest.raises(DataError, match=f"frame 5: .*{reason}"):
            samples.read(4)


@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
@pytest.mark.parametrize("name", ["bold.nii", "bold.nii.gz"])
def test_a_truncated_series_is_noticed_also_behind_the_frames(tmp_path, name, share):
    path = saved(tmp_path / name)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(DataError, match="truncated"):
        read_frames(path, [0])


def test_a_compressed_series_that_ends_early_is_noticed(tmp_path):
    content = nib.Nifti1Image(SERIES, np.eye(4)).to_bytes()
    (tmp_path / "bold.nii.gz").write_bytes(gzip.compress(content[:-100]))
    for rows in ([0], [LENGTH - 1]):
        with pytest.raises(DataError, match=f"truncated: {len(content) - 100} bytes"):
            read_frames(tmp_path / "bold.nii.gz", rows)


def test_a_damaged_frame_behind_the_chosen_ones_is_noticed(tmp_path):
    stored = bytearray(gzip.compress(nib.Nifti1Image(SERIES, np.eye(4)).to_bytes(), 0))
    stored[-40] ^= 1
    (tmp_path / "bold.nii.gz").write_bytes(stored)
    with pytest.raises(DataError, match="CRC"):
        read_frames(tmp_path / "bold.nii.gz", [0])


# -- samples -----------------------------------------------------------------------------------


def test_frames_are_samples_of_the_patient_of_their_file(table):
    samples = table.samples(frames=2)
    assert samples.ids == tuple(f"{name}#{k}" for name in table.names for k in range(2))
    assert samples.spatial_dims == 3
    assert samples.targets.tolist() == [1, 1, 0, 0, 1, 1]
    assert samples.patients == ("p1", "p1", "p2", "p2", "p3", "p3")
    assert samples.sites == ("s1",) * 4 + ("s2",) * 2
    assert samples.splits == ("train",) * 2 + ("test",) * 2 + ("train",) * 2
    assert samples.covariates["age"].tolist() == [20, 20, 30, 30, 40, 40]
    np.testing.assert_array_equal(samples.spacing, np.tile([4.0, 3.0, 2.0], (6, 1)))
    for i in range(6):
        path = table.folder / table.names[i // 2]
        np.testing.assert_array_equal(samples.read(i), by_nibabel(path, (2, 8)[i % 2]))
        np.testing.assert_array_equal(samples.affine(i), read_affine(path))


def test_a_file_is_read_once_for_all_its_frames(table, monkeypatch):
    from mritk_folders import frames

    reads, real = [], frames.read_frames
    monkeypatch.setattr(
        frames, "read_frames", lambda path, rows: reads.append(path.name) or real(path, rows)
    )
    samples = table.samples(frames=4)
    for i in range(len(samples)):
        samples.read(i)
    assert reads == table.names


def test_the_number_of_frames_is_part_of_name_and_content(table):
    found = [c for count in (1, 2, 3) for c in table.samples(frames=count).contents]
    assert len(set(found)) == len(found) == 3 + 6 + 9
    assert options_text(BidsOptions(target="dx", suffix="bold", frames=4)).startswith(",frames=4")
    assert options_text(FolderOptions()) == ""


def test_decoded_frames_are_kept_apart_by_their_number(table, workspace):
    two, three = (decoded(table.samples(frames=k), 8, "bilinear", workspace) for k in (2, 3))
    assert (len(two), len(three)) == (6, 9)
    assert not np.array_equal(two[0], three[0])
    again = decoded(table.samples(frames=2), 8, "bilinear", workspace)
    np.testing.assert_array_equal(again, two)


def test_the_label_map_of_a_file_is_that_of_each_frame(tmp_path):
    names, masks = ["a.nii", "b.nii.gz"], ["a_seg.nii", "b_seg.nii"]
    labels = [(SERIES[..., 0] > level).astype(np.uint8) for level in (300, 600)]
    for name, mask, values in zip(names, masks, labels, strict=True):
        saved(tmp_path / name)
        saved(tmp_path / mask, values)
    lines = [
        "path,mask,patient",
        *(f"{n},{m},p{n[0]}" for n, m in zip(names, masks, strict=True)),
    ]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    options = ManifestOptions(labels="background/lesion", frames=2)
    samples = read_manifest(tmp_path / "list.csv", options)
    assert isinstance(samples.task, Segmentation)
    for i in range(4):
        expected = labels[i // 2].transpose(2, 1, 0)[:, ::-1, ::-1]
        np.testing.assert_array_equal(samples.read_target(i), expected)
        assert samples.read(i).shape == expected.shape
    saved(tmp_path / "b_seg.nii", labels[1], AFFINES["LPS"])
    with pytest.raises(DataError, match=r"1 of 2 label maps .* lie elsewhere"):
        read_manifest(tmp_path / "list.csv", options)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["holdout", "kfold"])
def test_frames_of_a_file_are_in_one_part_without_any_patient(tmp_path, scheme):
    for number in range(24):
        saved(tmp_path / f"class-{number % 2}" / f"{number}.nii", SERIES + number)
    samples = read_tree(tmp_path, frames=3)
    assert samples.patients is None
    scans = np.array([name.partition("#")[0] for name in samples.ids])
    for seed in range(5):
        for fold in make_folds(samples, SplitRule(scheme=scheme, seed=seed)):
            parts = [set(scans[rows]) for rows in (fold.train, fold.val, fold.test)]
            assert sum(map(len, parts)) == len(set.union(*parts)) == 24
    with pytest.raises(DataError, match="has no patient ids"):
        require_patients(samples, PatientRule(), "folder:x")
    require_patients(samples, PatientRule(none=True), "folder:x")
    told = with_patients(samples, PatientRule(regex=r"(\d+)\.nii"), "folder:x")
    assert told.patients[:3] == ("0", "0", "0")
    with pytest.raises(DataError, match="parts of one scan, but their patients differ: 0 and 1"):
        with_patients(samples, PatientRule(regex=r"#(\d)"), "folder:x")


def test_functional_scans_of_bids(tmp_path):
    lines = ["participant_id\tdx"]
    for person, dx in enumerate(("CN", "AD", "CN")):
        name = f"sub-{person}"
        saved(tmp_path / name / "func" / f"{name}_task-rest_bold.nii.gz", SERIES + person)
        saved(tmp_path / name / "anat" / f"{name}_T1w.nii.gz", SERIES[..., 0])
        lines.append(f"{name}\t{dx}")
    saved(tmp_path / "sub-0" / "anat" / "sub-0_bold.nii.gz")
    (tmp_path / "participants.tsv").write_text("\n".join(lines))
    samples = read_bids(tmp_path, BidsOptions(target="dx", suffix="bold", frames=2))
    form = "sub-{0}/func/sub-{0}_task-rest_bold.nii.gz#{1}"
    assert samples.ids == tuple(form.format(i // 2, i % 2) for i in range(6))
    assert samples.patients == ("0", "0", "1", "1", "2", "2")
    (over,) = samples.passed_over
    assert "outside func folders" in str(over) and over.names == ("sub-0/anat/sub-0_bold.nii.gz",)
    with pytest.raises(DataError, match=r"func/\*_sbref.nii.gz in .*there are T1w, bold"):
        read_bids(tmp_path, BidsOptions(target="dx", suffix="sbref"))


# -- what is refused ---------------------------------------------------------------------------


def test_a_series_without_the_option_is_refused_by_its_name(table):
    with pytest.raises(DataError, match=r"\(5, 6, 7, 11\), a series .* add ,frames=K to the"):
        table.samples().read(0)


def test_a_series_of_one_volume_is_a_volume(tmp_path):
    path = saved(tmp_path / "one.nii.gz", SERIES[..., :1])
    np.testing.assert_array_equal(read_volume(path), read_frames(path, [0])[0][0])
    assert read_length(path) == 1


def test_a_file_of_three_axes_has_one_frame(tmp_path):
    saved(tmp_path / "a.nii", SERIES[..., 0])
    table = ScanTable(tmp_path, ["a.nii"], np.array([0]), Classification(("x", "y")))
    samples = table.samples(frames=1)
    assert samples.ids == ("a.nii#0",)
    np.testing.assert_array_equal(samples.read(0), read_volume(tmp_path / "a.nii"))
    with pytest.raises(DataError, match=r"1 of 1 files .* fewer than 2 frames, .*remove frames"):
        table.samples(frames=2)


def test_more_frames_than_a_file_has_are_refused_with_what_is_possible(table):
    saved(table.folder / "two.nii", SERIES[..., :4])
    with pytest.raises(
        DataError, match=r"1 of 3 files .* than 5 frames, such as two.nii with 4; use frames=4"
    ):
        table.samples(frames=5)
    assert len(table.samples(frames=4)) == 12


def test_a_file_that_cannot_be_read_is_reported_when_it_is(table):
    (table.folder / "two.nii").write_bytes(b"<html>")
    samples = table.samples(frames=2)
    for i in (2, 3):
        with pytest.raises(DataError, match="not a NIfTI"):
            samples.read(i)


def test_images_have_no_frames(tmp_path):
    (tmp_path / "a.png").touch()
    table = ScanTable(tmp_path, ["a.png"], np.array([0]), Classification(("x", "y")))
    with pytest.raises(DataError, match="which have no frames; remove frames=3"):
        table.samples(frames=3)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"frames": -1}, "frames=-1 is not a valid number of frames"),
        ({"frames": 2, "slices": 3}, "slices=3 and frames=2 exclude each other"),
    ],
)
def test_options_that_make_no_sense(options, reason):
    with pytest.raises(UsageError, match=reason):
        ScanOptions(**options)


def test_vectors_are_no_frames(tmp_path):
    nib.save(nib.Nifti1Image(SERIES[..., None, :3], np.eye(4)), tmp_path / "warp.nii")
    with pytest.raises(DataError, match="expected three axes, or a fourth of frames"):
        read_length(tmp_path / "warp.nii")
