"""Cut a timm model into blocks from input to output, where timm itself cuts it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from timm.models._manipulate import group_with_matcher
from torch import nn

Block = tuple[str, list[str]]


def blocks(network: nn.Module) -> list[Block]:
    """Return (block name, names of its tensors) in order; together they hold each tensor once.

    The cuts are those of timm's ``group_matcher(coarse=True)``, which timm uses for layer-wise
    learning rates: stem, then residual stages, dense blocks or transformer blocks. Buffers go with
    the parameters of their layer. A closing normalisation layer is no depth of its own and joins
    the block before it. A block is called by the shortest module name that no other one shares.
    The few models for which timm declares no cuts are cut into their outermost numbered modules.
    """
    return _titled(_timm_groups(network) or _numbered_groups(network), network)


def _titled(groups: list[list[str]], network: nn.Module) -> list[Block]:
    """Return groups of tensors with names, a closing normalisation with the group before it."""
    tensors = network.state_dict()
    if len(groups) > 1 and all(tensors[name].ndim <= 1 for name in groups[-1]):
        *groups, before, last = groups
        groups.append(before + last)
    return [(_title(group, groups), group) for group in groups]


def _timm_groups(network: nn.Module) -> list[list[str]]:
    """Return timm's groups, or nothing for the few models that declare none."""
    try:
        matcher = network.group_matcher(coarse=True)  # type: ignore[operator]
    except (AttributeError, AssertionError, NotImplementedError):
        return []
    # timm's public functions group parameters only; this one takes any names.
    groups = group_with_matcher(iter(network.state_dict().items()), matcher)
    return [list(names) for names in groups.values()]


def _numbered_groups(network: nn.Module) -> list[list[str]]:
    """Return the tensors of each module ``stages.0``, ``stages.1``, …, or ``stem``, in order."""
    groups: dict[str, list[str]] = {}
    for name in network.state_dict():
        outermost = re.match(r"(?:[^.]+\.)*?\d+(?=\.)|[^.]+", name)
        groups.setdefault(outermost[0] if outermost else name, []).append(name)
    return list(groups.values())


def _title(group: list[str], groups: Sequence[list[str]]) -> str:
    path = group[0].split(".")
    others = [name.split(".") for other in groups if other is not group for name in other]
    for depth in range(1, len(path)):
        if not any(other[:depth] == path[:depth] for other in others):
            return ".".join(path[:depth])
    return group[0]
