"""Cut a network into blocks from input to output."""

from __future__ import annotations

from torch import nn

Block = tuple[str, list[str]]


def numbered_blocks(network: nn.Module) -> list[Block]:
    """Return (block name, names of its tensors) in order; together they hold each tensor once.

    The outermost numbered modules are the blocks: the blocks of a transformer, the stages of a
    convolutional network. What stands before the first of them is the stem; what stands behind one
    (closing norms, a pooler) belongs to it. Parts of one stage that PoolFormer, PVT and SegFormer
    keep in several lists (``patch_embeddings.0``, ``block.0``) are one block.
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
    return _joined(blocks)


def _joined(blocks: list[Block]) -> list[Block]:
    """Return blocks of one number as one, if all are in lists of one parent and of one length."""
    numbered = [title.rpartition(".") for title, _ in blocks if title != "stem"]
    numbers: dict[str, list[str]] = {}
    for path, _, number in numbered:
        numbers.setdefault(path, []).append(number)
    parents = {path.rpartition(".")[0] for path in numbers}
    if len(numbers) < 2 or len(parents) > 1 or len(set(map(tuple, numbers.values()))) > 1:
        return blocks
    joined: dict[str, Block] = {}
    for title, tensors in blocks:
        joined.setdefault(title.rpartition(".")[2], (title, []))[1].extend(tensors)
    return list(joined.values())
