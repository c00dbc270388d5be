"""The trial file: whole or not at all, and everything comes back."""

from __future__ import annotations

import errno
import json
import math
import os
from dataclasses import fields, replace

import h5py
import numpy as np
import pytest

from mritk import Classification, Regression, Segmentation, Unlabelled
from mritk.errors import StoreError
from mritk.method import Epoch
from mritk.store.arrays import smallest
from mritk.store.label_maps import LabelMaps
from mritk.store.trial_file import (
    SCHEMA,
    Failure,
    Predictions,
    UnstorableTrial,
    read_trial,
    write_trial,
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "trials" / "one.h5"


def same(one, other):
    if isinstance(one, Predictions):
        return all(same(getattr(one, f.name), getattr(other, f.name)) for f in fields(one))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, np.ndarray):
        floats = one.dtype.kind == "f"
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=floats)
    return type(one) is type(other) and one == other


def full(make_record):
    return make_record(
        id="0123456789abcdef0123",
        dataset="dätaset",
        fold=2,
        folds=5,
        scheme="kfold",
        seed=2**62,
        skipped=["a/bröken.png", "b.png"],
        history=[
            Epoch(1, 3, "head", 1e-3, 0.7, 0.6, -0.6, 1.5),
            Epoch(2, 3, "äll", 1e-4, 0.5, 0.4, -0.4, 2.5),
        ],
        notes={"weights": {"matched": 3, "missing": []}, "none": None, "text": "µ"},
        failure=Failure("ValueError", "first\nsecond", "Traceback …\n  line", 2),
        cost={"seconds_fit": 2.5, "peak_host_memory_bytes": 1e9},
    )


def test_every_field_comes_back_as_it_was(make_record, path):
    record = full(make_record)
    write_trial(record, path)
    stored = read_trial(path)
    for field in fields(record):
        one, other = getattr(record, field.name), getattr(stored, field.name)
        assert same(one, other), f"{field.name}: {one!r} became {other!r}"


def with_everything():
    """Predictions of a segmentation with all that may be stored of a part."""
    draw = np.random.default_rng(0)
    maps = [draw.integers(0, 3, (4, 5, 2 + k)).astype(np.uint8) for k in range(3)]
    return Predictions(
        ["é", "b", "c"],
        ["p", "p", ""],
        [""] * 3,
        [""] * 3,
        np.zeros(3),
        np.asarray([[0.5, np.nan], [1, 2.5], [0, 3]]),
        cases=("dice[a/b]", "hd95[a/b]"),
        masks=LabelMaps.of(maps, np.full((3, 3), 0.5), draw.normal(size=(3, 4, 4))),
        references=LabelMaps.of(maps[::-1], np.full((3, 3), 0.5)),
        embedding=draw.normal(size=(3, 4)).astype(np.float16),
        spread=np.asarray([1.0, 2.0, 3.0]),
        covariates={"age": np.asarray([40.0, np.nan, 1.0]), "sex": np.asarray(["f", "m", ""])},
    )


def test_everything_that_a_part_may_have_comes_back(make_record, path):
    regions = Segmentation(("background", "x", "y"), {"a/b": ("x", "y")})
    given = with_everything()
    write_trial(make_record(task=regions, predictions={"test": given}), path)
    stored = read_trial(path)
    assert stored.task == regions
    assert same(stored.predictions["test"], given)
    # It is no result, so that a file without it holds the same.
    assert stored.predictions["test"].masks.affine == given.masks.affine != ()
    assert stored.predictions["test"].masks == LabelMaps.of(given.masks, np.full((3, 3), 0.5))


def test_some_samples_of_a_part_keep_all_their_columns():
    rows = np.asarray([False, True, True])
    whole, some = with_everything(), with_everything().only(rows)
    assert some.id == ["b", "c"]
    assert some.score.tolist() == whole.score[1:].tolist()
    assert np.array_equal(some.masks[1], whole.masks[2])
    assert some.references.spacing_of(1) == (0.5, 0.5, 0.5)
    assert np.array_equal(some.masks.affine_of(1), whole.masks.affine_of(2))
    assert some.references.affine_of(1) is None
    assert (some.spread.tolist(), some.embedding.shape) == ([2, 3], (2, 4))
    assert some.covariates["sex"].tolist() == ["m", ""]


