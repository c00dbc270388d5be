"""Trial files that are torn, foreign or damaged within are errors of one line."""

from __future__ import annotations

import h5py
import pytest

from mritk.errors import StoreError
from mritk.store.trial_file import SCHEMA, read_trial, write_trial


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trials" / "one.h5"


@pytest.mark.slow
def test_a_newer_schema_is_refused(make_record, path):
    write_trial(make_record(), path)
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = SCHEMA + 1
    with pytest.raises(StoreError, match=rf"schema {SCHEMA + 1}; this mritk reads up to {SCHEMA}"):
        read_trial(path)


@pytest.mark.slow
def test_a_truncated_file_is_a_store_error_at_every_length(make_record, path):
    write_trial(make_record(), path)
    content = path.read_bytes()
    for length in range(0, len(content), 1009):
        path.write_bytes(content[:length])
        with pytest.raises(StoreError, match="not a readable trial file"):
            read_trial(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\0" * 500])
def test_a_file_that_is_no_hdf5_is_a_store_error(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError):
        read_trial(path)


def test_a_file_that_is_not_there_is_a_store_error(path):
    with pytest.raises(StoreError):
        read_trial(path)


def test_an_hdf5_file_of_another_program_is_a_store_error(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = [1, 2, 3]
    with pytest.raises(StoreError):
        read_trial(tmp_path / "other.h5")


def no_task(file):
    file.attrs["task"] = '"?"'


def failure_without_epoch(file):
    file.create_group("failure").attrs.update(type="E", message="m")
    file["failure/traceback"] = "t"


def group_for_text(file):
    del file["protocol_json"]
    file.create_group("protocol_json")


def missing_column(file):
    del file["history/epoch"]


def unequal_columns(file):
    del file["history/epoch"]
    file["history/epoch"] = [1, 2, 3]


def broken_json(file):
    del file["notes_json"]
    file["notes_json"] = "{"


def group_for_column(file):
    del file["skipped"]
    file.create_group("skipped")


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        no_task,
        failure_without_epoch,
        group_for_text,
        missing_column,
        unequal_columns,
        broken_json,
        group_for_column,
    ],
)
def test_a_file_with_damaged_content_is_a_store_error(make_record, path, damage, as_schema):
    write_trial(make_record(), path)
    as_schema(path, 2, damage)  # which has no seal
    with pytest.raises(StoreError, match="not a readable trial file"):
        read_trial(path)


def test_a_finished_trial_without_test_predictions_is_a_store_error(make_record, path):
    write_trial(make_record(), path)
    with h5py.File(path, "a") as file:
        del file["predictions/test"]
    with pytest.raises(StoreError):
        read_trial(path)
