"""Networks that are MONAI's: DenseNet-121, ResNets in MedicalNet's layout, BrainIAC's ViT."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from mritk import Unavailable

# Blocks, their kind, and MedicalNet's shortcuts: A pads channels with zeros, B has convolutions.
RESNETS: dict[int, tuple[str, list[int], str]] = {
    18: ("basic", [2, 2, 2, 2], "A"),
    34: ("basic", [3, 4, 6, 3], "A"),
    50: ("bottleneck", [3, 4, 6, 3], "B"),
}


def build_densenet121() -> nn.Module:
    """Return MONAI's DenseNet-121: (N, 1, D, H, W) becomes features (N, 1024).

    Raises:
        Unavailable: MONAI is not installed.
    """
    network = _networks("densenet121_3d").DenseNet121(3, 1, 1)
    network.class_layers.out = nn.Identity()
    return network


def build_resnet(depth: int) -> nn.Module:
    """Return MONAI's ResNet of 18, 34 or 50 layers as MedicalNet has it, stride 2 in the stem.

    (N, 1, D, H, W) becomes features (N, 512), or (N, 2048) of 50 layers.

    Raises:
        Unavailable: MONAI is not installed.
    """
    block, layers, shortcut = RESNETS[depth]
    return _networks(f"resnet{depth}_3d").ResNet(
        block,
        layers,
        [64, 128, 256, 512],
        n_input_channels=1,
        conv1_t_stride=2,
        shortcut_type=shortcut,
        bias_downsample=False,
        feed_forward=False,
    )


def build_vit() -> nn.Module:
    """Return BrainIAC's ViT-B/16 for 96³ voxels: (N, 1, 96, 96, 96) becomes features (N, 768).

    Raises:
        Unavailable: MONAI is not installed.
    """
    network = _networks("vit_b_3d").ViT(in_channels=1, img_size=(96,) * 3, patch_size=(16,) * 3)
    for block in network.blocks:
        # Norms of an attention to other tokens, which this network does not have.
        block.norm_cross_attn = nn.Identity()
    return FirstToken(network)


class FirstToken(nn.Module):
    """What BrainIAC takes for the features of a volume: the first token, that of the first patch.

    Its network has no class token, although its code calls this one so.
    """

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map (N, 1, 96, 96, 96) to (N, 768)."""
        tokens, _ = self.backbone(x)
        return tokens[:, 0]


def vit_stages(network: nn.Module) -> list[tuple[str, list[str]]]:
    """Return the patches' embedding and the twelve blocks; the last norm is with the last."""
    found: dict[str, list[str]] = {}
    stage = "patches"
    for name in network.state_dict():
        parts = name.removeprefix("backbone.").split(".")
        if parts[0] == "blocks":
            stage = f"block {int(parts[1]) + 1}"
        found.setdefault(stage, []).append(name)
    return list(found.items())


def _networks(name: str) -> Any:
    """Return MONAI's module of networks."""
    try:
        from monai.networks import nets
    except ImportError as error:
        raise Unavailable(
            f"{name} is a network of MONAI: pip install 'mritk-bench[volumes]'"
        ) from error
    return nets
