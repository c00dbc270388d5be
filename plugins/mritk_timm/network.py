"""Build a timm model as a backbone: no classifier, pooled features, any image size it can take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache

import timm
import torch
from torch import nn

# Transformers with these options interpolate their position embeddings to the size of the batch
# and pad it to whole patches. At the size of the weights nothing changes, and the embeddings keep
# the shape they have in the weight file.
ANY_SIZE_OPTIONS = ("dynamic_img_size", "dynamic_img_pad")


def build(model: str) -> nn.Module:
    """Return the timm model without its classifier: (N, 3, H, W) becomes features (N, D)."""
    options = dict.fromkeys(any_size_options(model), True)
    return timm.create_model(model, pretrained=False, num_classes=0, **options)


def skeleton(model: str, build: Callable[[], nn.Module] | None = None) -> nn.Module:
    """Return the same network without values, on torch's ``meta`` device: names and shapes."""
    with torch.device("meta"):
        return build() if build else timm.create_model(model, pretrained=False, num_classes=0)


@cache
def any_size_options(model: str) -> tuple[str, ...]:
    """Return those of the options above that the model has; empty if it takes one size or all."""
    # timm hands unknown options on to the class, which fails on them; so the class is asked. Its
    # parents are asked too because subclasses pass their options up as **kwargs.
    parents = inspect.getmro(type(skeleton(model)))
    known = {name for parent in parents for name in inspect.signature(parent).parameters}
    return tuple(option for option in ANY_SIZE_OPTIONS if option in known)
