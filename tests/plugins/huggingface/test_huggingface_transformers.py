"""``hf:ORG/REPO`` of an image encoder of transformers; the library itself is the oracle."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save

from mritk import InputContract
from mritk.errors import Unavailable, UsageError, WeightsMismatch
from mritk.model.backbone import LoadedBackbone, load_backbone
from mritk.model.without_values import follow

# Its import takes seconds.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("transformers"), reason="needs transformers"),
]

TOKENS = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
SMALL = {
    "ViT": TOKENS,
    "Beit": TOKENS,
    "ViTMAE": TOKENS,
    "Dinov2": TOKENS,
    "Swin": {
        "image_size": 32,
        "embed_dim": 16,
        "depths": [1, 1],
        "num_heads": [2, 2],
        "window_size": 4,
    },
    "ResNet": {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]},
    "ConvNextV2": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
}
# The base model of these, as the library has it, is a part that takes no images.
INNER = {
    "DINOv3ViT": TOKENS,
    "DINOv3ConvNext": {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
    "Sapiens2": TOKENS,
}
PREPROCESSOR = {
    "size": {"height": 32, "width": 32},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.2, 0.2, 0.2],
    "resample": 3,
}


@pytest.fixture
def publish(model, tmp_path: Path):
    """Make a model with random values, save it as its library does, and put that on the hub."""

    def publish(kind: str, head: str = "ForImageClassification", **changes):
        import transformers

        torch.manual_seed(0)
        config = getattr(transformers, f"{kind}Config")(**((SMALL | INNER)[kind] | changes))
        made = getattr(transformers, f"{kind}{head}")(config).eval()
        made.save_pretrained(tmp_path / "saved")
        name = f"acme/{kind}{head}"
        state = load_file(tmp_path / "saved" / "model.safetensors")
        written = json.loads((tmp_path / "saved" / "config.json").read_text())
        repo = model(name, written, state, preprocessor_config=PREPROCESSOR)
        return made, name, repo, state

    return publish


@pytest.fixture
def load(registry, workspace):
    def load(name: str, size: int = 32) -> LoadedBackbone:
        return load_backbone(registry.backbone(f"hf:{name}"), workspace, seed=1, size=size)

    return load


def batch(size: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def expected(made, images: torch.Tensor) -> torch.Tensor:
    """What the library's base model gives, pooled as documented."""
    output = made.base_model(pixel_values=images)
    pooled = getattr(output, "pooler_output", None)
    return output.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in SMALL if kind != "ViTMAE"])
def test_features_are_those_of_the_library(kind: str, publish, load) -> None:
    made, name, _, _ = publish(kind)

    loaded = load(name)

    with torch.inference_mode():
        torch.testing.assert_close(
            loaded.network(batch()), expected(made, batch()), rtol=0, atol=1e-5
        )
    report = loaded.report
    assert report is not None
    assert (report.complete, report.exempt) == (True, ())
    assert report.matched == report.total == len(made.base_model.state_dict())


