"""``hf:ORG/REPO`` of a timm model: built by timm, filled from the hub, bound to a commit."""

from __future__ import annotations

import hashlib
import sys

import pytest
import torch

from mritk import InputContract
from mritk.errors import UnknownName, UsageError, WeightsMismatch
from mritk.model.backbone import load_backbone

timm = pytest.importorskip("timm")

NAME = "acme/scans"
CARD = {
    "input_size": [3, 96, 96],
    "mean": [0.5, 0.4, 0.3],
    "std": [0.2, 0.2, 0.1],
    "interpolation": "bicubic",
    "classifier": "fc",
    "num_classes": 1000,
}
CONFIG = {"architecture": "test_resnet", "num_classes": 1000, "pretrained_cfg": CARD}


@pytest.fixture
def whole():
    """timm's smallest ResNet, with its classifier."""
    torch.manual_seed(0)
    return timm.create_model("test_resnet").eval()


def batch(size: int = 96) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def test_the_features_under_timms_classifier_give_timms_logits(
    whole, model, registry, workspace
) -> None:
    model(NAME, CONFIG, whole.state_dict())

    loaded = load_backbone(registry.backbone(f"hf:{NAME}"), workspace, seed=0)

    with torch.inference_mode():
        logits = whole.get_classifier()(loaded.network(batch()))
        torch.testing.assert_close(logits, whole(batch()), rtol=0, atol=1e-5)
    assert loaded.report is not None
    assert loaded.report.matched == loaded.report.total == len(whole.state_dict()) - 2
    assert [stage.name for stage in loaded.stages][-2:] == ["layer3", "layer4"]


def test_further_arguments_of_a_model_bring_back_neither_classifier_nor_weights(
    whole, model, registry, workspace
) -> None:
    arguments = {"num_classes": 1000, "pretrained": True, "drop_rate": 0.1}
    model(NAME, CONFIG | {"model_args": arguments}, whole.state_dict())

    loaded = load_backbone(registry.backbone(f"hf:{NAME}"), workspace, seed=0)

    assert loaded.num_features == whole.num_features
    assert loaded.network.drop_rate == 0.1


def test_a_timm_model_needs_no_further_library(whole, model, registry, monkeypatch) -> None:
    model(NAME, CONFIG, whole.state_dict())
    for library in ("transformers", "datasets"):
        monkeypatch.setitem(sys.modules, library, None)

    assert registry.backbone(f"hf:{NAME}").architecture.build()


def test_the_commit_the_digest_and_the_card_are_part_of_the_weights(
    whole, model, registry, workspace
) -> None:
    card = {"license": "apache-2.0", "datasets": ["imagenet-1k", "acme/knees"]}
    repo = model(NAME, CONFIG, whole.state_dict(), card)

    found = registry.backbone(f"hf:{NAME}")

    assert found.name == f"hf:{NAME}@{repo.commit[:12]}"
    assert found.input == InputContract(96, (0.5, 0.4, 0.3), (0.2, 0.2, 0.1), "bicubic")
    weights = found.weights
    assert weights is not None
    assert weights.sha256 == hashlib.sha256(repo.files["model.safetensors"]).hexdigest()
    assert weights.license == "apache-2.0"
    assert weights.pretrained_on == ("imagenet-1k", "acme/knees")
    assert repo.commit in weights.summary
    assert weights.citation == f"https://huggingface.co/{NAME}/tree/{repo.commit}"
    assert registry.backbone(found.name).identity == found.identity
    assert registry.backbone(f"hf:{NAME}@scratch").input == found.input


def test_a_repository_that_moves_on_keeps_its_first_commit_until_asked_for_another(
    whole, model, registry, workspace
) -> None:
    first = model(NAME, CONFIG, whole.state_dict())
    before = registry.backbone(f"hf:{NAME}")
    second = model(NAME, CONFIG, timm.create_model("test_resnet").state_dict())

    assert registry.backbone(f"hf:{NAME}").identity == before.identity
    newer = registry.backbone(f"hf:{NAME},revision={second.commit}")
    assert newer.name == f"hf:{NAME}@{second.commit[:12]}"
    # The older one can still be named, from either side.
    older = registry.backbone(f"hf:{NAME},revision={second.commit}@{first.commit[:12]}")
    assert older.identity == before.identity
    assert registry.backbone(newer.name).identity == newer.identity
    with pytest.raises(UnknownName, match=rf"there is hf:{NAME}@{first.commit[:12]}"):
        registry.backbone(f"hf:{NAME}@0123456789ab")


