"""From timm's files to the backbone: exactly the classifier goes, everything else is proven."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import mritk_timm
from mritk.backbone import Backbone
from mritk.errors import WeightsMismatch
from mritk.files.workspace import Workspace
from mritk.model.backbone import LoadedBackbone, load_backbone
from mritk.records import Architecture, Weights
from mritk_timm.family import resolve
from mritk_timm.network import skeleton
from mritk_timm.tensors import network_tensors

timm = pytest.importorskip("timm")


def load(
    architecture: Architecture, weights: Weights, state: dict[str, torch.Tensor], folder: Path
) -> LoadedBackbone:
    """Load ``state`` as if it were the file on the hub."""
    path = folder / "model.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    weights = replace(weights, locate=lambda workspace: path)
    return load_backbone(Backbone(architecture, weights), Workspace(folder), seed=0, size=64)


def records(member: str) -> tuple[Architecture, Weights]:
    architecture, weights, *_ = resolve(member)
    assert isinstance(architecture, Architecture)
    assert isinstance(weights, Weights)
    return architecture, weights


def curated(name: str) -> tuple[Architecture, Weights]:
    yielded = list(mritk_timm.mritk_backbones())
    architecture = next(r for r in yielded if isinstance(r, Architecture) and r.name == name)
    weights = next(r for r in yielded if isinstance(r, Weights) and r.architecture == name)
    return architecture, weights


# timm's own miniature models, one per kind of network, and a whole curated one.
@pytest.mark.parametrize("model", ["test_resnet", "test_convnext", "test_vit", "test_efficientnet"])
def test_the_features_under_timms_classifier_give_timms_logits(model: str, tmp_path: Path) -> None:
    whole = timm.create_model(model).eval()
    loaded = load(*records(model), whole.state_dict(), tmp_path)
    batch = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        logits = whole.get_classifier()(loaded.network(batch))
        torch.testing.assert_close(logits, whole(batch), rtol=0, atol=1e-5)
    assert loaded.report is not None
    assert loaded.report.matched == loaded.report.total == len(whole.state_dict()) - 2


@pytest.mark.slow
def test_inceptions_auxiliary_classifier_goes_with_the_classifier() -> None:
    with torch.device("meta"):
        whole = dict(timm.create_model("inception_v3", aux_logits=True).state_dict())
    assert any(name.startswith("AuxLogits.") for name in whole)

    kept = network_tensors("inception_v3", ("fc",), whole)

    assert set(kept) == set(skeleton("inception_v3").state_dict())


@pytest.mark.slow
def test_a_curated_file_loads_with_full_proof(tmp_path: Path) -> None:
    whole = timm.create_model("resnet18")

    loaded = load(*curated("resnet18"), whole.state_dict(), tmp_path)

    assert loaded.report is not None
    assert str(loaded.report) == "120 of 120 tensors matched"


def test_a_missing_an_extra_and_a_misnamed_tensor_are_refused(tmp_path: Path) -> None:
    whole = dict(timm.create_model("test_resnet").state_dict())
    first = next(iter(whole))
    lacking = {name: tensor for name, tensor in whole.items() if name != first}

    for state, text in (
        (lacking, "1 missing"),
        (whole | {"extra.weight": torch.zeros(1)}, "1 unexpected"),
        (lacking | {"other.weight": whole[first]}, r"1 missing .*1 unexpected"),
        (whole | {first: torch.zeros(2, 2)}, "1 misshapen"),
    ):
        with pytest.raises(WeightsMismatch, match=text):
            load(*records("test_resnet"), state, tmp_path)


def test_position_embeddings_of_another_size_are_refused_and_not_resampled(tmp_path: Path) -> None:
    other = timm.create_model("test_vit", img_size=320).state_dict()

    with pytest.raises(WeightsMismatch, match=r"1 misshapen .*pos_embed"):
        load(*records("test_vit"), other, tmp_path)


@pytest.mark.slow
def test_names_of_the_original_publication_are_translated_by_timm() -> None:
    # Swin's first files also hold tables that the network computes itself.
    model = "swin_tiny_patch4_window7_224"
    own = dict(skeleton(model).state_dict())
    file = own | {
        "layers.0.blocks.0.attn.relative_position_index": torch.zeros(49, 49),
        "head.fc.weight": torch.zeros(1000, 768),
        "head.fc.bias": torch.zeros(1000),
    }

    assert set(network_tensors(model, ("head.fc",), file)) == set(own)