def test_the_class_token_feeds_the_published_classifier_as_it_did(publish, load) -> None:
    made, name, _, _ = publish("ViT")

    features = load(name).network(batch())

    torch.testing.assert_close(made.classifier(features), made(batch()).logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", INNER)
def test_the_encoder_is_what_takes_images_whatever_the_library_calls_its_base(
    kind: str, publish, load
) -> None:
    import transformers

    if not hasattr(transformers, f"{kind}Model"):
        pytest.skip(f"{kind} came to transformers later than its lowest version")
    made, name, _, _ = publish(kind, "Model")

    loaded = load(name)

    with torch.inference_mode():
        theirs = made(pixel_values=batch()).pooler_output
        torch.testing.assert_close(loaded.network(batch()), theirs, rtol=0, atol=1e-5)
    assert loaded.report.matched == loaded.report.total == len(made.state_dict())


def test_a_file_without_a_head_brings_its_pooler(publish, load) -> None:
    made, name, _, state = publish("ViT", "Model")
    assert "pooler.dense.weight" in state

    loaded = load(name)

    torch.testing.assert_close(
        loaded.network(batch()), made(batch()).pooler_output, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("stated", [True, False], ids=["ratio stated", "ratio left out"])
def test_a_masked_autoencoder_sees_the_whole_image_and_loses_its_decoder(
    publish, load, stated: bool
) -> None:
    decoder = {"decoder_num_attention_heads": 2, "decoder_hidden_size": 16}
    decoder |= {"decoder_num_hidden_layers": 1, "decoder_intermediate_size": 32}
    made, name, repo, state = publish("ViTMAE", "ForPreTraining", **decoder)
    if not stated:
        config = json.loads(repo.files["config.json"])
        del config["mask_ratio"]
        repo.files["config.json"] = json.dumps(config).encode()
    assert any(key.startswith("decoder.") for key in state)

    loaded = load(name)

    assert made.config.mask_ratio == 0.75
    made.config.mask_ratio = 0.0
    with torch.inference_mode():
        once, twice = loaded.network(batch()), loaded.network(batch())
        torch.testing.assert_close(once, twice, rtol=0, atol=1e-5)
        torch.testing.assert_close(once, expected(made, batch()), rtol=0, atol=1e-5)


def test_names_of_older_files_are_those_that_the_library_translates(publish, load) -> None:
    _, name, _, state = publish("ViT")

    # save_pretrained writes the names under which models have always been published.
    assert "vit.encoder.layer.0.attention.attention.query.weight" in state
    assert load(name).report.complete


def test_the_same_weights_with_the_class_kept_secret_drop_the_head_by_its_prefix(
    publish, load
) -> None:
    made, name, repo, _ = publish("ResNet")
    config = json.loads(repo.files["config.json"])
    del config["architectures"]
    repo.files["config.json"] = json.dumps(config).encode()

    loaded = load(name)

    torch.testing.assert_close(loaded.network(batch()), expected(made, batch()))


def test_anything_missing_left_over_or_misshapen_in_the_encoder_is_refused(
    publish, load, hub
) -> None:
    _, _, repo, state = publish("ViT")
    first = "vit.embeddings.patch_embeddings.projection.weight"
    lacking = {key: tensor for key, tensor in state.items() if key != first}

    for number, (wrong, text) in enumerate(
        (
            (lacking, r"1 missing \(encoder.embeddings.patch_embeddings.projection.weight\)"),
            (state | {"vit.surplus": torch.zeros(1)}, "1 unexpected"),
            (state | {first: torch.zeros(2, 3, 8, 8)}, "1 misshapen"),
        )
    ):
        files = repo.files | {"model.safetensors": save(wrong)}
        hub.models[f"acme/wrong-{number}"] = replace(repo, files=files)
        with pytest.raises(WeightsMismatch, match=text):
            load(f"acme/wrong-{number}")


def test_a_tensor_whose_absence_the_library_lets_pass_is_noticed(
    publish, load, monkeypatch
) -> None:
    _, name, repo, state = publish("ViT")
    del state["vit.embeddings.cls_token"]
    repo.files["model.safetensors"] = save(state)
    import transformers

    kind = transformers.ViTForImageClassification
    monkeypatch.setattr(kind, "_keys_to_ignore_on_load_missing", ["cls_token"])

    with pytest.raises(WeightsMismatch, match=r"encoder\.embeddings\.cls_token"):
        load(name)


def test_tables_that_older_files_hold_and_networks_compute_are_left_aside(publish, load) -> None:
    _, name, repo, state = publish("Swin")
    block = "swin.encoder.layers.0.blocks.0.attention.self."
    assert f"{block}relative_position_bias_table" in state
    table = {f"{block}relative_position_index": torch.zeros(16, 16, dtype=torch.int64)}
    repo.files["model.safetensors"] = save(state | table)

    assert load(name).report.complete


def test_position_embeddings_are_interpolated_for_other_sizes(publish, load) -> None:
    made, name, _, _ = publish("ViT")

    features = load(name, size=64).network(batch(64))

    output = made.vit(pixel_values=batch(64), interpolate_pos_encoding=True)
    torch.testing.assert_close(features, output.last_hidden_state[:, 0], rtol=0, atol=1e-5)


def test_blocks_and_stages_are_the_stages_for_freezing(publish, load) -> None:
    names = {kind: [s.name for s in load(publish(kind)[1]).stages] for kind in ("ViT", "ResNet")}

    assert names["ViT"] == ["stem", "encoder.layers.0", "encoder.layers.1"]
    assert names["ResNet"] == ["stem", "encoder.encoder.stages.0", "encoder.encoder.stages.1"]


def test_from_scratch_the_librarys_own_initialisation_is_used(publish, registry, workspace) -> None:
    _, name, _, _ = publish("ViT")
    scratch = registry.backbone(f"hf:{name}@scratch")

    one, same = (load_backbone(scratch, workspace, seed=3, size=32) for _ in range(2))
    other = load_backbone(scratch, workspace, seed=4, size=32)

    weight = "encoder.layers.0.attention.q_proj.weight"
    assert torch.equal(one.network.state_dict()[weight], same.network.state_dict()[weight])
    assert not torch.equal(one.network.state_dict()[weight], other.network.state_dict()[weight])
    # initializer_range of the configuration; torch's own default would give 0.1
    assert one.network.state_dict()[weight].std().item() == pytest.approx(0.02, rel=0.1)


def test_the_input_contract_is_that_of_the_preprocessor(publish, registry) -> None:
    _, name, _, _ = publish("ViT")

    assert registry.backbone(f"hf:{name}").input == InputContract(
        32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2), "bicubic"
    )


def test_code_of_the_repository_is_never_run(publish, load, registry, tmp_path: Path) -> None:
    made, name, repo, _ = publish("ViT")
    config = json.loads(repo.files["config.json"])
    config["auto_map"] = {"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"}
    repo.files["config.json"] = json.dumps(config).encode()
    repo.files["evil.py"] = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()

    torch.testing.assert_close(load(name).network(batch()), expected(made, batch()))
    repo.files["config.json"] = json.dumps(config | {"model_type": "evil"}).encode()
    with pytest.raises(UsageError, match="code of the repository is never executed"):
        registry.backbone(f"hf:{name},revision={repo.commit}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({"model_type": "bert"}, "'bert', which is not an image encoder"),
        ({"model_type": "no_such"}, "'no_such', which transformers .* does not have"),
        ({"model_type": "vit", "hidden_size": "wide"}, "config.json of hf:acme/other cannot be"),
        ({"library_name": "keras"}, "neither a timm architecture nor a model type"),
    ],
)
def test_what_is_no_image_encoder_is_told_at_once(config, text: str, model, registry) -> None:
    model("acme/other", config, {}, preprocessor_config=PREPROCESSOR)

    with pytest.raises(UsageError, match=text):
        registry.backbone("hf:acme/other")


