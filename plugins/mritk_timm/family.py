"""The family ``timm:NAME``: any timm model, with all weights that timm lists for it on the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import timm
from timm.models import PretrainedCfg

from mritk import Architecture, InputContract, Weights
from mritk_timm.blocks import blocks
from mritk_timm.hub import SAFETENSORS, locate_on_hub
from mritk_timm.network import any_size_options, build
from mritk_timm.tensors import network_tensors

# Words in timm's tags that name the data seen in pretraining.
COLLECTIONS = {
    "in1k": "ImageNet-1k",
    "in12k": "ImageNet-12k",
    "in21k": "ImageNet-21k",
    "in22k": "ImageNet-21k",
    "lvd142m": "LVD-142M",
    "lvd1689m": "LVD-1689M",
    "laion400m": "LAION-400M",
    "laion2b": "LAION-2B",
    "yfcc100m": "YFCC-100M",
    "ig1b": "Instagram-1B",
}


def resolve(member: str) -> Iterator[Architecture | Weights]:
    """Yield the architecture ``timm:NAME`` and its weights, for ``NAME`` or ``NAME.TAG``.

    The weights are called by timm's tags; the default is the given tag, else timm's own default,
    else ``scratch``. Weights that timm takes from elsewhere than the hub are left out. The network
    is the same for all tags, so that ``timm:NAME@scratch`` means one thing: tags made for another
    image size load only into models that take any size.

    Raises:
        LookupError: timm has no such model, or no such tag for it.
    """
    model, _, tag = member.partition(".")
    # timm lists no cards for names that it only keeps as deprecated synonyms.
    listed = timm.models.get_arch_pretrained_cfgs(model) if timm.is_model(model) else {}
    if not listed:
        raise LookupError(f"timm has no model {model!r}")
    cards = {card.tag or "default": card for card in listed.values() if card.hf_hub_id}
    if tag and tag not in cards:
        raise LookupError(f"timm has no weights {tag!r} for {model}")
    default = timm.get_pretrained_cfg(model)
    favourite = tag or (default and (default.tag or "default"))
    yield Architecture(
        f"timm:{model}",
        partial(build, model),
        contract(default) if default else InputContract(),
        blocks,
        default_weights=favourite if favourite in cards else "scratch",
        summary=f"timm's {model}",
    )
    for name, card in cards.items():
        yield _weights(model, name, card)


def members() -> Sequence[str]:
    """Return the names of timm's models, and of those with a tag that has weights."""
    return (*timm.list_models(), *timm.list_pretrained())


def contract(card: PretrainedCfg) -> InputContract:
    """Return the input contract that a timm card states: the size is that of training.

    Models that the card calls fixed to it are so only where they have no option for any size.
    """
    sides = card.input_size[1:]
    minimum = card.min_input_size and card.min_input_size[-1]
    fixed = card.fixed_input_size and not any_size_options(str(card.architecture))
    return InputContract(
        sides[0] if len(set(sides)) == 1 else tuple(sides),
        tuple(card.mean),
        tuple(card.std),
        card.interpolation,
        fixed=fixed,
        minimum=minimum or None,
    )


def _weights(model: str, name: str, card: PretrainedCfg) -> Weights:
    classifier = card.classifier or ()
    return Weights(
        f"timm:{model}",
        name,
        partial(locate_on_hub, str(card.hf_hub_id), filename=card.hf_hub_filename or SAFETENSORS),
        contract(card),
        rename=partial(
            network_tensors,
            model,
            (classifier,) if isinstance(classifier, str) else tuple(classifier),
        ),
        license=card.license or "not stated",
        pretrained_on=tuple(
            dict.fromkeys(COLLECTIONS[word] for word in name.split("_") if word in COLLECTIONS)
        ),
        citation=f"https://huggingface.co/{card.hf_hub_id}",
        summary=f"timm's {model}.{name}",
    )
