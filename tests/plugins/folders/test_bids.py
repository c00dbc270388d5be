"""BIDS datasets: whose scan, which target, and who is missing."""

from __future__ import annotations

import logging
import os
import shutil

import numpy as np
import pytest

from mritk import Classification, DataError, Regression, Unavailable, UsageError
from mritk.plugins.registry import Registry
from mritk_folders import resolve_bids
from mritk_folders.bids import read_bids
from mritk_folders.options import BidsOptions
from mritk_folders.slicing import axial_slices

SCANS = (
    "sub-01/anat/sub-01_T1w.nii.gz",
    "sub-02/ses-1/anat/sub-02_ses-1_run-1_T1w.nii.gz",
    "sub-02/ses-1/anat/sub-02_ses-1_run-2_T1w.nii.gz",
    "sub-02/ses-2/anat/sub-02_ses-2_T1w.nii",
    "sub-03/anat/sub-03_T1w.nii",
)
TABLE = """\
participant_id	age	diagnosis	site
sub-01	31.5	AD	north
sub-02	62	CN	south
sub-03	44	AD	north
"""


@pytest.fixture
def bids(tmp_path):
    """Write a dataset whose scans are empty files."""

    def write(table=TABLE, scans=SCANS, more=()):
        root = tmp_path / "study"
        for name in (*scans, *more):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        root.mkdir(exist_ok=True)
        (root / "participants.tsv").write_text(table)
        return root

    return write


def read(root, target="diagnosis", **options):
    return read_bids(root, BidsOptions(target=target, **options))


def test_scans_outside_of_anat_are_told(bids):
    stray = "sub-01/sub-01_run-2_T1w.nii"
    samples = read(bids(more=(stray, "sub-01/anat/.sub-01_T1w.nii", "derivatives/sub-01_T1w.nii")))
    assert samples.ids == tuple(sorted(SCANS))
    assert [str(found) for found in samples.passed_over] == [f"1 outside anat folders ({stray})"]


