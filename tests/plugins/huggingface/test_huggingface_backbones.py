"""Image encoders of timm and transformers from a hub, with proven weights, and offline."""

from __future__ import annotations

import json
from functools import partial

import pytest
import torch
from safetensors.torch import load_file

from mritk.train.weights import match
from mritk_huggingface import timm_model, transformers_model
from mritk_huggingface.contract import make_contract

SMALL_VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
SMALL = {
    "vit": SMALL_VIT,
    "beit": SMALL_VIT,
    "dinov2": {**SMALL_VIT, "patch_size": 16},
    "convnextv2": {"depths": [1, 1, 1, 1], "hidden_sizes": [8, 16, 24, 32], "image_size": 32},
    "resnet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "swin": {
        "image_size": 32,
        "patch_size": 4,
        "embed_dim": 8,
        "depths": [1, 1],
        "num_heads": [1, 1],
        "window_size": 4,
    },
}
CARD = "---\nlicense: mit\ndatasets:\n- imagenet-1k\n---\n# A model\n"


@pytest.fixture
def save_transformers(tmp_path):
    """Save a small classifier of a kind as transformers does, and return its folder."""

    def save(kind, **changes):
        from transformers import AutoConfig, AutoModelForImageClassification

        torch.manual_seed(0)
        config = AutoConfig.for_model(kind, **{**SMALL[kind], **changes})
        folder = tmp_path / f"saved-{kind}"
        AutoModelForImageClassification.from_config(config).save_pretrained(folder)
        preprocessing = {
            "size": {"height": 32, "width": 32},
            "image_mean": [0.4, 0.5, 0.6],
            "image_std": [0.2, 0.25, 0.3],
            "resample": 2,
        }
        (folder / "preprocessor_config.json").write_text(json.dumps(preprocessing))
        (folder / "README.md").write_text(CARD)
        return folder

    return save


def read_config(folder):
    return json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("kind", SMALL)
def test_features_are_those_of_the_librarys_own_loading(save_transformers, kind):
    """The same file, read by transformers itself, gives the same class token or pooled output."""
    from transformers import AutoModel

    folder = save_transformers(kind)
    config = read_config(folder)
    network = transformers_model.build(config).eval()
    found = transformers_model.rename(config, load_file(folder / "model.safetensors"))
    report, state = match(network, found, (), "model.safetensors", "")
    assert report.complete, report
    network.load_state_dict(state)
    library = AutoModel.from_pretrained(folder).eval()
    batch = torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, theirs = network(batch), library(pixel_values=batch)
    if kind in ("vit", "beit", "dinov2"):
        expected = theirs.last_hidden_state[:, 0]
    else:
        expected = theirs.pooler_output.flatten(1)
    torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)


def test_a_file_that_lacks_a_tensor_is_not_filled_at_random(save_transformers):
    folder = save_transformers("vit")
    config, tensors = read_config(folder), load_file(folder / "model.safetensors")
    lacking = {name: t for name, t in tensors.items() if "patch_embeddings" not in name}
    found = transformers_model.rename(config, lacking)
    report, _ = match(transformers_model.build(config), found, (), "", "")
    assert {name.rpartition(".")[2] for name in report.missing} == {"weight", "bias"}


def test_a_tensor_too_many_within_the_encoder_is_refused(save_transformers):
    folder = save_transformers("vit")
    config, tensors = read_config(folder), load_file(folder / "model.safetensors")
    tensors["vit.extra.weight"] = torch.zeros(2)
    found = transformers_model.rename(config, tensors)
    report, _ = match(transformers_model.build(config), found, (), "", "")
    assert report.unexpected == ("vit.extra.weight",)


def test_a_timm_repository_gives_the_features_of_timm():
    import timm

    torch.manual_seed(0)
    whole = timm.create_model("resnet10t", num_classes=7).eval()
    config = {
        "architecture": "resnet10t",
        "num_classes": 7,
        "pretrained_cfg": {"classifier": "fc", "input_size": [3, 176, 176]},
    }
    network = timm_model.build(config).eval()
    found = timm_model.rename(config, whole.state_dict())
    report, state = match(network, found, (), "", "")
    assert report.complete
    network.load_state_dict(state)
    batch = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        expected = whole.forward_head(whole.forward_features(batch), pre_logits=True)
        torch.testing.assert_close(network(batch), expected)


