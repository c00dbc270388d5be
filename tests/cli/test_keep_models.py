"""``mritk run --keep-models`` and what a trial file tells of the cost of its network."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from safetensors import safe_open

from mritk import Subset, Workspace, sha256_of
from mritk.errors import StoreError, WeightsMismatch
from mritk.model.model_file import load_model
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder

PROBE = 'method = "linear_probe"\nimage_size = 32\n[parameters]\npenalties = [1.0]\n'
LORA = """
method = "finetune"
image_size = 32
[parameters]
batch_size = 16
[[parameters.stages]]
epochs = 2
tune = "lora"
lora_rank = 2
learning_rate = 1e-2
"""

# A network with a linear layer, whose weights expect blue first; and a regression.
MORE = """

from mritk import Method, ProtocolFile, Regression


def build_flat():
    from torch import nn

    return nn.Sequential(
        nn.AdaptiveAvgPool2d((6, 1)), nn.Flatten(), nn.Linear(18, 12), nn.ReLU()
    )


def open_heights(workspace):
    samples = open_bands(workspace)
    heights = 160.0 + 10 * samples.targets
    return Samples(
        samples.ids, heights, Regression("cm"), samples.read, patients=samples.patients
    )


class Constant:
    notes = {}

    def predict(self, subset):
        return np.zeros((len(subset), 3), np.float32)


@hookimpl
def mritk_methods():
    yield Method("constant", fit=lambda setup: Constant(), parameters=Empty, uses_backbone=False)


from dataclasses import dataclass


@dataclass(frozen=True)
class Empty:
    pass


@hookimpl
def mritk_protocols():
    yield ProtocolFile("constant", text=lambda: 'method = "constant"')
"""


@pytest.fixture
def plugin(toy, audited_before):
    """The toy plugin with the backbone ``flat``, dataset ``heights`` and method ``constant``."""
    text = toy.read_text()
    text = text.replace(
        'summary="two blocks")\n',
        'summary="two blocks")\n'
        '    contract = InputContract(32, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), channel_order="BGR")\n'
        '    yield Architecture("flat", build_flat, contract)\n',
    )
    bands = 'summary="bright bands")\n'
    heights = 'Dataset("heights", open_heights, license="CC BY 4.0")'
    text = text.replace(bands, f"{bands}    yield {heights}\n")
    toy.write_text(text + MORE)
    audited_before(toy)
    return toy


@pytest.fixture
def run(mritk, plugin, fast_protocol, tmp_path):
    """Run one trial with ``--keep-models``; return how it ended and its record, if it has one."""

    def call(*arguments, backbone="tiny", dataset="bands", protocol=None, keep=True):
        path = fast_protocol
        if protocol:
            path = tmp_path / "other.toml"
            path.write_text(protocol)
        ended = mritk(
            *("run", "-p", plugin, "-b", backbone, "-d", dataset, "--protocol", path),
            *("-o", tmp_path / "results", "--device", "cpu", "--seeds", 1),
            *(["--keep-models"] if keep else []),
            *arguments,
        )
        trials = [t for t in ResultsFolder(tmp_path / "results").trials() if not _broken(t)]
        return ended, trials[0] if trials else None

    return call


def _broken(trial):
    return isinstance(trial, StoreError)


def model_file(tmp_path, record):
    return tmp_path / "results" / "models" / f"{record.id}.safetensors"


def metadata_of(path):
    with safe_open(path, "pt") as file:
        return file.metadata()


def pixels_of_test(plugin, record, name="bands", size=32):
    """Return the pixels of a trial's test part, (N, C, H, W) float32 in [0, 1]."""
    registry = Registry.load([str(plugin)], {})
    workspace = Workspace.from_environment({"MRITK_HOME": str(plugin.parent / "home")})
    samples = registry.dataset(name).open(workspace)
    rows = [samples.ids.index(sample) for sample in record.predictions["test"].id]
    images = Subset.of(samples, rows, workspace).images(size)
    grey = torch.from_numpy(np.asarray(images)).float() / 255
    return grey[:, None].repeat(1, 3, 1, 1), registry


