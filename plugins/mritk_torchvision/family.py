"""The family ``torchvision:NAME``: a classification model and torchvision's weights for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

from torchvision import models
from torchvision.models import WeightsEnum

from mritk import Architecture, InputContract, Weights
from mritk_torchvision.blocks import transformer_blocks
from mritk_torchvision.download import digest_in, locate
from mritk_torchvision.network import TRANSFORMER_SIZE, build, is_transformer
from mritk_torchvision.tensors import network_tensors

UNSTATED = "not stated; torchvision's code is BSD-3-Clause"


def resolve(member: str) -> Iterator[Architecture | Weights]:
    """Yield the architecture ``torchvision:NAME`` and its weights.

    The weights are called as in torchvision, in lower case: ``imagenet1k_v1``. The default is
    torchvision's. Two kinds are left out: weights without a classification accuracy, which do not
    fill the network (VGG-16's ``IMAGENET1K_FEATURES``), and vision transformers' weights for
    another image size, whose position embeddings have another shape.

    Raises:
        LookupError: torchvision has no such classification model.
    """
    if member not in members():
        raise LookupError(f"torchvision has no classification model {member!r}")
    offered = [w for w in models.get_model_weights(member) if _fills_the_network(member, w)]
    default = getattr(models.get_model_weights(member), "DEFAULT", None)
    first = default if default in offered else next(iter(offered), None)
    yield Architecture(
        f"torchvision:{member}",
        partial(build, member),
        contract(first) if first else InputContract(),
        transformer_blocks if is_transformer(member) else None,
        default_weights=first.name.lower() if first else "scratch",
        summary=f"torchvision's {member}",
    )
    for published in offered:
        yield _weights(member, published)


def members() -> Sequence[str]:
    """Return the names of torchvision's classification models."""
    return tuple(models.list_models(module=models))


def contract(published: WeightsEnum) -> InputContract:
    """Return the input contract that ``published.transforms()`` applies, and its smallest side."""
    preset, stated = published.transforms(), published.meta["min_size"][0]
    return InputContract(
        preset.crop_size[0],
        tuple(preset.mean),
        tuple(preset.std),
        preset.interpolation.value,
        # Of transformers, torchvision states the size of training, though some take less.
        minimum=stated if stated < preset.crop_size[0] else None,
    )


def _fills_the_network(member: str, published: WeightsEnum) -> bool:
    accuracy = published.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1", math.nan)
    fits = not is_transformer(member) or contract(published).size == TRANSFORMER_SIZE
    return fits and not math.isnan(accuracy)


def _weights(member: str, published: WeightsEnum) -> Weights:
    # SWAG: trained on 3.6 billion Instagram images, then on ImageNet (arXiv:2201.08371).
    before = ("Instagram-3.6B",) if "SWAG" in published.name else ()
    return Weights(
        f"torchvision:{member}",
        published.name.lower(),
        partial(locate, published.url),
        contract(published),
        sha256=digest_in(published.url),
        rename=partial(network_tensors, member),
        license=published.meta.get("license", UNSTATED),
        pretrained_on=(*before, "ImageNet-1k"),
        citation=published.meta.get("recipe", published.url),
        summary=f"torchvision's {published}",
    )