def test_an_older_card_stands_at_the_top_and_weights_may_be_a_torch_file(
    hub, whole, model, registry, workspace, tmp_path
) -> None:
    repo = model(NAME, {"architecture": "test_resnet", **CARD}, {})
    torch.save(whole.state_dict(), tmp_path / "file")
    repo.files["pytorch_model.bin"] = (tmp_path / "file").read_bytes()
    del repo.files["model.safetensors"]

    loaded = load_backbone(registry.backbone(f"hf:{NAME}"), workspace, seed=0)

    assert loaded.report is not None
    assert (loaded.report.file, loaded.report.complete) == ("pytorch_model.bin", True)


def test_a_torch_file_that_would_run_code_is_refused(model, registry, workspace, tmp_path) -> None:
    import pickle

    class Evil:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    repo = model(NAME, CONFIG, {})
    del repo.files["model.safetensors"]
    repo.files["pytorch_model.bin"] = pickle.dumps({"conv1.weight": Evil()}, protocol=2)

    with pytest.raises(WeightsMismatch, match="cannot be read as weights"):
        load_backbone(registry.backbone(f"hf:{NAME}"), workspace, seed=0)
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_a_missing_an_extra_and_a_misshapen_tensor_are_refused(
    hub, whole, model, registry, workspace
) -> None:
    state = dict(whole.state_dict())
    first = next(iter(state))
    lacking = {name: tensor for name, tensor in state.items() if name != first}

    for number, (wrong, text) in enumerate(
        (
            (lacking, "1 missing"),
            (state | {"extra.weight": torch.zeros(1)}, "1 unexpected"),
            (state | {first: torch.zeros(2, 2)}, "1 misshapen"),
        )
    ):
        model(f"acme/wrong-{number}", CONFIG, wrong)
        with pytest.raises(WeightsMismatch, match=text):
            load_backbone(registry.backbone(f"hf:acme/wrong-{number}"), workspace, seed=0)


def test_an_architecture_that_timm_does_not_have_is_told_at_once(model, registry) -> None:
    model(NAME, CONFIG | {"architecture": "resnet_of_tomorrow"}, {})

    with pytest.raises(
        UsageError, match=r"'resnet_of_tomorrow', which timm .* pip install -U timm"
    ):
        registry.backbone(f"hf:{NAME}")


def test_a_card_that_does_not_state_the_pixels_is_refused(model, registry) -> None:
    card = {key: value for key, value in CARD.items() if key not in ("mean", "std")}
    model(NAME, CONFIG | {"pretrained_cfg": card}, {})

    with pytest.raises(UsageError, match="does not state mean and std"):
        registry.backbone(f"hf:{NAME}")


def test_a_transformer_takes_other_sizes_than_that_of_its_weights(
    model, registry, workspace
) -> None:
    whole = timm.create_model("test_vit")
    card = CARD | {"classifier": "head", "input_size": [3, 160, 160]}
    model(NAME, {"architecture": "test_vit", "pretrained_cfg": card}, whole.state_dict())

    loaded = load_backbone(registry.backbone(f"hf:{NAME}"), workspace, seed=0, size=96)

    assert loaded.network(batch(96)).shape == (2, loaded.num_features)
    assert loaded.stages[1].name.startswith("blocks.")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coat_lite_medium", "caformer_s18"])
def test_a_model_is_cut_into_the_blocks_that_the_prefix_timm_cuts_it_into(name) -> None:
    from mritk_huggingface.timm_model import TimmModel
    from mritk_timm.blocks import blocks

    model = TimmModel(name, CARD, {})
    with torch.device("meta"):
        network = model.build()
    assert model.stages(network) == blocks(network)
