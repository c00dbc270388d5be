"""The network of a trial: normalisation, backbone, head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from mritk.model.blocks import Block
from mritk.protocol.recipe import Head

HEAD = "head."
BACKBONE = "backbone."
ADAPTED = "parametrizations.weight."
# The attribute of a linear layer that tells the factor of its penalty.
PENALTY = "l2_penalty"
# Their weights may have several dimensions, and are no matrices: vectors of positions, and scales.
TABLES = (nn.Embedding, nn.LayerNorm, nn.RMSNorm)


class Network(nn.Module):
    """A backbone and a head. Its tensors are called ``backbone.…`` and ``head.…``."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Map a normalised batch (N, C, *spatial) to outputs (N, K)."""
        return self.head(self.backbone(batch))


def build_head(features: int, outputs: int, layout: Head) -> nn.Sequential:
    """Return the head: ``features`` values in, ``outputs`` values out."""
    layers: list[nn.Module] = []
    if layout.batch_norm:
        epsilon, momentum = layout.batch_norm_epsilon, layout.batch_norm_momentum
        layers = [nn.BatchNorm1d(features, epsilon, momentum)]
    width = features
    for hidden in layout.hidden:
        linear = nn.Linear(width, hidden.width)
        if hidden.l2:
            setattr(linear, PENALTY, hidden.l2)
        layers += [linear, nn.ReLU(), nn.Dropout(hidden.dropout)]
        width = hidden.width
    layers += [nn.Dropout(layout.dropout), nn.Linear(width, outputs)]
    if layout.initialisation == "glorot":
        for linear in (layer for layer in layers if isinstance(layer, nn.Linear)):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.zeros_(linear.bias)
    return nn.Sequential(*[layer for layer in layers if not _is_idle(layer)])


def penalty(network: Network) -> float:
    """Return the sum of ``l2 · ‖W‖²`` over the linear layers that have a penalty."""
    return sum(
        getattr(module, PENALTY) * float(module.weight.detach().square().sum())
        for module in network.head.modules()
        if isinstance(module, nn.Linear) and hasattr(module, PENALTY)
    )


def _is_idle(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Dropout) and layer.p == 0


def parameter_groups(
    network: Network,
    *,
    learning_rate: float,
    backbone_learning_rate: float,
    weight_decay: float,
    layer_decay: float = 1.0,
    blocks: Sequence[Block] = (),
) -> Sequence[dict[str, object]]:
    """Return the trainable parameters in groups, those of the head first.

    Matrices and kernels are decayed; biases, norms, layer scales, tokens and position embeddings
    are not. A parameter in block i of n of the backbone, counted from the input and from 1, has
    the rate ``backbone_learning_rate · layer_decay ** (n - i + 1)``. Closing blocks that hold no
    matrix or kernel (a final normalisation) count with the last one that does: the last block has
    ``layer_decay``, as in Bao et al. 2022 and timm, whoever keeps the norm.

    The gradient of a penalty ``l2 · ‖W‖²`` is ``2 · l2 · W``, which is what a decay of ``2 · l2``
    adds to the gradient in Adam and SGD.
    """
    modules = dict(network.named_modules())
    penalties = {f"{name}.weight": 2 * getattr(m, PENALTY, 0.0) for name, m in modules.items()}
    matrices = _matrices(network)
    depth = _depths(matrices, blocks)
    groups: dict[tuple[bool, int, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        decay = weight_decay if name in matrices else 0.0
        decay += penalties.get(name, 0.0)
        deep = depth[_in_backbone(name)] if layer_decay != 1 and name.startswith(BACKBONE) else 0
        groups.setdefault((not name.startswith(HEAD), deep, decay), []).append(parameter)
    rates = {False: learning_rate, True: backbone_learning_rate}
    return [
        {
            "params": groups[key],
            "lr": rates[key[0]] * layer_decay ** key[1],
            "weight_decay": key[2],
        }
        for key in sorted(groups, key=lambda key: key[:2])
    ]


def _matrices(network: Network) -> set[str]:
    """Return the names of the parameters that are matrices or kernels."""
    tables = {
        f"{name}.weight" for name, module in network.named_modules() if isinstance(module, TABLES)
    }
    return {
        name
        for name, parameter in network.named_parameters(remove_duplicate=False)
        if parameter.ndim > 1 and _is_weight(name) and name not in tables
    }


def _depths(matrices: set[str], blocks: Sequence[Block]) -> dict[str, int]:
    """Return how many blocks from the end each tensor of the backbone stands, from 1."""
    layers = {_in_backbone(name) for name in matrices if name.startswith(BACKBONE)}
    last = max(
        (i for i, block in enumerate(blocks) if layers.intersection(block.tensors)),
        default=len(blocks) - 1,
    )
    return {name: max(last - i, 0) + 1 for i, block in enumerate(blocks) for name in block.tensors}


def _is_weight(name: str) -> bool:
    # The factors of a low-rank update are matrices of another name.
    return name.endswith("weight") or ADAPTED in name


def _in_backbone(name: str) -> str:
    """Return a parameter's name in the backbone; that of the weight for its low-rank update."""
    layer, adapted, _ = name.removeprefix(BACKBONE).partition(f".{ADAPTED}")
    return f"{layer}.weight" if adapted else layer
