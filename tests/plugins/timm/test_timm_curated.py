"""The curated names: what they promise, compared with timm's own cards and networks."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

import mritk_timm
from mritk import Architecture, Weights
from mritk.model.blocks import blocks_of
from mritk.plugins.registry import Registry
from mritk.records import Origin
from mritk_timm.blocks import blocks
from mritk_timm.curated import CURATED, Curated, Published
from mritk_timm.family import contract
from mritk_timm.network import build, skeleton

timm = pytest.importorskip("timm")

ROWS = [pytest.param(row, p, id=f"{row.name}@{p.name}") for row in CURATED for p in row.weights]
RECORDS = list(mritk_timm.mritk_backbones())
ARCHITECTURES = [record for record in RECORDS if isinstance(record, Architecture)]
# One of each design; the others are larger, and take longer to build.
SMALLEST = ("convnext_tiny", "efficientnet_b0", "resnet18", "vit_small")


def marked(architectures: list[Architecture]) -> list:
    """Return the architectures, all but the smallest of them with the mark ``slow``."""
    slow = pytest.mark.slow
    return [a if a.name in SMALLEST else pytest.param(a, marks=slow) for a in architectures]


@pytest.fixture(scope="module")
def registry() -> Registry:
    registry = Registry()
    registry.register(mritk_timm, Origin("timm"))
    return registry


@pytest.mark.parametrize(("row", "published"), ROWS)
def test_each_row_states_what_timms_card_says(row: Curated, published: Published) -> None:
    card = timm.get_pretrained_cfg(f"{row.model}.{published.tag}")

    assert published.input == contract(card)
    assert published.license == card.license
    assert row.classifier == card.classifier
    assert card.hf_hub_id == f"timm/{row.model}.{published.tag}"


def test_imagenet_always_means_imagenet_1k_alone() -> None:
    for weights in RECORDS:
        if isinstance(weights, Weights) and weights.name.startswith("imagenet"):
            larger = "21k" in weights.name
            assert (weights.pretrained_on == ("ImageNet-1k",)) is not larger


def test_every_record_can_be_sent_to_another_process() -> None:
    assert repr(pickle.loads(pickle.dumps(RECORDS))) == repr(RECORDS)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", marked(ARCHITECTURES), ids=lambda a: a.name)
def test_each_network_turns_any_image_size_into_features(architecture: Architecture) -> None:
    # On torch's meta device only shapes are computed, which takes no time or memory. 100 px is no
    # multiple of any patch size.
    network, widths = skeleton(architecture.name, architecture.build).eval(), set()
    with torch.device("meta"):
        for side in (100, architecture.input.size):
            features = network(torch.zeros(2, 3, side, side))
            assert features.ndim == 2
            widths.add(features.shape[1])

    (width,) = widths
    assert f"{width} features" in architecture.summary


@pytest.mark.parametrize("architecture", marked(ARCHITECTURES), ids=lambda a: a.name)
def test_stages_hold_every_tensor_exactly_once_from_stem_to_output(
    architecture: Architecture,
) -> None:
    network = skeleton(architecture.name, architecture.build)

    stages = blocks_of(network, architecture)  # raises unless every tensor is there once

    assert len(stages) >= 5
    names = list(network.state_dict())
    assert names[0] in stages[0].tensors
    assert names[-1] in stages[-1].tensors


@pytest.mark.parametrize("model", ["test_resnet", "test_vit"])
def test_a_skeleton_is_the_network_without_values_and_draws_nothing(model: str) -> None:
    before = torch.get_rng_state()
    found = skeleton(model).state_dict(keep_vars=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(tensor.is_meta for tensor in found.values())
    facts = [
        [(name, t.shape, t.dtype, t.requires_grad) for name, t in tensors.items()]
        for tensors in (found, build(model).state_dict(keep_vars=True))
    ]
    assert facts[0] == facts[1]


def test_a_network_that_computes_its_widths_has_a_skeleton_too_and_draws_nothing() -> None:
    """As RegNets do in timm 1.0.21; no value can be asked on torch's ``meta`` device."""

    def computing() -> nn.Module:
        return nn.Linear(3, int(torch.linspace(8, 16, 3).max()))

    before = torch.get_rng_state()
    assert skeleton("computing", computing).state_dict()["weight"].shape == (16, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_fails_with_values_too_says_why() -> None:
    def failing() -> nn.Module:
        raise RuntimeError("no such width")

    with pytest.raises(RuntimeError, match="no such width"):
        skeleton("failing", failing)


@pytest.mark.slow
def test_stages_carry_the_names_of_their_modules() -> None:
    names = {}
    for model in ("resnet18", "convnext_tiny", "densenet121"):
        names[model] = [name for name, _ in blocks(skeleton(model))]

    assert names["resnet18"] == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    assert names["convnext_tiny"] == ["stem", *(f"stages.{i}" for i in range(4))]
    # The closing norm5 belongs to the last dense block, as the transitions do to the others.
    dense = [f"features.denseblock{i}" for i in range(1, 5)]
    assert names["densenet121"] == ["features.conv0", *dense]


@pytest.mark.parametrize(
    "model",
    ["test_vit", pytest.param("vit_small_patch14_dinov2", marks=pytest.mark.slow)],
)
def test_at_its_own_size_an_any_size_transformer_is_the_fixed_size_one(model: str) -> None:
    ours = build(model).eval()
    fixed = timm.create_model(model, num_classes=0, dynamic_img_size=False).eval()
    fixed.load_state_dict(ours.state_dict())
    size = timm.get_pretrained_cfg(model).input_size[-1]
    batch = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))

    with torch.inference_mode():
        torch.testing.assert_close(ours(batch), fixed(batch), rtol=0, atol=1e-5)


def test_the_plain_name_means_imagenet(registry: Registry) -> None:
    assert registry.backbone("densenet121").name == "densenet121@imagenet"
    assert registry.backbone("dinov2_small").name == "dinov2_small@lvd142m"
