"""Large networks of timm, narrow and with few layers: enough to ask what holds for any size.

A whole VGG-16 alone takes 9 GiB to train. That whole networks train is asked in
tests/test_main_backbones.py; that each has its blocks and sizes, in tests/plugins/timm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
from timm.models import efficientnet, vgg

# An EfficientNet of few and narrow layers.
SMALL = {"depth_multiplier": 0.25, "channel_multiplier": 0.5}
SHALLOW: dict[str, dict[str, Any]] = {
    "convnext_tiny": {"depths": (1, 1, 1, 1), "dims": (24, 48, 96, 192)},
    "densenet121": {"block_config": (2, 2, 2, 2)},
    "resnet18": {"layers": (1, 1, 1, 1), "channels": (16, 32, 64, 128)},
    "resnet50": {"layers": (1, 1, 1, 1), "channels": (16, 32, 64, 128)},
    "samvit_base_patch16": {
        "depth": 3,
        "embed_dim": 96,
        "num_heads": 3,
        "global_attn_indexes": (2,),
    },
    "tf_efficientnetv2_s": SMALL,
    "vgg16": {"mlp_ratio": 1 / 16},
}
# The EfficientNets are one network, wider and deeper from size to size.
SMALLEST = {f"tf_efficientnet_b{size}": "tf_efficientnet_b0" for size in range(1, 8)}
# An eighth of the channels in each of the convolutions.
VGG = [part if part == "M" else part // 8 for part in vgg.cfgs["vgg16"]]


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let timm make large networks of a few narrow layers, whose latency few passes tell."""
    whole: Callable[..., Any] = timm.create_model
    family: Callable[..., Any] = efficientnet._gen_efficientnet

    def create(name: str, **options: Any) -> Any:
        return whole(SMALLEST.get(name, name), **options, **SHALLOW.get(name, {}))

    def create_efficientnet(variant: str, **options: Any) -> Any:
        return family(variant, **options | SMALL)

    monkeypatch.setattr("timm.create_model", create)
    monkeypatch.setitem(vgg.cfgs, "vgg16", VGG)
    monkeypatch.setattr(efficientnet, "_gen_efficientnet", create_efficientnet)
    monkeypatch.setattr("mritk.model.latency.PASSES", 3)


@pytest.fixture
def shallow_lite(monkeypatch: pytest.MonkeyPatch, shallow: None) -> None:
    """Let timm make shallow EfficientNet-Lites too, which their weights do not fit.

    A package has these weights, so that other tests find them on every machine.
    """
    family: Callable[..., Any] = efficientnet._gen_efficientnet_lite

    def create(variant: str, **options: Any) -> Any:
        return family(variant, **options | SMALL)

    monkeypatch.setattr(efficientnet, "_gen_efficientnet_lite", create)