def test_what_two_parts_tell_of_one_sample_differently_is_not_mixed(make_record, path):
    record = make_record()
    record.predictions["val"].id[0] = "s0"
    record.predictions["val"].patient[0] = "another"
    write_trial(record, path)
    stored = read_trial(path)
    assert [stored.predictions[part].patient[0] for part in ("val", "test")] == ["another", "p0"]


def test_further_numbers_of_epochs_come_back_where_an_epoch_has_them(make_record, path):
    first = Epoch(1, 2, "", 0.1, 0.2, 0.3, 0.4, 0.5, {"KL": 0.5, "none": math.nan})
    second = replace(first, epoch=2, extra={"σ/K": 2})
    write_trial(make_record(history=[first, second]), path)
    assert [epoch.extra for epoch in read_trial(path).history] == [{"KL": 0.5}, {"σ/K": 2.0}]


def test_a_trial_of_unlabelled_data_is_finished_without_predictions(make_record, path):
    write_trial(make_record(task=Unlabelled(), predictions={}), path)
    assert read_trial(path).finished
    write_trial(make_record(predictions={}), path)
    with pytest.raises(StoreError, match="it has no test predictions"):
        read_trial(path)


def test_four_hundred_predictions_twice_take_fifty_kilobytes(make_record, path):
    """They took 360 when each text was stored for itself; 2,400 training samples are named too."""
    draw = np.random.default_rng(0)
    ids = [f"glioma/patient-{k // 5:03d}/image-{k:05d}.png" for k in range(3200)]
    draw.shuffle(ids)

    def part(names):
        score = draw.normal(size=(len(names), 4)).astype(np.float32)
        patients = [name.split("/")[1] for name in names]
        same = ["figshare"] * len(names)
        return Predictions(names, patients, same, same, np.zeros(len(names), np.int64), score)

    parts = {"val": part(ids[:400]), "test": part(ids[400:800])}
    splits = {"val": ids[:400], "test": ids[400:800], "train": ids[800:]}
    write_trial(make_record(splits=splits, predictions=parts), path)
    assert path.stat().st_size <= 50_000
    stored = read_trial(path)
    assert stored.splits["train"] == splits["train"]
    assert stored.predictions["test"].target.dtype == np.int64


@pytest.mark.parametrize("values", [[0, 3], [-1, 255], [70_000], [-(2**40), 2**40], []])
def test_whole_numbers_come_back_from_the_fewest_bytes(values):
    array = np.array(values, np.int64)
    assert smallest(array).tolist() == values
    assert smallest(array).itemsize == {3: 1, 255: 2, 70_000: 4}.get(max(values, default=0), 8)


def test_a_regression_comes_back_too(make_record, path):
    values = Predictions(["s"], ["p"], [""], [""], np.array([51.5]), np.array([50], np.float32))
    record = make_record(task=Regression("years"), predictions={"test": values})
    write_trial(record, path)
    stored = read_trial(path)
    assert stored.task == Regression("years")
    assert same(stored.predictions["test"], values)


def test_a_trial_that_failed_at_once_has_no_history_and_no_predictions(make_record, path):
    write_trial(make_record(status="failed", history=[]), path)
    stored = read_trial(path)
    assert stored.history == []
    assert stored.predictions == {}
    assert stored.failure == Failure("RuntimeError", "planted", "Traceback …", 1)


def test_other_programs_find_the_documented_layout(make_record, path):
    write_trial(make_record(), path)
    with h5py.File(path) as file:
        assert file.attrs["schema"] == SCHEMA
        for name in ("backbone", "dataset", "augmentation", "method", "protocol", "status"):
            assert isinstance(file.attrs[name], str)
        samples = file["samples"][()]
        tested = samples[file["predictions/test/row"][()]]
        assert tested["id"].astype(str).tolist() == ["s0", "s1", "s2", "s3"]
        assert samples["id"][file["splits/test"][()]].tolist() == tested["id"].tolist()
        assert file["predictions/test/score"].dtype == np.float32
        assert file["predictions/test/score"].shape == (4, 2)
        assert tested["site"].astype(str).tolist() == ["left", "right"] * 2
        assert file["history"]["epoch"].tolist() == [1]
        assert json.loads(file["protocol_json"].asstr()[0])["image_size"] == 32


def test_predictions_of_samples_take_over_their_columns(make_samples):
    samples = make_samples(4, sites=("x", "x", "y", "y"))
    predictions = Predictions.of(samples, np.zeros((4, 2), np.float32))
    assert predictions.id == list(samples.ids)
    assert predictions.patient == ["p0", "p0", "p1", "p1"]
    assert predictions.site == ["x", "x", "y", "y"]
    assert predictions.source == [""] * 4