def test_a_session_that_cannot_be_listed_is_not_left_out(bids, monkeypatch):
    scandir = os.scandir

    def refusing(path):
        if not isinstance(path, int) and os.fspath(path).endswith("ses-2"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(DataError, match=r"sub-02/ses-2 cannot be listed \(Permission denied\)"):
        read(bids())


def test_every_scan_has_the_target_and_site_of_its_participant(bids):
    samples = read(bids())
    assert samples.ids == tuple(sorted(SCANS))
    assert samples.task == Classification(("AD", "CN"))
    assert samples.targets.tolist() == [0, 1, 1, 1, 0]
    assert samples.sites == ("north", "south", "south", "south", "north")
    assert samples.spatial_dims == 3


def test_sessions_and_runs_are_of_one_patient(bids):
    assert read(bids()).patients == ("01", "02", "02", "02", "03")


def test_ages_are_a_regression_in_their_column(bids):
    rows = [f"sub-{i:02d}\t{20 + i}.5" for i in range(11)]
    scans = [f"sub-{i:02d}/anat/sub-{i:02d}_T1w.nii" for i in range(11)]
    samples = read(bids("participant_id\tage\n" + "\n".join(rows), scans), "age")
    assert samples.task == Regression("age")
    np.testing.assert_array_equal(samples.targets, np.arange(11) + 20.5)


def test_the_task_can_be_chosen(bids):
    assert read(bids(), "age").task == Classification(("31.5", "44", "62"))
    assert read(bids(), "age", task="regression").task == Regression("age")


def test_only_raw_scans_of_the_suffix_count(bids):
    root = bids(
        more=(
            "derivatives/fs/sub-01/anat/sub-01_desc-brain_T1w.nii.gz",
            "sourcedata/sub-01/anat/sub-01_T1w.nii.gz",
            "sub-01/anat/sub-01_T2w.nii.gz",
            "sub-01/anat/sub-01_T1w.json",
            "sub-01/anat/._sub-01_T1w.nii.gz",
            "sub-01/anat/sub-01_run-1_notT1w.nii.gz",
            "sub-01/func/sub-01_task-rest_bold.nii.gz",
        )
    )
    assert read(root).ids == tuple(sorted(SCANS))


@pytest.mark.parametrize("suffix", ["FLAIR", "_FLAIR"])
def test_another_suffix(bids, suffix):
    flair = [f"sub-0{i}/anat/sub-0{i}_FLAIR.nii.gz" for i in (1, 2, 3)]
    assert read(bids(more=flair), suffix=suffix).ids == tuple(flair)


def test_slices_keep_the_patient(bids, write_nifti, make_head):
    root = bids()
    for seed, name in enumerate(SCANS):
        write_nifti(root / name, make_head(seed=seed), "LPS")
    samples, volumes = read(root, slices=2), read(root)
    assert samples.spatial_dims == 2
    assert samples.ids[:2] == (f"{SCANS[0]}#0", f"{SCANS[0]}#1")
    assert samples.patients == tuple(np.repeat(volumes.patients, 2))
    expected = axial_slices(volumes.read(4), 2)
    np.testing.assert_array_equal(samples.read(9), expected[1])


def test_ids_without_their_prefix_are_understood(bids):
    assert len(read(bids(TABLE.replace("sub-", "")))) == 5


def test_a_byte_order_mark_and_windows_lines_do_not_matter(bids):
    root = bids()
    (root / "participants.tsv").write_bytes(b"\xef\xbb\xbf" + TABLE.replace("\n", "\r\n").encode())
    assert len(read(root)) == 5


def test_moving_the_dataset_changes_nothing(bids, tmp_path):
    root = bids()
    before = read(root)
    fingerprint = before.fingerprint
    after = read(shutil.move(root, tmp_path / "elsewhere"))
    assert (after.ids, after.fingerprint) == (before.ids, fingerprint)


# -- sites -------------------------------------------------------------------------------------


def test_another_column_can_name_the_site(bids):
    samples = read(bids(TABLE.replace("site", "scanner")), site="scanner")
    assert set(samples.sites) == {"north", "south"}


def test_without_a_column_no_sites_are_known(bids):
    assert read(bids(TABLE.replace("site", "scanner"))).sites is None


def test_incomplete_sites_are_left_out_with_a_word_or_refused_if_asked_for(bids, caplog):
    root = bids(TABLE.replace("south", "n/a"))
    with caplog.at_level(logging.WARNING, "mritk"):
        assert read(root).sites is None
    assert "sub-02" in caplog.text
    with pytest.raises(DataError, match="no site for sub-02"):
        read(root, site="site")


def test_an_unknown_site_column_is_refused(bids):
    with pytest.raises(DataError, match=r"no column 'sight'.*age, diagnosis, site"):
        read(bids(), site="sight")


# -- who is missing ----------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["n/a", "N/A", "", "NaN"])
def test_a_participant_without_target_is_refused_or_dropped_aloud(bids, caplog, text):
    root = bids(TABLE.replace("31.5\tAD", f"31.5\t{text}"))
    with pytest.raises(DataError, match=r"1 without diagnosis \(sub-01\).*missing=drop"):
        read(root)
    with caplog.at_level(logging.WARNING, "mritk"):
        samples = read(root, missing="drop")
    assert set(samples.patients) == {"02", "03"}
    assert "1 of 3 participants dropped" in caplog.text
    assert "sub-01" in caplog.text


def test_a_participant_without_scan_is_refused_or_dropped_aloud(bids, caplog):
    root = bids(TABLE + "sub-04\t50\tCN\tsouth\nsub-05\t50\tn/a\tsouth\n")
    with pytest.raises(DataError, match=r"2 without a T1w scan \(sub-04, sub-05\)"):
        read(root)
    with caplog.at_level(logging.WARNING, "mritk"):
        assert len(read(root, missing="drop")) == 5
    assert "2 of 5 participants dropped" in caplog.text, "nobody counts twice"


def test_scans_of_nobody_are_refused_even_when_dropping(bids):
    root = bids(more=["sub-99/anat/sub-99_T1w.nii"])
    for missing in ("refuse", "drop"):
        with pytest.raises(DataError, match="no row for sub-99"):
            read(root, missing=missing)


def test_zeros_that_a_spreadsheet_took_are_told(bids):
    with pytest.raises(DataError, match=r"made sub-1 of sub-01: write participant_id with its"):
        read(bids(table=TABLE.replace("sub-0", "")))


def test_nobody_left(bids):
    root = bids(TABLE.replace("AD", "n/a").replace("CN", "n/a"))
    with pytest.raises(DataError, match="has both target and scan"):
        read(root, missing="drop")


# -- trouble -----------------------------------------------------------------------------------


def test_without_a_target_the_columns_are_listed(bids):
    with pytest.raises(DataError, match=r"target=COLUMN.*age, diagnosis, site"):
        read(bids(), "")


@pytest.mark.parametrize("target", ["diagnose", "participant_id"])
def test_an_unknown_target_lists_the_columns(bids, target):
    with pytest.raises(DataError, match=f"no column '{target}'; use .*age, diagnosis, site"):
        read(bids(), target)


def test_rows_of_sessions_that_agree_are_one_participant(bids):
    """As longitudinal studies write them; what only one session states holds for all."""
    rows = "sub-01\t32.5\tn/a\tnorth\nsub-02\t63\tcn\tSouth\n"
    samples, plain = read(bids(TABLE + rows)), read(bids())
    assert samples.ids == plain.ids
    assert samples.targets.tolist() == plain.targets.tolist()
    assert samples.patients == plain.patients
    assert samples.sites == plain.sites


def test_rows_of_sessions_that_disagree_are_refused_with_their_lines(bids):
    table = TABLE + "01\t31.5\tCN\tnorth\n"
    with pytest.raises(DataError, match="lines 2 and 5: sub-01 has diagnosis AD and CN"):
        read(bids(table))
    assert len(read(bids(table), "age").ids) == 5


def test_quotes_in_a_table_are_quotes(bids):
    """BIDS: values that hold tabs stand in double quotes; so do those of spreadsheets."""
    table = TABLE.replace("AD", '"a\tb"').replace("CN", '"say ""no"""')
    assert read(bids(table)).task.classes == ("a\tb", 'say "no"')
    with pytest.raises(DataError, match=r"participants\.tsv line 3 cannot be parsed"):
        read(bids(TABLE.replace("CN", '"C"N')))
    assert read(bids(TABLE.replace("CN", "5'10\" tall"))).task.classes == ("5'10\" tall", "AD")


def test_a_table_without_participants(bids):
    with pytest.raises(DataError, match=r"no column participant_id.*id, age"):
        read(bids(TABLE.replace("participant_id", "id")))


def test_a_scan_in_the_folder_of_somebody_else(bids):
    with pytest.raises(DataError, match=r"sub-02_T1w\.nii is in the folder of sub-01"):
        read(bids(more=["sub-01/anat/sub-02_T1w.nii"]))


def test_no_scans_of_the_suffix_names_those_there_are(bids):
    with pytest.raises(DataError, match=r"_PDw\.nii\.gz .*there are T1w"):
        read(bids(), suffix="PDw")


def test_no_scans_at_all(bids):
    with pytest.raises(DataError, match="there are none"):
        read(bids(scans=()))


def test_scans_that_were_not_fetched(bids):
    root = bids()
    (root / SCANS[0]).unlink()
    (root / SCANS[0]).symlink_to("../../.git/annex/objects/x")
    with pytest.raises(Unavailable, match="datalad get"):
        read(root)


def test_a_folder_without_participants_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"no .*participants\.tsv"):
        list(resolve_bids(str(tmp_path), BidsOptions()))