def test_without_a_preprocessor_nobody_knows_the_pixels(publish, registry) -> None:
    _, name, repo, _ = publish("ViT")
    del repo.files["preprocessor_config.json"]

    with pytest.raises(UsageError, match="the input of its weights is unknown"):
        registry.backbone(f"hf:{name}")


def test_weights_in_several_files_are_refused(publish, registry) -> None:
    _, name, repo, _ = publish("ViT")
    del repo.files["model.safetensors"]
    repo.files["model.safetensors.index.json"] = b"{}"

    with pytest.raises(UsageError, match="weights in several files"):
        registry.backbone(f"hf:{name}")


def test_without_the_library_the_error_says_what_to_type(publish, registry, monkeypatch) -> None:
    _, name, _, _ = publish("ViT")
    monkeypatch.setattr("mritk_huggingface.absent.find_spec", lambda library: None)

    with pytest.raises(Unavailable, match=r"python -m pip install 'mritk-bench\[huggingface\]'"):
        registry.backbone(f"hf:{name}")


def test_places_that_the_library_keeps_have_values_after_a_pass_without(load, publish) -> None:
    """On a GPU the memory of a training is estimated by passes without values."""
    pytest.importorskip("transformers.models.dinov3_vit")
    made, name, _, _ = publish("DINOv3ViT", "Model")
    network, images = load(name).network, batch(48)  # places of a size that no pass had before

    follow(network, network, lambda call: call(images), compute=False)

    with torch.inference_mode():
        found, theirs = network(images), made(pixel_values=images).pooler_output
        assert type(found) is torch.Tensor
        torch.testing.assert_close(found, theirs, rtol=0, atol=1e-5)
