"""Cut torchvision's vision transformer into its layers, which stand in one module each."""

from __future__ import annotations

from torch import nn

LAYER = "encoder.layers."


def transformer_blocks(network: nn.Module) -> list[tuple[str, list[str]]]:
    """Return (block name, names of its tensors): ``input``, then one block per encoder layer.

    The closing normalisation joins the last layer.
    """
    blocks: dict[str, list[str]] = {"input": []}
    for name in network.state_dict():
        if name.startswith(LAYER):
            blocks.setdefault(".".join(name.split(".")[:3]), []).append(name)
        elif name.startswith("encoder.ln."):
            blocks[list(blocks)[-1]].append(name)
        else:
            blocks["input"].append(name)
    return list(blocks.items())
