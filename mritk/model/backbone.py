"""Build a backbone: its network, with proven weights, ready to give features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from mritk.backbone import Backbone
from mritk.data.rank import of_rank
from mritk.errors import MritkError, one_line
from mritk.files.workspace import Workspace
from mritk.images.grid import Grid, Size, size_text
from mritk.model.anew import build_anew
from mritk.model.blocks import Block, blocks_of
from mritk.model.lazy_layers import is_whole
from mritk.model.weights import MatchReport, load_proven
from mritk.seeds import derive

ANY_SIZE = 64


@dataclass(frozen=True)
class LoadedBackbone:
    """A network that maps (N, C, *spatial) to features (N, ``num_features``).

    Attributes:
        network: The network, on the CPU, in evaluation mode.
        num_features: Number of features.
        stages: The network's blocks from input to output, as declared by ``Architecture.stages``;
            together they contain every tensor.
        report: The match report of loading; None for random weights.
        fixed: Parameters fixed by the network itself, such as sine position embeddings.
    """

    network: nn.Module
    num_features: int
    stages: tuple[Block, ...]
    report: MatchReport | None
    fixed: frozenset[str] = frozenset()


def load_backbone(
    backbone: Backbone, workspace: Workspace, seed: int, size: Size = None
) -> LoadedBackbone:
    """Build the network of ``backbone`` and load its weights.

    Args:
        backbone: Architecture and weights.
        workspace: Where weight files are searched for and downloaded to.
        seed: Seed of the random initialisation.
        size: Side of inputs in pixels or voxels, or one per axis, for measuring the number of
            features; None: the size in the input contract.

    Raises:
        Unavailable: The weights are missing and cannot be downloaded.
        WeightsMismatch: The weight file does not cover the network exactly.
        MritkError: The network has tensors of an earlier one, or does not return features of
            shape (N, D).
    """
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(seed, "initialisation"))
        network = build_anew(backbone.architecture).eval()
        if not is_whole(network):  # the first pass draws the rest, which a file then replaces
            _num_features(network, backbone, size)
    report = load_proven(network, backbone.weights, workspace) if backbone.weights else None
    return LoadedBackbone(
        network,
        _num_features(network, backbone, size),
        blocks_of(network, backbone.architecture),
        report,
        frozenset(name for name, p in network.named_parameters() if not p.requires_grad),
    )


def _num_features(network: nn.Module, backbone: Backbone, size: Size) -> int:
    contract, dims = backbone.input, backbone.architecture.spatial_dims
    chosen = size or contract.size or ANY_SIZE
    try:
        sides = Grid(chosen).sides(dims or 0) if dims else ()
    except ValueError as error:
        raise MritkError(f"{backbone.name} cannot take inputs of this size: {error}") from error
    batch = torch.zeros(1, contract.channels, *(sides or ()))
    try:
        with torch.no_grad():  # a network may keep a tensor of its first pass for training
            features = network(batch)
    except Exception as error:
        reason, expected = one_line(error), contract.size and size_text(contract.size)
        raise MritkError(
            f"{backbone.name} does not accept inputs of size {size_text(chosen)} (its weights "
            f"expect {expected or 'any size'}): {reason}; set "
            f"{of_rank(dims, 'image_size', 'volume_size')} in the protocol"
        ) from error
    if not isinstance(features, torch.Tensor) or features.ndim != 2:
        got = tuple(features.shape) if isinstance(features, torch.Tensor) else type(features)
        raise MritkError(
            f"{backbone.name} must map a batch of shape {tuple(batch.shape)} to features of shape "
            f"(1, D), but returned {got}; end the network with global pooling and Flatten"
        )
    return int(features.shape[1])
