"""Build a torchvision classifier as a backbone: its last ``Linear`` becomes ``Identity``."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from mritk import UsageError

CLASSES = 1000  # what torchvision's networks are built for, and how the classifier is told

# torchvision's vision transformers take one image size only.
TRANSFORMER_SIZE = 224

# These two take ImageNet-normalised images and normalise them anew to [-1, 1] inside, as the
# weights of their first publication want it. torchvision switches that on together with the
# weights; it must be on from the start, so that scratch and pretrained share one input contract.
# The auxiliary classifiers serve the training on ImageNet only.
INCEPTIONS = ("googlenet", "inception_v3")


def build(name: str) -> nn.Module:
    """Return the network without its classifier: (N, 3, H, W) becomes features (N, D).

    Raises:
        UsageError: The network has no final ``Linear`` (squeezenet).
    """
    network = classifier_network(name)
    path = classifier_path(network, name)
    parent, _, last = path.rpartition(".")
    setattr(network.get_submodule(parent), last, nn.Identity())
    return network


def classifier_network(name: str) -> nn.Module:
    """Return torchvision's own network without weights and auxiliary classifiers."""
    options: dict[str, Any] = {}
    if name in INCEPTIONS:
        options = {"aux_logits": False, "transform_input": True, "init_weights": True}
    network: nn.Module = models.get_model(name, weights=None, **options)
    return network


def classifier_path(network: nn.Module, name: str) -> str:
    """Return the path of the final ``Linear``, such as ``classifier.6``.

    Raises:
        UsageError: There is none.
    """
    paths = [path for path, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not paths or getattr(network.get_submodule(paths[-1]), "out_features", 0) != CLASSES:
        raise UsageError(
            f"torchvision:{name} has no final Linear layer whose input could serve as features; "
            "use another architecture, such as torchvision:mobilenet_v3_small"
        )
    return paths[-1]


def is_transformer(name: str) -> bool:
    """Return whether ``name`` is one of torchvision's plain vision transformers."""
    return name.startswith("vit_")