def rescored(plugin, path, record, name="bands"):
    pixels, registry = pixels_of_test(plugin, record, name)
    with torch.inference_mode():
        return load_model(path, registry.backbone)(pixels).numpy()


# -- the kept network --------------------------------------------------------------------------


@pytest.mark.slow
def test_the_kept_network_gives_the_stored_predictions(run, plugin, tmp_path):
    ended, record = run()
    assert ended.code == 0
    scores = rescored(plugin, model_file(tmp_path, record), record)
    np.testing.assert_allclose(scores, record.predictions["test"].score, atol=1e-5)


@pytest.mark.slow
def test_so_does_that_of_a_linear_probe(run, plugin, tmp_path):
    _, record = run(protocol=PROBE)
    scores = rescored(plugin, model_file(tmp_path, record), record)
    np.testing.assert_allclose(scores, record.predictions["test"].score, atol=1e-5)


@pytest.mark.slow
def test_so_does_one_with_merged_low_rank_updates_and_blue_first(run, plugin, tmp_path):
    _, record = run(backbone="flat", protocol=LORA)
    path = model_file(tmp_path, record)
    scores = rescored(plugin, path, record)
    np.testing.assert_allclose(scores, record.predictions["test"].score, atol=1e-5)
    with safe_open(path, "pt") as file:
        assert set(file.keys()) == {
            *("backbone.2.weight", "backbone.2.bias", "head.0.weight", "head.0.bias")
        }


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [None, PROBE], ids=["finetune", "probe"])
def test_a_regression_comes_back_in_its_unit(run, plugin, tmp_path, protocol):
    _, record = run(dataset="heights", protocol=protocol)
    scores = rescored(plugin, model_file(tmp_path, record), record, "heights")
    assert scores.shape == (18,)
    assert 120 < scores.mean() < 220
    np.testing.assert_allclose(scores, record.predictions["test"].score, rtol=1e-5)


@pytest.mark.slow
def test_the_file_stands_on_its_own(run, tmp_path):
    _, record = run()
    metadata = metadata_of(model_file(tmp_path, record))
    assert all(isinstance(value, str) for value in metadata.values())
    assert metadata["format"] == "mritk"
    assert metadata["notice"] == "For research use only; not for clinical use."
    assert metadata["trial"] == record.id
    assert json.loads(metadata["classes"]) == ["top", "middle", "bottom"]
    assert json.loads(metadata["input_shape"]) == [3, 32, 32]
    contract = json.loads(metadata["input_contract"])
    assert contract["mean"] == contract["std"] == [0.5, 0.5, 0.5]
    assert contract["value_range"] == [0.0, 1.0]
    assert (contract["channels"], contract["channel_order"]) == (3, "RGB")
    assert (contract["size"], contract["interpolation"]) == (32, "bilinear")
    assert metadata["protocol_fingerprint"] == record.fingerprint
    assert metadata["dataset_fingerprint"] == record.dataset_fingerprint
    assert json.loads(metadata["licenses"])["dataset"] == "not stated"


@pytest.mark.slow
def test_the_trial_file_notes_the_digest(run, tmp_path):
    _, record = run()
    path = model_file(tmp_path, record)
    kept = {"sha256": sha256_of(path), "bytes": path.stat().st_size}
    assert record.notes["model"] == kept


@pytest.mark.slow
def test_the_model_is_there_before_the_trial_file(run, tmp_path, monkeypatch):
    def full(self, record, **_):
        raise StoreError("no space left")

    monkeypatch.setattr(ResultsFolder, "write", full)
    ended, record = run()
    assert ended.code == 3
    assert "no space left" in ended.err
    assert record is None
    assert len(list((tmp_path / "results" / "models").glob("*.safetensors"))) == 1


