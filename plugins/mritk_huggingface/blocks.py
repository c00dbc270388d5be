"""Cut a network into blocks from input to output."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

Block = tuple[str, list[str]]


def numbered_blocks(network: nn.Module) -> list[Block]:
    """Return (block name, names of its tensors) in order; together they hold each tensor once.

    The outermost numbered modules are the blocks: the blocks of a transformer, the stages of a
    convolutional network. What stands before the first of them is the stem; what stands behind one
    (closing norms, a pooler) belongs to it.
    """
    blocks: list[Block] = []
    for name in network.state_dict():
        path = name.split(".")
        depth = next((i for i, part in enumerate(path) if part.isdigit()), None)
        title = ".".join(path[: depth + 1]) if depth is not None else ""
        if not blocks:
            blocks.append((title or "stem", []))
        elif title and title != blocks[-1][0]:
            blocks.append((title, []))
        blocks[-1][1].append(name)
    return blocks


def timm_blocks(network: nn.Module) -> Sequence[Block]:
    """Return the blocks at which timm itself cuts its model for layer-wise learning rates.

    A buffer goes with the parameters of its layer; a closing normalisation layer joins the block
    before it. The few models for which timm declares no cuts are cut as in
    :func:`numbered_blocks`.
    """
    from timm.models import group_parameters

    from mritk_timm.blocks import titled

    try:
        matcher = network.group_matcher(coarse=True)  # type: ignore[operator]
    except (AttributeError, AssertionError, NotImplementedError):
        return numbered_blocks(network)
    block_of = group_parameters(network, matcher, reverse=True)
    of_layer = {name.rpartition(".")[0]: block for name, block in block_of.items()}
    groups: dict[int, list[str]] = {}
    block = 0
    for name in network.state_dict():
        block = block_of.get(name, of_layer.get(name.rpartition(".")[0], block))
        groups.setdefault(block, []).append(name)
    return titled([groups[block] for block in sorted(groups)], network)
