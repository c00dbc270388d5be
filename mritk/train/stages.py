"""The stages of a network from input to output, and freezing all before a cut."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mritk.errors import MritkError
from mritk.records import Architecture


@dataclass(frozen=True)
class BackboneStage:
    """A contiguous part of a backbone: its name and its tensors in the state dict."""

    name: str
    tensors: tuple[str, ...]


def stages_of(network: nn.Module, architecture: Architecture) -> tuple[BackboneStage, ...]:
    """Return the stages that the architecture declares, or else :func:`default_stages`.

    Raises:
        MritkError: The declared stages leave out, repeat or invent a tensor.
    """
    if architecture.stages is None:
        return default_stages(network)
    stages = tuple(BackboneStage(n, tuple(tensors)) for n, tensors in architecture.stages(network))
    listed = [tensor for stage in stages for tensor in stage.tensors]
    if sorted(listed) != sorted(network.state_dict()):
        strange = sorted(set(listed) ^ set(network.state_dict()))[:3]
        raise MritkError(
            f"the stages of {architecture.name} must hold each tensor of the network exactly "
            f"once; look at {', '.join(strange) or 'repeated names'}"
        )
    return stages


def default_stages(network: nn.Module) -> tuple[BackboneStage, ...]:
    """Return the top-level modules in order of registration, ``Sequential`` ones unfolded.

    Tensors that belong to the network itself (a class token, position embeddings) stand first.
    """
    own = tuple(name for name in network.state_dict() if "." not in name)
    stages = [BackboneStage("input", own)] if own else []
    for name, module in _unfold(network):
        tensors = tuple(f"{name}.{tensor}" for tensor in module.state_dict())
        if tensors:
            stages.append(BackboneStage(name, tensors))
    return tuple(stages)


def _unfold(network: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    for name, child in network.named_children():
        if isinstance(child, nn.Sequential) and len(child) > 1:
            yield from _unfold(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", child


def layers_of(network: nn.Module) -> tuple[BackboneStage, ...]:
    """Return each module with tensors of its own as one stage, in order of registration."""
    tensors: dict[str, list[str]] = {}
    for tensor in network.state_dict():
        tensors.setdefault(tensor.rpartition(".")[0], []).append(tensor)
    modules = (name for name, _ in network.named_modules() if name in tensors)
    return tuple(BackboneStage(name or "input", tuple(tensors[name])) for name in modules)


def last(stages: Sequence[BackboneStage], fraction: float) -> frozenset[str]:
    """Return the tensors of the last ``fraction`` of the stages, rounded up to whole stages.

    0 gives none, 1 all of them.
    """
    count = math.ceil(round(fraction * len(stages), 6))
    chosen = stages[len(stages) - count :]
    return frozenset(tensor for stage in chosen for tensor in stage.tensors)


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
    leaves training mode, where it would go on moving its running statistics; frozen parts have no
    dropout.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in trainable)
    for name, module in network.named_modules():
        if isinstance(module, _NormBase):
            module.training = any(f"{name}.{t}" in trainable for t in _own_tensors(module))
            continue
        # A module without tensors, such as dropout, goes with the module that holds it.
        scope = name if module.state_dict() else name.rpartition(".")[0]
        module.training = any(_is_within(tensor, scope) for tensor in trainable)


def _own_tensors(module: nn.Module) -> list[str]:
    parameters = [name for name, _ in module.named_parameters(recurse=False)]
    return parameters + [name for name, _ in module.named_buffers(recurse=False)]


def _is_within(tensor: str, scope: str) -> bool:
    return not scope or tensor.startswith(f"{scope}.")
