"""Build a timm model as a backbone: no classifier, pooled features, any image size it can take."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import timm
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

# Transformers with these options interpolate their position embeddings to the size of the batch
# and pad it to whole patches. At the size of the weights nothing changes, and the embeddings keep
# the shape they have in the weight file.
ANY_SIZE_OPTIONS = ("dynamic_img_size", "dynamic_img_pad")

# What initialises tensors, in place: the functions, and what those that are not listed here call.
FILLING = frozenset(
    getattr(place, name)
    for place, names in (
        (nn.init, "uniform_ normal_ constant_ kaiming_uniform_"),
        (torch.Tensor, "uniform_ normal_ fill_ zero_ erfinv_ mul_ add_ clamp_"),
    )
    for name in names.split()
)


class _WithoutValues(TorchFunctionMode):
    """Leaves out the initialisation of tensors on torch's ``meta`` device, which have no values.

    torch would compute the shapes of each step of it, which takes most of the time of a build.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if func in FILLING:
            tensor = args[0] if args else given["tensor"]
            if tensor.is_meta:
                return tensor
        return func(*args, **given)


def build(model: str) -> nn.Module:
    """Return the timm model without its classifier: (N, 3, H, W) becomes features (N, D)."""
    options = dict.fromkeys(any_size_options(model), True)
    return timm.create_model(model, pretrained=False, num_classes=0, **options)


def skeleton(model: str, build: Callable[[], nn.Module] | None = None) -> nn.Module:
    """Return the same network without values, on torch's ``meta`` device: names and shapes.

    One whose shapes depend on values, as those of RegNets did in timm 1.0.21, has values.
    """
    make = build or partial(timm.create_model, model, pretrained=False, num_classes=0)
    try:
        with torch.device("meta"), _WithoutValues():
            return make()
    except RuntimeError:
        with torch.random.fork_rng(devices=()):
            return make()


@cache
def any_size_options(model: str) -> tuple[str, ...]:
    """Return those of the options above that the model has; empty if it takes one size or all."""
    # timm hands unknown options on to the class, which fails on them; so the class is asked. Its
    # parents are asked too because subclasses pass their options up as **kwargs.
    parents = inspect.getmro(type(skeleton(model)))
    known = {name for parent in parents for name in inspect.signature(parent).parameters}
    return tuple(option for option in ANY_SIZE_OPTIONS if option in known)