def test_predictions_of_samples_whose_columns_are_arrays(make_samples):
    samples = make_samples(4, patients=np.array(["p0", "p0", "p1", "p1"]))
    assert Predictions.of(samples, np.zeros((4, 2))).patient == ["p0", "p0", "p1", "p1"]


def test_nan_in_the_history_and_in_notes_survives(make_record, path):
    nan = math.nan
    record = make_record(history=[Epoch(1, 1, "", nan, nan, nan, nan, 0.0)], notes={"x": nan})
    write_trial(record, path)
    assert math.isnan(read_trial(path).history[0].val_loss)
    assert math.isnan(read_trial(path).notes["x"])


def test_a_disk_that_fills_up_in_the_middle_leaves_the_old_file(make_record, path, monkeypatch):
    write_trial(make_record(seed=1), path)
    before = path.read_bytes()

    def full_disk(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(
        StoreError, match=r"No space left.*; free some space, or choose another results"
    ):
        write_trial(make_record(seed=2), path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["one.h5"]


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError("memory allocation failed for raw data chunk")]
)
def test_memory_that_is_short_for_a_moment_does_not_make_a_result_unstorable(
    make_record, path, monkeypatch, error
):
    def short(record, file):
        raise error

    monkeypatch.setattr("mritk.store.trial_file.write_record", short)
    with pytest.raises(StoreError, match=r"(?i)memory.*free memory and repeat") as caught:
        write_trial(make_record(), path)
    assert not isinstance(caught.value, UnstorableTrial)


def test_ctrl_c_in_the_middle_of_writing_leaves_nothing(make_record, path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_trial(make_record(), path)
    assert list(path.parent.iterdir()) == []


def test_the_content_is_on_the_disk_before_the_name_is(make_record, path, monkeypatch):
    there = []
    real = os.fsync

    def watch(descriptor):
        there.append(path.exists())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watch)
    write_trial(make_record(), path)
    assert there == [False, True], "first the content, then the folder with the new name"


def test_a_place_that_cannot_be_written_is_a_store_error(make_record, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write"):
        write_trial(make_record(), tmp_path / "file" / "one.h5")


@pytest.mark.parametrize("text", ["a\0b", "a\udcffb"], ids=["null character", "lone surrogate"])
def test_a_failure_with_a_message_hdf5_cannot_hold_is_stored_nevertheless(make_record, path, text):
    """Messages come from anywhere; losing the trial, and the run, over one would be a pity."""
    write_trial(make_record(failure=Failure("Error", text, text, 0), status="failed"), path)
    assert read_trial(path).failure.type == "Error"


def test_notes_that_are_no_json_are_an_error_for_a_person_or_are_stored(make_record, path):
    """A training of hours must not end in a TypeError because a method noted a numpy number."""
    try:
        write_trial(make_record(notes={"gain": np.float32(0.5)}), path)
    except StoreError:
        return
    assert read_trial(path).notes == {"gain": 0.5}


def test_a_trial_without_splits_can_be_read_back(make_record, path):
    write_trial(make_record(splits={}), path)
    assert read_trial(path).splits == {}


def test_classes_keep_their_order(make_record, path):
    write_trial(make_record(task=Classification(("z", "a"))), path)
    assert read_trial(path).task.classes == ("z", "a")


@pytest.mark.slow
def test_a_file_of_schema_1_is_read_as_one_that_was_not_audited(make_record, path, as_schema):
    def change(file):
        del file["audit_json"]
        for part in ("val", "test"):
            del file[f"predictions/{part}/unit"]

    write_trial(make_record(), path)
    as_schema(path, 1, change)
    stored = read_trial(path)
    assert stored.audit == {}
    assert stored.predictions["test"].clean is None
    assert stored.predictions["test"].unit[0] == "patient p0", "the patient is the unit"


def test_which_test_samples_are_clean_comes_back(make_record, path):
    record = make_record(audit={"copies": "drop", "clean": 3, "test": 4})
    record.predictions["test"].clean = np.asarray([True, False, True, True])
    write_trial(record, path)
    stored = read_trial(path)
    assert stored.predictions["test"].clean.tolist() == [True, False, True, True]
    assert stored.predictions["val"].clean is None
    assert stored.audit == record.audit