def test_input_contracts_are_read():
    timm_card = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "input_size": [3, 176, 176]}
    read = timm_model.contract({"pretrained_cfg": {**timm_card, "interpolation": "bilinear"}}, {})
    assert read == make_contract(176, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6), "bilinear")
    read = transformers_model.contract(
        {"image_size": 64}, {"crop_size": {"height": 48}, "size": {"shortest_edge": 60}}
    )
    assert (read.size, read.mean, read.interpolation) == (48, (0.5,) * 3, "bicubic")
    assert transformers_model.contract({"num_channels": 1}, {"do_normalize": False}).std == (1.0,)


# -- with a hub ------------------------------------------------------------------------------------


@pytest.fixture
def published(hub, save_transformers):
    """The repository ``lab/net`` with a small ViT."""
    hub.add("lab/net", save_transformers("vit"))
    return hub


@pytest.mark.slow
def test_fetched_once_it_is_used_without_a_network(published, call, toy, fast_protocol):
    ended = call("fetch", "--backbone", "hf:lab/net")
    assert ended.code == 0, ended.err
    asked = len(published.requests)
    base = ("run", "-p", toy, "-d", "bands", "--protocol", fast_protocol, "--seeds", 1)
    ended = call(*base, "-b", "hf:lab/net", "--offline", "--json", endpoint="http://127.0.0.1:9")
    assert ended.code == 0, ended.err
    (row,) = json.loads(ended.out)["leaderboard"]["tables"][0]["rows"]
    assert row["backbone"] == "hf:lab/net@01234567", "the commit is part of the name"
    assert len(published.requests) == asked
    ended = call(
        *("plugins", "check", "--offline", "--as", "backbone", "hf:lab/net"),
        endpoint="http://127.0.0.1:9",
    )
    assert ended.code == 0, ended.out
    assert "0 failed, 0 skipped" in ended.out


@pytest.mark.slow
def test_damaged_and_truncated_weights_are_refused(published, call):
    key = "models/lab/net/model.safetensors"
    whole = published.files[key]
    published.sent[key] = whole[:100] + bytes(8) + whole[108:]
    ended = call("fetch", "-b", "hf:lab/net")
    assert ended.code == 4
    assert "model.safetensors is damaged: its digest is" in ended.err
    assert "Traceback" not in ended.err


def test_a_truncated_answer_is_never_used(published, call):
    key = "models/lab/net/model.safetensors"
    published.sent[key] = published.files[key][:1000]
    ended = call("fetch", "-b", "hf:lab/net")
    assert ended.code == 4
    assert "hf:lab/net cannot be used: " in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, "RepoNotFound", "there is no such repository, or it is private"),
        (403, "GatedRepo", "its owner gives it only to those who asked for it"),
        (401, "RepoNotFound", "there is no such repository, or it is private"),
        (404, "RevisionNotFound", "it has no such revision"),
    ],
)
def test_what_cannot_be_had_is_explained(hub, call, status, code, reason):
    hub.refused["lab/net"] = (status, code)
    ended = call("fetch", "-b", "hf:lab/net")
    assert ended.code == 4
    line = ended.err.strip().splitlines()[-1]
    assert f"hf:lab/net cannot be used: {reason}" in line
    assert "'mritk fetch --backbone hf:lab/net' gets it" in line


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["hf:lab/net", "--offline"], "config.json is not on this machine, and it is offline"),
        (["hf:net"], "unknown backbone 'hf:net'"),
        (["hf:lab/net,commit=1"], "has no option 'commit'; its options are revision"),
    ],
)
def test_nothing_is_asked_of_the_hub(hub, call, arguments, reason):
    ended = call("fetch", "-b", *arguments)
    assert ended.code in (2, 4)
    assert reason in ended.err
    assert hub.requests == []


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"model_type": "lab_net", "auto_map": {"AutoModel": "net.Net"}}, "code that a repository"),
        ({"model_type": "bert", "vocab_size": 10}, "bert reads text"),
        ({"architecture": "lab_net"}, "timm has no architecture 'lab_net'"),
    ],
)
def test_networks_that_mritk_does_not_run_are_named(hub, call, tmp_path, config, reason):
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    hub.add("lab/net", folder)
    ended = call("fetch", "-b", "hf:lab/net")
    assert ended.code == 4
    assert reason in ended.err


def test_a_pickle_is_read_without_running_it(save_transformers, hub, call):
    folder = save_transformers("resnet")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()

    class Bomb:
        def __reduce__(self):
            return partial(print, "boom"), ()

    torch.save({**tensors, "bomb": Bomb()}, folder / "pytorch_model.bin")
    hub.add("lab/net", folder)
    ended = call("plugins", "check", "--as", "backbone", "hf:lab/net")
    assert ended.code == 1
    assert "cannot be read as weights" in ended.out
    assert "boom" not in ended.out
