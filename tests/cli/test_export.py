"""``mritk export``: the network of a trial as safetensors or ONNX, proven to be the same."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from mritk import Subset, Workspace
from mritk.cli.main import main
from mritk.model import onnx_export as onnx_file
from mritk.model.model_file import load_model
from mritk.plugins.registry import Registry
from mritk.store.folder import ResultsFolder
from tests.conftest import TOY_PLUGIN, run_toy_in

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a plugin and the results of one trial whose network was kept."""
    home = tmp_path_factory.mktemp("trained")
    # Blue first and three different channels: an error in either would show.
    contract = 'InputContract(32, (0.4, 0.5, 0.6), (0.2, 0.3, 0.4), channel_order="BGR")'
    plugin = TOY_PLUGIN.replace("InputContract(32, half, half)", contract)
    run_toy_in(home, plugin, "--keep-models")
    return home


@pytest.fixture(scope="module")
def exported(trained):
    """The network of that trial as ONNX."""
    (record,) = ResultsFolder(trained / "results").trials()
    command = ["export", record.id, "-p", trained / "toy.py", "--results", trained / "results"]
    assert main([str(word) for word in (*command, "-o", trained / "model.onnx")]) == 0
    return trained / "model.onnx"


@pytest.fixture
def kept(trained, toy, tmp_path):
    """The record of that trial, in a folder of results of the test's own."""
    shutil.copytree(trained / "results", tmp_path / "results")
    toy.write_text((trained / "toy.py").read_text())
    (record,) = ResultsFolder(tmp_path / "results").trials()
    return record


@pytest.fixture
def export(mritk, toy, tmp_path):
    """Export a trial, given by the beginning of its id, to a file; return how it ended."""

    def call(record, target, *arguments):
        name = getattr(record, "id", record)[:8]
        base = ("export", "-p", toy, name, "--results", tmp_path / "results")
        return mritk(*base, "-o", tmp_path / target, *arguments)

    return call


@pytest.fixture
def pixels(kept, toy, tmp_path):
    """The test part as pixels, (N, 3, H, W) float32 in [0, 1]."""
    workspace = Workspace(tmp_path / "workspace")
    samples = Registry.load([str(toy)], {}).dataset("bands").open(workspace)
    rows = [samples.ids.index(sample) for sample in kept.predictions["test"].id]
    images = np.asarray(Subset.of(samples, rows, workspace).images(32), dtype=np.float32) / 255
    return np.repeat(images[:, None], 3, axis=1)


@pytest.mark.slow
def test_the_documented_lines_give_the_stored_predictions(kept, export, toy, tmp_path, monkeypatch):
    assert export(kept, "model.safetensors").code == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRITK_PLUGINS", str(toy))
    (snippet,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)
    scope = {}
    exec(snippet.replace('"folder:new-scans"', '"bands"'), scope)
    stored = kept.predictions["test"]
    rows = [scope["samples"].ids.index(name) for name in stored.id]
    np.testing.assert_allclose(scope["scores"][rows], stored.score, atol=1e-5)
    assert scope["model"].classes == ("top", "middle", "bottom")


@pytest.mark.slow
def test_onnx_takes_pixels_and_gives_the_stored_predictions(kept, export, pixels, tmp_path):
    ended = export(kept, "model.onnx", "--to", "onnx")
    assert ended.code == 0, ended.err
    assert "compared with torch on batches of 1, 2, 5 images" in ended.err
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (given,) = session.get_inputs()
    assert (given.name, given.type) == ("pixels", "tensor(float)")
    assert isinstance(given.shape[0], str), "any number of images"
    assert given.shape[1:] == [3, 32, 32]
    stored = kept.predictions["test"].score
    for count in (1, 7, 18):
        logits, probabilities = session.run(["logits", "probabilities"], {"pixels": pixels[:count]})
        np.testing.assert_allclose(logits, stored[:count], atol=1e-4)
        np.testing.assert_allclose(
            probabilities, torch.tensor(logits).softmax(1).numpy(), atol=1e-6
        )


@pytest.mark.slow
def test_channel_order_is_in_the_graph(kept, exported, toy, tmp_path):
    red = np.zeros((1, 3, 32, 32), np.float32)
    red[:, 0] = np.random.default_rng(0).random((32, 32))
    session = onnxruntime.InferenceSession(exported)
    path = tmp_path / "results" / "models" / f"{kept.id}.safetensors"
    network = load_model(path, Registry.load([str(toy)], {}).backbone).network
    mean = torch.tensor([0.4, 0.5, 0.6]).reshape(1, 3, 1, 1)
    std = torch.tensor([0.2, 0.3, 0.4]).reshape(1, 3, 1, 1)
    blue_first = (torch.from_numpy(red[:, ::-1].copy()) - mean) / std
    with torch.inference_mode():
        expected = network(blue_first).numpy()
    np.testing.assert_allclose(session.run(["logits"], {"pixels": red})[0], expected, atol=1e-5)


@pytest.mark.slow
def test_onnx_carries_the_metadata(kept, exported):
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert told["trial"] == kept.id
    assert told["classes"] == '["top", "middle", "bottom"]'
    assert told["notice"] == "For research use only; not for clinical use."


