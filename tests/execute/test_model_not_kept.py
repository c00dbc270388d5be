"""A trained network that cannot be kept costs no trial its predictions."""

from __future__ import annotations

import hashlib
import os

import numpy as np
import pytest

from mritk import Workspace
from mritk.errors import Unavailable
from mritk.execute.parcel import Parcel, own_results, packed, receive
from mritk.files.atomic import write_whole
from mritk.store.folder import ResultsFolder
from mritk.store.kept_model import model_path, require_model

# A method whose trained network cannot be looked at, and whose note on its speed is no number.
FAULTY = """
from dataclasses import dataclass

import numpy as np
from mritk import Method, ProtocolFile, hookimpl


class Guess:
    notes = {"images_per_second": "many"}

    @property
    def network(self):
        raise ValueError("no way out")

    def predict(self, subset):
        return np.zeros((len(subset), 3), np.float32)


@dataclass(frozen=True)
class Nothing:
    pass


@hookimpl
def mritk_methods():
    yield Method("guess", fit=lambda setup: Guess(), parameters=Nothing, uses_backbone=False)


@hookimpl
def mritk_protocols():
    yield ProtocolFile("guess", text=lambda: 'method = "guess"')
"""


@pytest.fixture
def obstructed(tmp_path):
    """A results folder in which no network can be stored."""
    folder = ResultsFolder(tmp_path / "results")
    folder.require_writable()
    (folder.path / "models").write_text("in the way")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("executor", [None, "processes"])
def test_the_trial_is_stored_as_if_none_had_been_asked_for(run_toy, obstructed, executor):
    chosen = ("--executor", executor) if executor else ()
    ended = run_toy("--seeds", 2, "--keep-models", *chosen)
    assert ended.code == 0, ended.err
    assert ended.err.count("--keep-models") == 1
    assert "no model is stored of 2 finished trials: " in ended.err
    assert f": cannot write {obstructed.path}" in ended.err
    stored = {trial.id: trial for trial in obstructed.trials()}
    for trial in stored.values():
        assert trial.status == "finished"
        with pytest.raises(Unavailable, match=r"could not be stored .*: cannot write .*--rerun'$"):
            require_model(obstructed, trial)
    (obstructed.path / "models").unlink()
    again = run_toy("--seeds", 2, "--keep-models")
    assert "no model is stored of 2 finished trials: " in again.err
    run_toy("--seeds", 2, "--keep-models", "--rerun")
    for trial in obstructed.trials():
        assert require_model(obstructed, trial).is_file()
        scores = stored[trial.id].predictions["test"].score
        np.testing.assert_array_equal(trial.predictions["test"].score, scores)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [["--keep-models"], []], ids=["refused", "not asked for"])
def test_a_trial_trained_again_is_not_left_beside_its_earlier_network(
    run_toy, tmp_path, monkeypatch, keep
):
    def refuse(*_):
        raise RuntimeError("no file for this network")

    run_toy("--seeds", 1, "--keep-models")
    (model,) = (tmp_path / "results" / "models").iterdir()
    network = model.read_bytes()
    monkeypatch.setattr("mritk.model.model_file.write_model", refuse)
    assert run_toy("--seeds", 1, "--rerun", *keep).code == 0
    assert not model.exists()
    assert (tmp_path / "results" / "quarantine" / model.name).read_bytes() == network
    assert f"no model is stored of 1 finished trial: {model.stem[:8]}" in (
        run_toy("--seeds", 1, "--keep-models").err
    )


@pytest.mark.slow
def test_a_fault_of_the_method_is_told_and_costs_no_trial_either(mritk, run_toy, tmp_path):
    (tmp_path / "faulty.py").write_text(FAULTY)
    guess = ("-p", tmp_path / "faulty.py", "--protocol", "guess")
    ended = run_toy(*guess, "--seeds", 1, "--keep-models")
    assert ended.code == 0, ended.err
    assert ended.err.count("ValueError: no way out") == 1
    stored = {trial.method: trial for trial in ResultsFolder(tmp_path / "results").trials()}
    assert stored["guess"].status == "finished"
    assert stored["guess"].predictions["test"].score.shape == (18, 3)
    assert stored["guess"].without_model == "ValueError: no way out"
    assert (
        "ValueError: no way out"
        in mritk("show", stored["guess"].id, "-o", tmp_path / "results").out
    )


@pytest.mark.parametrize("noted", [0.031, "none", {"sha256": 7}])
@pytest.mark.parametrize("name", ["model", "model_error"])
def test_what_a_method_notes_is_not_taken_for_it(mritk, make_record, tmp_path, name, noted):
    folder = ResultsFolder(tmp_path / "results")
    write_whole(model_path(folder, "aaaa"), b"network")
    kept = {"model": {"sha256": hashlib.sha256(b"network").hexdigest(), "bytes": 7}}
    folder.write(make_record(id="aaaa", notes=kept | {name: noted}))
    (record,) = folder.trials()
    assert record.notes[name] == noted
    assert mritk("card", "aaaa", "--results", folder.path).code == 0
    if name == "model":
        with pytest.raises(Unavailable, match="has no stored model"):
            require_model(folder, record)
    else:
        assert require_model(folder, record).read_bytes() == b"network"


@pytest.mark.skipif(os.name == "nt", reason="another error there")
def test_of_files_that_come_from_elsewhere_the_trial_is_stored(obstructed, make_record, tmp_path):
    own = own_results(Workspace(tmp_path / "home"), obstructed.path)
    content = own.write(make_record(id="a", notes={"model": {"sha256": "0"}})).read_bytes()
    model_path(own, "a").parent.mkdir()
    model_path(own, "a").write_bytes(b"network")
    parcel = packed(own, "a")
    assert parcel == Parcel(content, b"network")
    why = receive(parcel, obstructed, "a", failed=False)
    assert why.startswith(f"cannot write {model_path(obstructed, 'a')}: ")
    assert obstructed.trial_path("a").read_bytes() == content
    (record,) = obstructed.trials()
    with pytest.raises(Unavailable, match="has no stored model"):
        require_model(obstructed, record)
    (obstructed.path / "models").unlink()
    assert receive(parcel, obstructed, "a", failed=False) == ""
    assert model_path(obstructed, "a").read_bytes() == b"network"
    receive(Parcel(content), obstructed, "a", failed=False)
    assert not model_path(obstructed, "a").exists()
