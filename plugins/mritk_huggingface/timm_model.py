"""Repositories written by timm: ``config.json`` names the architecture and its preprocessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mritk import InputContract
from mritk_huggingface.contract import make_contract
from mritk_huggingface.hub import unavailable

if TYPE_CHECKING:
    import torch

    StateDict = Mapping[str, torch.Tensor]
    Config = Mapping[str, Any]

INTERPOLATIONS = ("bilinear", "bicubic")


def require_known(config: Config, repository: str) -> None:
    """Refuse an architecture that timm does not have."""
    from timm.models import is_model

    if not is_model(config["architecture"]):
        raise unavailable(
            repository, "model", f"timm has no architecture {config['architecture']!r}"
        )


def describe(config: Config) -> str:
    """Return what the network is."""
    return f"timm's {config['architecture']}"


def build(config: Config) -> torch.nn.Module:
    """Return the network without its classifier: (N, C, H, W) becomes features (N, D)."""
    import timm

    arguments = dict(config.get("model_args") or {})
    arguments.pop("num_classes", None)
    return timm.create_model(config["architecture"], pretrained=False, num_classes=0, **arguments)


def contract(config: Config, preprocessing: Mapping[str, Any]) -> InputContract:
    """Return the input contract of timm's card in ``pretrained_cfg``."""
    card = config.get("pretrained_cfg") or {}
    channels, size = card.get("input_size", (3, 224, 224))[:2]
    interpolation = card.get("interpolation", "bicubic")
    return make_contract(
        size,
        card.get("mean", (0.485, 0.456, 0.406)),
        card.get("std", (0.229, 0.224, 0.225)),
        interpolation if interpolation in INTERPOLATIONS else "bicubic",
        channels,
    )


def rename(config: Config, found: StateDict) -> StateDict:
    """Return the tensors without those of the classifier that the card names, and no others."""
    card = config.get("pretrained_cfg") or {}
    classifiers = card.get("classifier") or ()
    heads = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    prefixes = tuple(f"{head}." for head in heads)
    return {name: tensor for name, tensor in found.items() if not name.startswith(prefixes)}
