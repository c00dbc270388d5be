"""SAM's image encoder as LVM-Med classifies with it: no neck, no absolute positions, a mean."""

from __future__ import annotations

import timm
import torch
from torch import nn

MODEL = "samvit_base_patch16"


class ImageEncoder(nn.Module):
    """Patches, then blocks with attention in windows of 14, or global in each third block."""

    def __init__(self, patch_embed: nn.Module, blocks: nn.Module) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.blocks = blocks

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Turn (N, 3, H, W) into features (N, 768), the mean over all patches."""
        patches: torch.Tensor = self.blocks(self.patch_embed(images))  # (N, H/16, W/16, 768)
        return patches.mean(dim=(1, 2))


def build() -> nn.Module:
    """Return a freshly initialised encoder with tables of relative positions for 1024 px.

    They are interpolated to the size of the images in each pass.
    """
    network = timm.create_model(MODEL, pretrained=False, num_classes=0, use_abs_pos=False)
    return ImageEncoder(network.patch_embed, network.blocks)
