"""A trial file that was changed after it was written is refused."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np
import pytest

from mritk.errors import StoreError
from mritk.store.raw_seal import seal_bytes, seal_holds
from mritk.store.trial_file import SCHEMA, read_trial, write_trial
from mritk.store.trial_state import AlteredTrial


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trials" / "one.h5"


def change_a_score(file):
    file["predictions/test/score"][0, 0] += 1e-6


def change_an_id(file):
    file["predictions/val/row"][0] = 5


def change_a_seed(file):
    file.attrs["seed"] = 7


def change_a_type(file):
    values = file["predictions/test/target"][()]
    del file["predictions/test/target"]
    file["predictions/test/target"] = values.astype(np.int32)


def add_something(file):
    file.create_group("more")


def change_a_loss(file):
    history = file["history"][()]
    history["val_loss"] = 0.5
    file["history"][...] = history


def remove_something(file):
    del file["history"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        change_a_score,
        change_an_id,
        change_a_seed,
        change_a_loss,
        change_a_type,
        add_something,
        remove_something,
    ],
)
def test_a_file_that_was_changed_after_it_was_written_is_refused(make_record, path, change):
    write_trial(make_record(), path)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(StoreError, match="was modified after it was written"):
        read_trial(path)


def test_one_flipped_bit_of_a_prediction_is_noticed(make_record, path):
    """HDF5 itself does not notice: contiguous data have no checksum."""
    record = make_record()
    write_trial(record, path)
    content = bytearray(path.read_bytes())
    score = record.predictions["test"].score.tobytes()
    at = content.find(score)
    assert at > 0
    content[at + 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match="was modified after it was written"):
        read_trial(path)


@pytest.mark.slow
def test_only_a_file_of_an_earlier_schema_may_be_repacked(make_record, path, as_schema):
    """Today a file is known by its bytes; what HDF5 makes of them comes second."""
    record = make_record()
    for schema in (3, SCHEMA):
        write_trial(record, path)
        as_schema(path, schema)
        if schema == 3:
            assert read_trial(path).id == record.id
        else:
            with pytest.raises(AlteredTrial):
                read_trial(path)


def reverse_scores(file):
    file["predictions/test/score"][()] = file["predictions/test/score"][()][::-1]


@pytest.mark.slow
def test_a_file_without_a_digest_is_refused_from_schema_3_on(make_record, path, as_schema):
    """Else whoever reverses the scores need only take the digest away."""
    write_trial(make_record(), path)
    as_schema(path, 3, reverse_scores, seal=False)
    with pytest.raises(AlteredTrial):
        read_trial(path)


def test_sealing_the_bytes_anew_does_not_hide_a_changed_score(make_record, path):
    write_trial(make_record(), path)
    with h5py.File(path, "r+") as file:
        reverse_scores(file)
    path.write_bytes(seal_bytes(path.read_bytes()))
    with pytest.raises(AlteredTrial):
        read_trial(path)


def test_to_seal_a_large_file_takes_its_memory_once_more():
    length = 20_000_000
    content = bytes(40) + length.to_bytes(8, "little") + bytes(length - 48)
    tracemalloc.start()
    try:
        sealed = seal_bytes(content)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seal_holds(sealed)
    assert peak < 1.1 * length
