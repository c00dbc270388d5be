"""``timm:NAME`` and ``timm:NAME.TAG``: any model that timm knows."""

from __future__ import annotations

import pickle

import pytest
from packaging.version import Version

import mritk_timm
from mritk import InputContract
from mritk.backbone import Backbone
from mritk.errors import UnknownName
from mritk.model.blocks import blocks_of
from mritk.plugins.registry import Registry
from mritk.records import Architecture, Origin, Weights
from mritk_timm.family import contract, members, resolve
from mritk_timm.network import skeleton

timm = pytest.importorskip("timm")
PretrainedCfg = timm.models.PretrainedCfg


def architecture_of(member: str) -> Architecture:
    return next(r for r in resolve(member) if isinstance(r, Architecture))


def weights_of(member: str) -> dict[str, Weights]:
    return {r.name: r for r in resolve(member) if isinstance(r, Weights)}


def backbone(name: str) -> Backbone:
    registry = Registry()
    registry.register(mritk_timm, Origin("timm"))
    return registry.backbone(name)


def test_a_tag_chooses_the_weights_and_not_the_architecture() -> None:
    found = backbone("timm:convnext_tiny.fb_in22k_ft_in1k_384")

    assert found.name == "timm:convnext_tiny@fb_in22k_ft_in1k_384"
    assert found.input.size == 384
    assert found.name == backbone("timm:convnext_tiny@fb_in22k_ft_in1k_384").name


def test_without_a_tag_timms_own_default_is_taken() -> None:
    assert backbone("timm:resnet18").name == "timm:resnet18@a1_in1k"
    assert backbone("timm:tf_efficientnet_lite0").name == "timm:tf_efficientnet_lite0@in1k"


def test_a_model_without_published_weights_starts_from_scratch() -> None:
    bare = next(m for m in timm.list_models("resnet*") if not timm.list_pretrained(m))

    assert backbone(f"timm:{bare}").name == f"timm:{bare}@scratch"


def test_scratch_has_one_input_contract_whatever_the_tag() -> None:
    plain, tagged = architecture_of("resnet50"), architecture_of("resnet50.a3_in1k")

    assert plain.input == tagged.input == weights_of("resnet50")["a1_in1k"].input
    assert weights_of("resnet50")["a3_in1k"].input == InputContract(160, interpolation="bicubic")


def test_an_input_that_is_not_square_keeps_both_sides() -> None:
    card = {"architecture": "resnet18", "mean": (0.5,) * 3, "std": (0.5,) * 3}

    assert contract(PretrainedCfg(input_size=(3, 64, 48), **card)).size == (64, 48)
    assert contract(PretrainedCfg(input_size=(3, 64, 64), **card)).size == 64


def test_weights_carry_the_cards_licence_and_the_data_their_tag_names() -> None:
    weights = weights_of("convnext_tiny")

    assert weights["in12k_ft_in1k"].pretrained_on == ("ImageNet-12k", "ImageNet-1k")
    assert weights["dinov3_lvd1689m"].license == "dinov3-license"


@pytest.mark.parametrize("member", ["", "resnet_18", "resnet18.nosuch", "hf-hub:a/b", "../x"])
def test_unknown_models_and_tags_are_no_members(member: str) -> None:
    with pytest.raises(LookupError):
        list(resolve(member))


@pytest.mark.slow
def test_a_misspelt_name_is_answered_with_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"did you mean .*timm:convnext_tiny\.in12k_ft_in1k"):
        backbone("timm:convnext_tiny.in12k_ft_in1")
    assert "convnext_tiny" in members()


def test_records_can_be_sent_to_another_process() -> None:
    records = list(resolve("resnet18"))

    assert repr(pickle.loads(pickle.dumps(records))) == repr(records)


def one_model_of_each_file() -> list[str]:
    by_file: dict[str, str] = {}
    for name in sorted(timm.list_models(), key=len, reverse=True):
        by_file[timm.models.model_entrypoint(name).__module__] = name
    return sorted(by_file.values())


@pytest.mark.slow
def test_stages_hold_every_tensor_once_for_all_of_timms_model_files() -> None:
    models = one_model_of_each_file()
    # Before, timm's grouping of LeViT names blocks that it does not have.
    one_stage = {"levit_512"} if Version(timm.__version__) < Version("1.0.31") else set()
    for model in models:
        stages = blocks_of(skeleton(model), architecture_of(model))
        assert len(stages) > 1 or model in one_stage, model
    assert len(models) > 50


@pytest.mark.slow
@pytest.mark.parametrize("name", ["caformer_s18", "poolformer_s12"])
def test_a_model_of_which_timm_declares_no_cuts_is_cut_at_its_stages(name):
    import timm
    import torch

    from mritk_timm.blocks import blocks

    with torch.device("meta"):
        network = timm.create_model(name, num_classes=0)
    cuts = dict(blocks(network))
    assert list(cuts) == ["stem", "stages.0", "stages.1", "stages.2", "stages.3"]
    assert sorted(name for names in cuts.values() for name in names) == sorted(network.state_dict())
