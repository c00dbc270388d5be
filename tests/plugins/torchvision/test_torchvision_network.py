"""The features are what torchvision's own classifier sees."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from mritk.backbone import Backbone
from mritk.errors import UsageError, WeightsMismatch
from mritk.files.workspace import Workspace
from mritk.model.backbone import LoadedBackbone, load_backbone
from mritk.model.blocks import blocks_of
from mritk.records import Architecture, Weights
from mritk_torchvision.family import resolve
from mritk_torchvision.network import (
    TRANSFORMER_SIZE,
    build,
    classifier_network,
    classifier_path,
    is_transformer,
)
from mritk_torchvision.tensors import network_tensors

models = pytest.importorskip("torchvision.models")

NAMES = (
    "resnet18",
    "densenet121",
    "vgg11",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "convnext_tiny",
    "vit_b_32",
    "swin_t",
    "inception_v3",
    "googlenet",
)
HEAVY = ("vgg11", "vit_b_32", "inception_v3", "googlenet")


def records(member: str) -> tuple[Architecture, Weights]:
    architecture, weights, *_ = resolve(member)
    assert isinstance(architecture, Architecture)
    assert isinstance(weights, Weights)
    return architecture, weights


def whole_network(name: str) -> torch.nn.Module:
    """Return torchvision's network as its weights make it: with input transform and aux heads."""
    if name in ("inception_v3", "googlenet"):
        options = {"transform_input": True, "init_weights": False, "aux_logits": True}
        return models.get_model(name, weights=None, **options)
    return models.get_model(name, weights=None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in HEAVY else []) for n in NAMES]
)
def test_features_under_the_original_classifier_give_the_original_logits(name: str) -> None:
    torch.manual_seed(0)
    whole = whole_network(name).eval()
    classifier = whole.get_submodule(classifier_path(whole, name))
    torch.nn.init.normal_(classifier.weight)  # the transformers' is zero
    # On the meta device nothing is initialised; every value then comes from the file's tensors.
    with torch.device("meta"):
        network = build(name).eval()
    network.load_state_dict(network_tensors(name, whole.state_dict()), assign=True)
    size = TRANSFORMER_SIZE if is_transformer(name) else 96
    batch = torch.randn(1, 3, size, size)

    with torch.inference_mode():
        expected = whole(batch)
        torch.testing.assert_close(classifier(network(batch)), expected, rtol=1e-5, atol=1e-5)
    assert expected.std() > 0


def load(
    architecture: Architecture, weights: Weights, state: dict[str, torch.Tensor], folder: Path
) -> LoadedBackbone:
    """Load ``state`` as if it were torchvision's file."""
    content = io.BytesIO()
    torch.save(state, content)
    path = folder / "weights.pth"
    path.write_bytes(content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    weights = replace(weights, locate=lambda workspace: path, sha256=digest[:8])
    return load_backbone(Backbone(architecture, weights), Workspace(folder), seed=0, size=64)


@pytest.mark.slow
def test_exactly_the_classifier_goes_and_all_else_is_proven(tmp_path: Path) -> None:
    whole = models.mobilenet_v3_small().state_dict()

    loaded = load(*records("mobilenet_v3_small"), whole, tmp_path)

    assert loaded.report is not None
    assert loaded.report.matched == loaded.report.total == len(whole) - 2
    assert loaded.num_features == 1024


@pytest.mark.slow
def test_an_extra_a_missing_and_a_misnamed_tensor_are_refused(tmp_path: Path) -> None:
    whole = dict(models.mobilenet_v3_small().state_dict())
    first = next(iter(whole))
    lacking = {name: tensor for name, tensor in whole.items() if name != first}

    for state, text in (
        (lacking, "1 missing"),
        (whole | {"extra.weight": torch.zeros(1)}, "1 unexpected"),
        (lacking | {"other.weight": whole[first]}, r"1 missing .*1 unexpected"),
    ):
        with pytest.raises(WeightsMismatch, match=text):
            load(*records("mobilenet_v3_small"), state, tmp_path)


def test_a_network_that_asks_for_the_version_of_its_state_dict_loads(tmp_path: Path) -> None:
    whole = models.mnasnet0_5().state_dict()

    assert load(*records("mnasnet0_5"), whole, tmp_path).report is not None


@pytest.mark.slow
def test_densenets_file_with_its_older_names_loads(tmp_path: Path) -> None:
    whole = models.densenet121().state_dict()
    # The published file calls the layers norm.1, conv.1, …; and knows no num_batches_tracked.
    older = {
        name.replace("norm1.", "norm.1.").replace("norm2.", "norm.2.")
        .replace("conv1.", "conv.1.").replace("conv2.", "conv.2."): tensor
        for name, tensor in whole.items()
        if not name.endswith("num_batches_tracked")
    }  # fmt: skip
    assert "features.denseblock1.denselayer1.norm.1.weight" in older

    loaded = load(*records("densenet121"), older, tmp_path)

    assert loaded.report is not None
    assert loaded.report.complete
    name = "features.denseblock4.denselayer16.conv2.weight"
    assert torch.equal(loaded.network.state_dict()[name], whole[name])


def test_the_transformers_file_with_its_older_names_is_renamed() -> None:
    with torch.device("meta"):
        own = list(build("vit_b_32").state_dict())
        whole = classifier_network("vit_b_32").state_dict()
    older = {
        name.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): tensor
        for name, tensor in whole.items()
    }
    assert "encoder.layers.encoder_layer_0.mlp.linear_1.weight" in older

    assert list(network_tensors("vit_b_32", older)) == own


@pytest.mark.slow
def test_inception_normalises_inside_from_the_start_and_has_no_auxiliary_output() -> None:
    with torch.device("meta"):
        for name in ("inception_v3", "googlenet"):
            network = build(name).train()
            assert network.transform_input
            assert network(torch.zeros(2, 3, 96, 96)).shape[0] == 2


def test_the_transformers_stages_are_its_layers() -> None:
    architecture, _ = records("vit_b_32")
    with torch.device("meta"):
        stages = blocks_of(build("vit_b_32"), architecture)

    layers = [f"encoder.layers.encoder_layer_{i}" for i in range(12)]
    assert [stage.name for stage in stages] == ["input", *layers]
    assert {"class_token", "conv_proj.weight", "encoder.pos_embedding"} <= set(stages[0].tensors)
    assert "encoder.ln.weight" in stages[-1].tensors


def test_a_network_without_a_final_linear_layer_is_refused_with_a_way_out() -> None:
    with pytest.raises(UsageError, match=r"squeezenet1_0 has no final Linear .* use another"):
        build("squeezenet1_0")
