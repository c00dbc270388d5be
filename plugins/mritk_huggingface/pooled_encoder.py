"""Features of an image encoder of transformers, pooled to one vector per image."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import nn


class PooledEncoder(nn.Module):
    """Turns (N, C, H, W) into (N, D).

    The features are the encoder's ``pooler_output`` if it has one. Else, of tokens, they are the
    class token's, or the mean of all tokens where there is no class token; of maps, their mean.

    Args:
        encoder: A base model of transformers that takes ``pixel_values``.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        known = inspect.signature(encoder.forward).parameters
        # At the size of the weights this changes nothing; at others it makes them usable.
        self._any_size = "interpolate_pos_encoding" in known
        self._class_token = any(n.endswith("cls_token") for n, _ in encoder.named_parameters())

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the features (N, D) of normalised images (N, C, H, W)."""
        options: dict[str, Any] = {"interpolate_pos_encoding": True} if self._any_size else {}
        output = self.encoder(pixel_values=images, return_dict=True, **options)
        pooled = getattr(output, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        hidden = output.last_hidden_state
        if hidden.ndim == 4:
            return hidden.mean((2, 3))
        return hidden[:, 0] if self._class_token else hidden.mean(1)