@pytest.mark.slow
def test_without_the_option_nothing_is_kept(run, tmp_path):
    _, record = run(keep=False)
    assert not (tmp_path / "results" / "models").exists()
    assert "model" not in record.notes


@pytest.mark.slow
def test_a_trial_that_was_done_before_is_named_and_rerun_keeps_it(run, tmp_path):
    _, record = run(keep=False)
    ended, _ = run()
    assert f"no model is stored of 1 finished trial: {record.id[:8]}" in ended.err
    assert not model_file(tmp_path, record).exists(), "it is not trained again"
    ended, again = run("--rerun")
    assert "no stored model" not in ended.err
    assert model_file(tmp_path, again).is_file()
    assert "no stored model" not in run()[0].err


@pytest.mark.slow
def test_a_method_without_a_network_is_named_once(mritk, plugin, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "mritk"):
        ended = mritk(
            *("run", "-p", plugin, "-d", "bands", "--protocol", "constant", "--seeds", 2),
            *("--keep-models", "-o", tmp_path / "results", "--device", "cpu"),
        )
    assert ended.code == 0
    warnings = [r.getMessage() for r in caplog.records if "--keep-models" in r.message]
    assert len(warnings) == 1
    assert "method constant provides no network" in warnings[0]
    trials = list(ResultsFolder(tmp_path / "results").trials())
    assert [trial.status for trial in trials] == ["finished"] * 2
    assert "parameters" not in trials[0].cost


# -- reading one -------------------------------------------------------------------------------


@pytest.mark.slow
def test_an_architecture_that_has_changed_is_refused(run, plugin, tmp_path):
    _, record = run()
    plugin.write_text(plugin.read_text().replace("block(8, 16)", "block(8, 24)"))
    registry = Registry.load([str(plugin)], {})
    with pytest.raises(WeightsMismatch, match=r"does not fit tiny .*misshapen"):
        load_model(model_file(tmp_path, record), registry.backbone)


# -- cost --------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_trial_file_tells_what_its_network_costs(run):
    _, record = run(keep=False)
    tiny = (3 * 8 * 9 + 8) + 2 * 8 + (8 * 16 * 9 + 16) + 2 * 16 + 32 * 3 + 3
    flops = 2 * (3 * 8 * 9 * 16**2 + 8 * 16 * 9 * 8**2 + 32 * 3)
    assert record.cost["parameters"] == record.cost["trained_parameters"] == tiny
    assert record.cost["flops"] == flops
    assert 0 < record.cost["latency_seconds"] < record.cost["seconds_fit"]
    assert record.cost["predict_images"] == 18
    assert record.cost["predict_images_per_second"] == pytest.approx(
        18 / record.cost["predict_seconds"]
    )
    for absent in ("gpu_seconds", "energy_joules", "energy_shared", "resumed_after_epochs"):
        assert absent not in record.cost


@pytest.mark.slow
def test_a_linear_probe_tells_the_size_of_backbone_and_linear_model(run, tmp_path):
    run(keep=False)
    run(keep=False, protocol=PROBE)
    cost = {t.method: t.cost for t in ResultsFolder(tmp_path / "results").trials()}
    for what in ("parameters", "flops"):
        assert cost["linear_probe"][what] == cost["finetune"][what]
    assert cost["linear_probe"]["trained_parameters"] == 32 * 3 + 3
    assert cost["linear_probe"]["latency_seconds"] > 0


@pytest.mark.slow
def test_licences_and_the_input_contract_are_in_the_record(run):
    _, record = run(dataset="heights", keep=False)
    assert record.provenance["licenses"] == {
        "dataset": "CC BY 4.0",
        "weights": "none: trained from scratch",
    }
    assert record.provenance["input_contract"]["std"] == [0.5, 0.5, 0.5]
    assert record.provenance["patients"] == {"train": 19, "val": 5, "test": 6}
