"""Cut a network into blocks from input to output."""

from __future__ import annotations

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
