"""Large networks of timm with fewer layers of each kind: enough to ask what holds for any depth.

The transformer is narrow besides.

A whole VGG-16 alone takes 9 GiB to train. That whole networks train is asked in
tests/test_main_backbones.py; that each has its blocks and sizes, in tests/plugins/timm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
from timm.models import efficientnet

SHALLOW: dict[str, dict[str, Any]] = {
    "convnext_tiny": {"depths": (1, 1, 1, 1)},
    "densenet121": {"block_config": (2, 2, 2, 2)},
    "resnet18": {"layers": (1, 1, 1, 1)},
    "resnet50": {"layers": (1, 1, 1, 1)},
    "samvit_base_patch16": {
        "depth": 3,
        "embed_dim": 96,
        "num_heads": 3,
        "global_attn_indexes": (2,),
    },
    "tf_efficientnetv2_s": {"depth_multiplier": 0.25},
    "vgg16": {"mlp_ratio": 1 / 16},
}
# The EfficientNets are one network, wider and deeper from size to size.
SMALLEST = {f"tf_efficientnet_b{size}": "tf_efficientnet_b0" for size in range(1, 8)}


@pytest.fixture
def shallow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let timm make large networks of a few layers, whose latency few passes tell."""
    whole: Callable[..., Any] = timm.create_model
    family: Callable[..., Any] = efficientnet._gen_efficientnet

    def create(name: str, **options: Any) -> Any:
        return whole(SMALLEST.get(name, name), **options, **SHALLOW.get(name, {}))

    def create_efficientnet(variant: str, **options: Any) -> Any:
        return family(variant, **options | {"depth_multiplier": 0.25})

    monkeypatch.setattr("timm.create_model", create)
    monkeypatch.setattr(efficientnet, "_gen_efficientnet", create_efficientnet)
    monkeypatch.setattr("mritk.model.latency.PASSES", 3)
