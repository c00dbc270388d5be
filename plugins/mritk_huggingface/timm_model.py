"""A timm model whose architecture and card stand in a repository's ``config.json``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from mritk import InputContract, StateDict, UsageError, lazy
from mritk_huggingface.preprocessor import sides_of

CONFIG = "config.json"

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
    arguments: Mapping[str, Any]
    stages = staticmethod(lazy("mritk_timm.blocks:blocks"))  # as under the prefix timm:

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

        arguments = {**self.arguments, "pretrained": False, "num_classes": 0}
        try:
            return timm.create_model(self.architecture, **arguments, **ANY_SIZE)
        except TypeError:  # an architecture that has no such options
            return timm.create_model(self.architecture, **arguments)

    def input(self) -> InputContract:
        """Return the input contract that the card states: the size is that of training."""
        card = self.card
        return InputContract(
            sides_of(card["input_size"][1:]),
            tuple(card["mean"]),
            tuple(card["std"]),
            "bilinear" if card.get("interpolation") == "bilinear" else "bicubic",
        )

    @property
    def tensors(self) -> Callable[[StateDict], StateDict]:
        """Turns the tensors of a file into the network's: without the classifier of the card."""
        named = self.card.get("classifier") or ()
        heads = (named,) if isinstance(named, str) else tuple(named)
        translate = lazy("mritk_timm.tensors:network_tensors")
        return partial(translate, self.architecture, heads, build=self.build)
