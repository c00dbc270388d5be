"""Cut torchvision's vision transformer into its layers, which stand in one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

LAYER = "encoder.layers."


def transformer_stages(network: nn.Module) -> list[tuple[str, list[str]]]:
    """Return (stage name, names of its tensors): ``input``, then one stage per encoder layer.

    The closing normalisation joins the last layer.
    """
    stages: dict[str, list[str]] = {"input": []}
    for name in network.state_dict():
        if name.startswith(LAYER):
            stages.setdefault(".".join(name.split(".")[:3]), []).append(name)
        elif name.startswith("encoder.ln."):
            stages[list(stages)[-1]].append(name)
        else:
            stages["input"].append(name)
    return list(stages.items())
