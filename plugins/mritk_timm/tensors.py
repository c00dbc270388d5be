"""Turn the tensors of a timm weight file into those of the backbone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection

from timm.models import model_entrypoint
from torch import nn

from mritk import StateDict
from mritk_timm.network import skeleton

# torchvision's Inception was saved with the auxiliary classifier that it needed in training. It is
# not named in timm's card.
AUXILIARY = {"inception_v3": ("AuxLogits",)}

BOOKKEEPING = ".num_batches_tracked"


def network_tensors(
    model: str,
    classifiers: tuple[str, ...],
    found: StateDict,
    build: Callable[[], nn.Module] | None = None,
) -> StateDict:
    """Return ``found`` without the classifiers, under the names of the timm model ``model``.

    Files on the hub mostly carry the model's own names. Some carry those of the original
    publication, for which timm's model file has a translation (``checkpoint_filter_fn``); it is
    used only if the names do not fit, because some translations also resample tensors of another
    shape, which the proof of loading must see and refuse. Whatever still does not fit stays as it
    is and is refused there too. ``build`` returns the network, if it is not timm's as it comes.
    """
    heads = classifiers + AUXILIARY.get(model, ())
    kept = without(heads, found)
    network = skeleton(model, build)
    if _fits(kept, network.state_dict()):
        return kept
    return without(heads, _translate(model, found, network))


def without(heads: tuple[str, ...], found: StateDict) -> StateDict:
    """Return ``found`` without the tensors of the modules named in ``heads``."""
    prefixes = tuple(f"{head}." for head in heads)
    return {name: tensor for name, tensor in found.items() if not name.startswith(prefixes)}


def _fits(found: Collection[str], own: Collection[str]) -> bool:
    return all(name in own for name in found) and all(
        name in found or name.endswith(BOOKKEEPING) for name in own
    )


def _translate(model: str, found: StateDict, network: nn.Module) -> StateDict:
    module = sys.modules[model_entrypoint(model).__module__]
    translate = getattr(module, "checkpoint_filter_fn", None)
    if translate is None:
        return found
    try:
        return dict(translate(dict(found), network))
    except Exception:  # A translation made for other files may fail in any way on this one.
        return found
