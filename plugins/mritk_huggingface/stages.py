"""Cut a network into stages from input to output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

Stage = tuple[str, list[str]]


def numbered_stages(network: nn.Module) -> list[Stage]:
    """Return (stage name, names of its tensors) in order; together they hold each tensor once.

    The outermost numbered modules are the stages: the blocks of a transformer, the stages of a
    convolutional network. What stands before the first of them is the stem; what stands behind one
    (closing norms, a pooler) belongs to it.
    """
    stages: list[Stage] = []
    for name in network.state_dict():
        path = name.split(".")
        depth = next((i for i, part in enumerate(path) if part.isdigit()), None)
        title = ".".join(path[: depth + 1]) if depth is not None else ""
        if not stages:
            stages.append((title or "stem", []))
        elif title and title != stages[-1][0]:
            stages.append((title, []))
        stages[-1][1].append(name)
    return stages


def timm_stages(network: nn.Module) -> Sequence[Stage]:
    """Return the stages at which timm itself cuts its model for layer-wise learning rates.

    A buffer goes with the parameters of its layer; a closing normalisation layer joins the stage
    before it. The few models for which timm declares no cuts are cut as in
    :func:`numbered_stages`.
    """
    from timm.models import group_parameters

    try:
        matcher = network.group_matcher(coarse=True)  # type: ignore[operator]
    except (AttributeError, AssertionError, NotImplementedError):
        return numbered_stages(network)
    stage_of = group_parameters(network, matcher, reverse=True)
    of_layer = {name.rpartition(".")[0]: stage for name, stage in stage_of.items()}
    groups: dict[int, list[str]] = {}
    stage = 0
    tensors = network.state_dict()
    for name in tensors:
        stage = stage_of.get(name, of_layer.get(name.rpartition(".")[0], stage))
        groups.setdefault(stage, []).append(name)
    ordered = [groups[stage] for stage in sorted(groups)]
    if len(ordered) > 1 and all(tensors[name].ndim <= 1 for name in ordered[-1]):
        last = ordered.pop()
        ordered[-1] += last
    return [(_title(group, ordered), group) for group in ordered]


def _title(group: list[str], groups: Sequence[list[str]]) -> str:
    """Return the shortest module name that no other stage shares."""
    path = group[0].split(".")
    others = [name.split(".") for other in groups if other is not group for name in other]
    for depth in range(1, len(path)):
        if not any(other[:depth] == path[:depth] for other in others):
            return ".".join(path[:depth])
    return group[0]
