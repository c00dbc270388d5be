"""What samples are said to be of, where patients are unknown."""

from __future__ import annotations

import pytest

from tests.explain.conftest import train

pytestmark = pytest.mark.slow


def test_samples_without_patient_ids_are_counted_by_duplicate_groups(here, mritk, tmp_path):
    text = (here / "planted.py").read_text()
    patients = 'patients=[f"sub-{i:02d}" for i in range(COUNT)],'
    assert patients in text
    (tmp_path / "planted.py").write_text(text.replace(patients, ""))
    protocol = (here / "protocol.toml").read_text().replace("epochs = 12", "epochs = 1")
    (tmp_path / "protocol.toml").write_text(protocol)
    options = ("--keep-models", "--no-patient-ids")
    assert train(tmp_path, "cubes2", "planted2", *options) == 0
    (trial,) = (tmp_path / "planted2" / "trials").glob("*.h5")
    ended = mritk("explain", trial, "--results", tmp_path / "planted2", "--cases", 10, "--trust")
    assert "10 test samples of 10 duplicate groups, 5 with a lesion" in ended.out, ended.err