@pytest.mark.slow
def test_an_onnx_network_that_gives_other_scores_is_refused(kept, export, tmp_path, monkeypatch):
    real = onnx_file.to_onnx

    def wrong(model):
        weight = model.network.head[0].weight
        right = weight.clone()
        weight[0, 0] += 0.01
        content = real(model)
        weight.copy_(right)
        return content

    monkeypatch.setattr(onnx_file, "to_onnx", wrong)
    ended = export(kept, "model.onnx", "--to", "onnx")
    assert ended.code == 3
    assert "differs from torch by" in ended.err
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
def test_what_one_exporter_cannot_express_the_other_may(
    kept, export, pixels, tmp_path, monkeypatch
):
    def refuse(network, model):
        raise ValueError("the batch is a constant\nand more")

    monkeypatch.setattr(onnx_file, "_by_export", refuse)
    assert export(kept, "model.onnx", "--to", "onnx").code == 0
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    logits = session.run(["logits"], {"pixels": pixels[:7]})[0]
    np.testing.assert_allclose(logits, kept.predictions["test"].score[:7], atol=1e-4)
    monkeypatch.setattr(onnx_file, "_by_tracing", refuse)
    ended = export(kept, "other.onnx", "--to", "onnx")
    assert ended.code == 3
    assert "cannot be expressed in ONNX: ValueError: the batch is a constant;" in ended.err
    assert "--to safetensors" in ended.err
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.slow
def test_nan_is_no_agreement(kept, exported, toy, tmp_path):
    path = tmp_path / "results" / "models" / f"{kept.id}.safetensors"
    model = load_model(path, Registry.load([str(toy)], {}).backbone)
    onnx_file.check_onnx(exported.read_bytes(), model)
    model.network.head[0].bias.fill_(float("nan"))
    with pytest.raises(onnx_file.OnnxMismatch):
        onnx_file.check_onnx(exported.read_bytes(), model)


@pytest.mark.slow
def test_a_file_that_onnxruntime_cannot_run_is_refused(kept, toy, tmp_path):
    path = tmp_path / "results" / "models" / f"{kept.id}.safetensors"
    model = load_model(path, Registry.load([str(toy)], {}).backbone)
    with pytest.raises(onnx_file.OnnxMismatch, match="cannot run"):
        onnx_file.check_onnx(b"nonsense", model)


@pytest.mark.slow
@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_remedy(kept, export, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    ended = export(kept, "model.onnx", "--to", "onnx")
    assert ended.code == 4
    assert f"needs the package {package}" in ended.err
    assert "pip install 'mritk-bench[onnx]'" in ended.err


@pytest.mark.slow
def test_the_exported_file_is_the_kept_one(kept, export, tmp_path):
    export(kept, "model.safetensors")
    source = tmp_path / "results" / "models" / f"{kept.id}.safetensors"
    assert (tmp_path / "model.safetensors").read_bytes() == source.read_bytes()


@pytest.mark.slow
def test_a_trial_without_a_kept_model(run_toy, export, tmp_path):
    run_toy("--seeds", 1)
    (record,) = ResultsFolder(tmp_path / "results").trials()
    ended = export(record, "model.onnx", "--to", "onnx")
    assert ended.code == 4
    assert "--keep-models --rerun" in ended.err


@pytest.mark.slow
def test_a_model_of_an_earlier_training_is_refused(kept, run_toy, export, tmp_path):
    run_toy("--seeds", 1, "--rerun")
    assert export(kept, "model.safetensors").code == 4
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.slow
def test_a_model_that_was_altered_is_refused(kept, export, tmp_path):
    path = tmp_path / "results" / "models" / f"{kept.id}.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    ended = export(kept, "model.safetensors")
    assert ended.code == 3
    assert "different SHA-256" in ended.err


@pytest.mark.slow
def test_an_architecture_that_has_changed_is_refused(kept, export, toy, tmp_path):
    toy.write_text(toy.read_text().replace("block(8, 16)", "block(8, 24)"))
    ended = export(kept, "model.safetensors")
    assert ended.code == 3
    assert "does not fit tiny" in ended.err
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.slow
def test_a_plugin_that_has_changed_but_fits_is_told(kept, export, toy):
    toy.write_text(toy.read_text() + "\n# a comment\n")
    ended = export(kept, "model.safetensors")
    assert ended.code == 0
    assert "compare some scores before use" in ended.err


def test_a_failed_trial_has_nothing_to_export(make_record, export, tmp_path):
    record = make_record(id="aaaa", status="failed")
    ResultsFolder(tmp_path / "results").write(record)
    ended = export(record, "model.onnx")
    assert ended.code == 2
    assert "trial aaaa failed; 'mritk run' retries it" in ended.err


@pytest.mark.slow
def test_no_such_trial(kept, export):
    ended = export("0000zzzz", "model.onnx")
    assert ended.code == 2
    assert "no trial '0000zzzz'" in ended.err


@pytest.mark.slow
def test_a_target_that_cannot_be_written(kept, export, tmp_path):
    (tmp_path / "file").write_text("")
    ended = export(kept, "file/model.safetensors")
    assert ended.code == 3
    assert "cannot write" in ended.err


@pytest.mark.slow
def test_the_name_of_the_file_chooses_the_format(exported):
    onnx.checker.check_model(onnx.load(exported))


@pytest.mark.parametrize(
    ("target", "arguments", "known"),
    [
        ("net.pt", (), ".safetensors or .onnx"),
        ("net", (), ".safetensors or .onnx"),
        ("net.onnx", ("--to", "safetensors"), ".safetensors for --to safetensors"),
        ("net.safetensors", ("--to", "onnx"), ".onnx for --to onnx"),
    ],
)
def test_a_name_that_tells_another_format_is_refused(export, tmp_path, target, arguments, known):
    ended = export("0000abcd", target, *arguments)
    assert ended.code == 2
    assert ended.err.startswith(f"mritk: {target} must end in {known};")
    assert not (tmp_path / target).exists()