# -- the family --------------------------------------------------------------------------------


def test_options_follow_the_path(bids, workspace):
    dataset = Registry.load(environ={}).dataset(f"bids:{bids()},target=age,task=regression")
    assert dataset.name == "bids:study,task=regression,target=age"
    assert dataset.open(workspace).task == Regression("age")


@pytest.mark.parametrize(
    ("option", "reason"),
    [
        ("missing=ignore", "'refuse' or 'drop'"),
        ("task=segmentation", "'auto', 'classification' or 'regression'"),
        ("slices=-1", "slices=-1 is not a valid number of slices"),
        ("slices=many", "slices=many"),
        ("sufix=T1w", "did you mean suffix"),
    ],
)
def test_wrong_options_are_refused(bids, option, reason):
    with pytest.raises(UsageError, match=reason):
        Registry.load(environ={}).dataset(f"bids:{bids()},target=age,{option}")


def test_named_columns_of_participants_are_covariates_of_their_scans(bids):
    table = TABLE.replace("diagnosis", "sex").replace("AD", "f").replace("CN", "n/a")
    samples = read(bids(table), "site", covariates="age/sex")
    assert samples.covariates["age"].tolist() == [31.5, 62, 62, 62, 44]
    assert samples.covariates["sex"].tolist() == ["f", "", "", "", "f"]
    with pytest.raises(DataError, match="'gender' for covariates=gender"):
        read(bids(table), "site", covariates="gender")


def test_covariates_that_differ_between_sessions_are_refused(bids):
    table = TABLE + "sub-02\t65\tCN\tsouth\n"
    read(bids(table))
    with pytest.raises(DataError, match="sub-02 has age 62 and 65; only one age per participant"):
        read(bids(table), covariates="age")
