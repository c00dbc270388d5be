"""How many values a fine-tuning has trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mritk.model.lora import linear_layers
from mritk.model.network import BACKBONE, HEAD, Network
from mritk.protocol.recipe import Recipe


def trained_parameters(
    network: Network, recipe: Recipe, changed: Mapping[str, Sequence[str]]
) -> int:
    """Return the number of values in the parameters that changed in any stage.

    Of a low-rank update its factors count, rank · (inputs + outputs) of each layer and stage, in
    place of the weights that it was merged into.

    Args:
        network: The trained network, adapters merged.
        recipe: How it was trained.
        changed: Names of the tensors that changed, by name of the stage, buffers included.
    """
    names: set[str] = set()
    factors = 0
    stages = {recipe.stage_name(number): stage for number, stage in enumerate(recipe.stages)}
    for name, tensors in changed.items():
        stage = stages[name]
        if stage.tune != "lora":
            names.update(tensors)
            continue
        names.update(tensor for tensor in tensors if tensor.startswith(HEAD))
        updated = frozenset(t.removeprefix(BACKBONE) for t in tensors if t.startswith(BACKBONE))
        if updated:
            layers = linear_layers(network.backbone, updated)
            factors += sum(stage.lora_rank * (x.in_features + x.out_features) for x in layers)
    own = dict(network.named_parameters())
    return factors + sum(own[name].numel() for name in names if name in own)
