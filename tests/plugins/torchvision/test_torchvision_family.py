"""``torchvision:NAME``: any classification model, with torchvision's names for its weights."""

from __future__ import annotations

import pickle

import pytest

import mritk_torchvision
from mritk import InputContract
from mritk.backbone import Backbone
from mritk.errors import UnknownName
from mritk.plugins.registry import Registry
from mritk.records import Architecture, Origin, Weights
from mritk_torchvision.family import members, resolve

models = pytest.importorskip("torchvision.models")


def weights_of(member: str) -> dict[str, Weights]:
    return {r.name: r for r in resolve(member) if isinstance(r, Weights)}


def backbone(name: str) -> Backbone:
    registry = Registry()
    registry.register(mritk_torchvision, Origin("torchvision"))
    return registry.backbone(name)


def test_weights_are_called_as_in_torchvision_and_default_to_its_default() -> None:
    assert backbone("torchvision:resnet50").name == "torchvision:resnet50@imagenet1k_v2"
    assert backbone("torchvision:resnet50@imagenet1k_v1").weights is not None
    assert backbone("torchvision:resnet50@scratch").weights is None


def test_each_contract_does_to_a_pixel_what_torchvisions_transforms_do() -> None:
    import torch

    for member in ("resnet18", "efficientnet_v2_l", "convnext_tiny", "inception_v3"):
        for name, weights in weights_of(member).items():
            preset = models.get_model_weights(member)[name.upper()].transforms()
            contract = weights.input
            assert contract is not None
            grey = torch.full((3, preset.resize_size[0], preset.resize_size[0]), 0.25)
            expected = [(0.25 - m) / s for m, s in zip(contract.mean, contract.std, strict=True)]
            image = preset(grey)
            assert image.shape == (3, contract.size, contract.size)
            torch.testing.assert_close(image.mean((1, 2)), torch.tensor(expected))
            assert contract.interpolation == preset.interpolation.value


def test_known_contracts() -> None:
    assert weights_of("resnet18")["imagenet1k_v1"].input == InputContract(224, minimum=1)
    assert weights_of("inception_v3")["imagenet1k_v1"].input.minimum == 75
    assert weights_of("swin_t")["imagenet1k_v1"].input == InputContract(
        224, interpolation="bicubic"
    )


def test_the_digest_comes_from_the_file_name() -> None:
    assert weights_of("resnet18")["imagenet1k_v1"].sha256 == "f37072fd"
    assert weights_of("vgg16")["imagenet1k_v1"].sha256 == "397923af"
    assert weights_of("mnasnet0_5")["imagenet1k_v1"].sha256 == "3ffadce67e"


def test_every_set_of_weights_has_a_digest_to_be_checked_against() -> None:
    for member in members():
        for name, weights in weights_of(member).items():
            assert len(weights.sha256) >= 8, f"{member}@{name}"


def test_weights_that_cannot_fill_the_network_are_not_offered() -> None:
    assert set(weights_of("vgg16")) == {"imagenet1k_v1"}
    assert set(weights_of("vit_b_16")) == {"imagenet1k_v1", "imagenet1k_swag_linear_v1"}
    # torchvision's default for it has position embeddings for 518 pixels.
    assert backbone("torchvision:vit_h_14").name == "torchvision:vit_h_14@imagenet1k_swag_linear_v1"


def test_licences_and_collections_are_torchvisions() -> None:
    swag = weights_of("regnet_y_16gf")["imagenet1k_swag_linear_v1"]

    assert "SWAG/blob/main/LICENSE" in swag.license
    assert swag.pretrained_on == ("Instagram-3.6B", "ImageNet-1k")
    assert weights_of("resnet18")["imagenet1k_v1"].pretrained_on == ("ImageNet-1k",)


@pytest.mark.parametrize(
    "member", ["", "resnet_18", "quantized_resnet18", "fcn_resnet50", "r3d_18"]
)
def test_what_is_no_classification_model_is_no_member(member: str) -> None:
    with pytest.raises(LookupError):
        list(resolve(member))


def test_a_misspelt_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"did you mean .*torchvision:convnext_tiny"):
        backbone("torchvision:convnext_tny")


def test_records_can_be_sent_to_another_process() -> None:
    records = list(resolve("resnet18"))

    assert any(isinstance(record, Architecture) for record in records)
    assert repr(pickle.loads(pickle.dumps(records))) == repr(records)
