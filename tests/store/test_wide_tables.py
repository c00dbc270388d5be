"""Tables of more columns than HDF5 can describe at once, and what no trial file can hold."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from mritk.method import Epoch
from mritk.store.trial_file import UnstorableTrial, read_trial, write_trial


@pytest.mark.slow
@pytest.mark.parametrize(("count", "length"), [(1500, 4), (3000, 7), (200, 900), (600, 40)])
def test_any_number_of_columns_comes_back(make_record, tmp_path, count, length):
    names = [f"{number:0{length}d}" for number in range(count)]
    record = make_record(
        history=[Epoch(1, 1, "s", 1.0, 1.0, 1.0, 1.0, 1.0, extra=dict.fromkeys(names, 0.5))]
    )
    test = record.predictions["test"]
    test.covariates = {name: np.arange(4.0) + row for row, name in enumerate(names)}
    test.covariates[names[-1]] = np.asarray(["a", "é", "", "d"])
    test.cases, test.score = tuple(names), np.stack(list(range(count) * np.ones((4, count))))
    write_trial(record, tmp_path / "one.h5")
    stored = read_trial(tmp_path / "one.h5")
    assert stored.history == record.history
    found = stored.predictions["test"]
    assert found.cases == test.cases
    assert np.array_equal(found.score, test.score)
    assert list(found.covariates) == names
    assert all(np.array_equal(found.covariates[name], test.covariates[name]) for name in names)


def test_a_table_that_fits_is_one_as_before(make_record, tmp_path):
    record = make_record()
    record.predictions["test"].covariates = {f"c{number}": np.ones(4) for number in range(600)}
    write_trial(record, tmp_path / "one.h5")
    with h5py.File(tmp_path / "one.h5") as file:
        assert len(file["predictions/test/covariates"].dtype.names) == 600
        assert "covariates.2" not in file["predictions/test"]


def test_what_no_file_can_hold_is_an_error_of_one_line(make_record, tmp_path):
    with pytest.raises(UnstorableTrial, match="cannot hold the result of trial tria") as caught:
        write_trial(make_record(id="trial", dataset="caf\udce9"), tmp_path / "one.h5")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
