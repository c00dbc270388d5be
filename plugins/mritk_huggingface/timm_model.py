"""A timm model whose architecture and card stand in a repository's ``config.json``."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mritk import InputContract, UsageError
from mritk_huggingface.stages import Stage, timm_stages

if TYPE_CHECKING:
    import torch
    from torch import nn

    StateDict = Mapping[str, torch.Tensor]

CONFIG = "config.json"

BOOKKEEPING = ".num_batches_tracked"

# Transformers with these options take any image size; at the size of their weights nothing changes.
ANY_SIZE = {"dynamic_img_size": True, "dynamic_img_pad": True}


@dataclass(frozen=True)
class TimmModel:
    """A timm model as a repository describes it.

    Attributes:
        architecture: timm's name of it.
        card: timm's ``pretrained_cfg``.
        arguments: Further arguments of the architecture.
    """

    architecture: str
    card: Mapping[str, Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, config: Mapping[str, Any], where: str) -> TimmModel:
        """Return the model that ``config`` names; older repositories have the card at its top.

        Raises:
            UsageError: The installed timm has no such architecture, or the card does not state
                what pixels it expects.
        """
        import timm

        name = str(config["architecture"])
        if not timm.is_model(name):
            raise UsageError(
                f"{where} is a timm model {name!r}, which timm {timm.__version__} does not have; "
                "try a newer version: python -m pip install -U timm"
            )
        card = config.get("pretrained_cfg", config)
        if absent := [key for key in ("input_size", "mean", "std") if not card.get(key)]:
            raise UsageError(
                f"the {CONFIG} of {where} does not state {' and '.join(absent)}, so the input of "
                "its weights is unknown; use a repository that does"
            )
        return cls(name, card, config.get("model_args") or {})

    @property
    def summary(self) -> str:
        """What it is, for listings."""
        return f"timm's {self.architecture}, with timm's pooling"

    def build(self) -> nn.Module:
        """Return the network without classifier: (N, C, H, W) becomes features (N, D)."""
        import timm

        arguments = {"pretrained": False, "num_classes": 0, **self.arguments}
        try:
            return timm.create_model(self.architecture, **arguments, **ANY_SIZE)
        except TypeError:  # an architecture that has no such options
            return timm.create_model(self.architecture, **arguments)

    def input(self) -> InputContract:
        """Return the input contract that the card states: the size is that of training."""
        card = self.card
        return InputContract(
            card["input_size"][-1],
            tuple(card["mean"]),
            tuple(card["std"]),
            "bilinear" if card.get("interpolation") == "bilinear" else "bicubic",
        )

    def stages(self, network: nn.Module) -> Sequence[Stage]:
        """See :func:`mritk_huggingface.stages.timm_stages`."""
        return timm_stages(network)

    def tensors(self, found: StateDict) -> StateDict:
        """Return ``found`` without the classifier that the card names.

        Where the names are still not those of the network, timm's own translation for the
        architecture is tried; what it cannot translate stays as it is and is refused on loading.
        """
        import torch

        with torch.device("meta"):
            network = self.build()
        kept = self._without_classifier(found)
        if _fits(kept, network.state_dict()):
            return kept
        return self._without_classifier(_translated(self.architecture, found, network))

    def _without_classifier(self, found: StateDict) -> StateDict:
        named = self.card.get("classifier") or ()
        heads = tuple(f"{name}." for name in ((named,) if isinstance(named, str) else named))
        return {name: tensor for name, tensor in found.items() if not name.startswith(heads)}


def _fits(found: Collection[str], own: Collection[str]) -> bool:
    return set(found) <= set(own) and all(
        name in found or name.endswith(BOOKKEEPING) for name in own
    )


def _translated(architecture: str, found: StateDict, network: nn.Module) -> StateDict:
    from timm.models import model_entrypoint

    module = sys.modules[model_entrypoint(architecture).__module__]
    translate = getattr(module, "checkpoint_filter_fn", None)
    if translate is None:
        return found
    try:
        return dict(translate(dict(found), network))
    except Exception:  # A translation made for other files may fail in any way on this one.
        return found
