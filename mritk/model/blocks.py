"""The blocks of a network from input to output, and freezing all before a cut.

``Architecture.stages`` declares them, by the name that the record has for them; a stage is else
always one of training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mritk.errors import MritkError
from mritk.records import Architecture


@dataclass(frozen=True)
class Block:
    """A contiguous part of a backbone: its name and its tensors in the state dict."""

    name: str
    tensors: tuple[str, ...]


def blocks_of(network: nn.Module, architecture: Architecture) -> tuple[Block, ...]:
    """Return the blocks that the architecture declares, or else :func:`default_blocks`.

    Raises:
        MritkError: The declared stages leave out, repeat or invent a tensor.
    """
    if architecture.stages is None:
        return default_blocks(network)
    blocks = tuple(Block(n, tuple(tensors)) for n, tensors in architecture.stages(network))
    listed = [tensor for block in blocks for tensor in block.tensors]
    if sorted(listed) != sorted(network.state_dict()):
        strange = sorted(set(listed) ^ set(network.state_dict()))[:3]
        raise MritkError(
            f"the stages of {architecture.name} must contain each tensor of the network exactly "
            f"once; check {', '.join(strange) or 'repeated names'}"
        )
    return blocks


def default_blocks(network: nn.Module) -> tuple[Block, ...]:
    """Return the top-level modules in order of registration, ``Sequential`` ones unfolded.

    Tensors that belong to the network itself (a class token, position embeddings) stand first.
    """
    own = tuple(name for name in network.state_dict() if "." not in name)
    blocks = [Block("input", own)] if own else []
    for name, module in _unfold(network):
        tensors = tuple(f"{name}.{tensor}" for tensor in module.state_dict())
        if tensors:
            blocks.append(Block(name, tensors))
    return tuple(blocks)


def _unfold(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential) and not _own_tensors(child):
            yield from _unfold(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def layers_of(network: nn.Module) -> tuple[Block, ...]:
    """Return each module with tensors of its own as one block, in order of registration."""
    tensors: dict[str, list[str]] = {}
    for tensor in network.state_dict():
        tensors.setdefault(tensor.rpartition(".")[0], []).append(tensor)
    modules = (name for name, _ in network.named_modules() if name in tensors)
    return tuple(Block(name or "input", tuple(tensors[name])) for name in modules)


def last(blocks: Sequence[Block], fraction: float) -> frozenset[str]:
    """Return the tensors of the last ``fraction`` of the blocks, rounded up to whole blocks.

    0 gives none, 1 all of them.
    """
    count = math.ceil(round(fraction * len(blocks), 6))
    chosen = blocks[len(blocks) - count :]
    return frozenset(tensor for block in chosen for tensor in block.tensors)


def norm_tensors(network: nn.Module) -> frozenset[str]:
    """Return the tensors of all normalisation layers that keep running statistics."""
    return frozenset(
        f"{name}.{tensor}"
        for name, module in network.named_modules()
        if isinstance(module, _NormBase)
        for tensor in _own_tensors(module)
    )


def set_trainable(network: nn.Module, trainable: frozenset[str]) -> None:
    """Let exactly the ``trainable`` tensors change; put the rest in evaluation mode.

    Every other parameter stops requiring a gradient, norms and scales included: one that still
    trained would keep the backward pass alive through the whole frozen part. A frozen BatchNorm
    leaves training mode, where it would keep moving its running statistics. Frozen parts have no
    dropout: a module without tensors goes with the layer before it, at the input with the first.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trainable)
    layers = [
        (name, module) for name, module in network.named_modules() if not any(module.children())
    ]
    own = {name: [f"{name}.{t}" if name else t for t in _own_tensors(m)] for name, m in layers}
    holders = [name for name, module in layers if own[name] and not isinstance(module, _NormBase)]
    training = bool(holders) and any(tensor in trainable for tensor in own[holders[0]])
    network.train(training)
    for name, module in layers:
        here = any(tensor in trainable for tensor in own[name])
        if isinstance(module, _NormBase) and own[name]:
            module.training = _norm_trains(own[name], trainable)
        else:
            training = here if own[name] else training
            module.training = training
    _set_containers(network, trainable)


def _set_containers(network: nn.Module, trainable: frozenset[str]) -> None:
    """Put each module with children in training mode if anything within it trains.

    It may use dropout as a function, and norms of some libraries have children.
    """
    for name, module in network.named_modules():
        if any(module.children()):
            scope = f"{name}." if name else ""
            if isinstance(module, _NormBase):
                own = [f"{scope}{tensor}" for tensor in _own_tensors(module)]
                module.training = _norm_trains(own, trainable)
            else:
                module.training = any(f"{scope}{t}" in trainable for t in module.state_dict())


def _norm_trains(own: Sequence[str], trainable: frozenset[str]) -> bool:
    """Return whether a norm with the tensors ``own`` takes the statistics of a batch.

    One that trains its bias alone keeps its statistics.
    """
    statistics = [tensor for tensor in own if tensor.endswith("running_mean")]
    return any(t in trainable for t in own) and all(t in trainable for t in statistics)


def _own_tensors(module: nn.Module) -> list[str]:
    parameters = [name for name, _ in module.named_parameters(recurse=False)]
    return parameters + [name for name, _ in module.named_buffers(recurse=False)]
