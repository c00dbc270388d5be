"""An image encoder of transformers as a network that gives one feature vector per image."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn


class Encoder(nn.Module):
    """Turns (N, C, H, W) into features (N, D).

    The features are the class token after the last layer; for networks without one their own pooled
    output, or else the mean over all positions.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        names = [name.rpartition(".")[2] for name in model.state_dict()]
        self._class_token = "cls_token" in names
        # Vision transformers then take other sizes than that of their weights.
        accepted = inspect.signature(model.forward).parameters
        self._options = (
            {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in accepted else {}
        )
        for name, parameter in model.named_parameters():
            if name.endswith("mask_token"):  # of the pretraining; no feature depends on it
                parameter.requires_grad_(False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the features of a normalised batch."""
        found = self.model(pixel_values=batch, return_dict=True, **self._options)
        hidden: torch.Tensor = found.last_hidden_state
        if self._class_token:
            return hidden[:, 0]
        pooled = getattr(found, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        return hidden.mean(dim=1) if hidden.ndim == 3 else hidden.flatten(2).mean(dim=2)
