"""Let a linear head begin as the linear probe of the pretrained features.

Linear probing, then fine-tuning (Kumar et al., 2022): a random head sends random gradients into the
backbone in the first steps; one that already fits does not.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mritk.batches.inputs import Inputs
from mritk.errors import UsageError
from mritk.method import Setup
from mritk.model.objective import Objective
from mritk.probe.features import FrozenBackbone
from mritk.probe.logistic import fit_logistic
from mritk.probe.ridge import fit_ridge
from mritk.protocol.recipe import PENALTIES, Recipe


def start_as_probe(head: nn.Module, setup: Setup, objective: Objective) -> float:
    """Fill the linear layer of ``head``; return the penalty with the least validation loss.

    Raises:
        UsageError: The head is more than dropout and one linear layer.
    """
    layers = [layer for layer in head.children() if not isinstance(layer, nn.Dropout)]
    if len(layers) != 1 or not isinstance(layers[0], nn.Linear):
        raise UsageError(
            "head_start = 'probe' needs a head without hidden layers and BatchNorm; a linear "
            "probe has neither"
        )
    recipe: Recipe = setup.parameters
    at_once = Inputs(setup).evaluated_at_once(recipe, len(setup.train))
    frozen = FrozenBackbone(setup, batch_size=at_once)
    train, val = (frozen.features(part).values for part in (setup.train, setup.val))
    if setup.task.classes:
        balanced = recipe.class_weights == "balanced"
        targets, classes = setup.train.targets, setup.task.outputs
        fitted = fit_logistic(train, targets, classes, PENALTIES, balanced=balanced)
        weight, bias = fitted.weight, fitted.bias
    else:
        weight, bias = fit_ridge(train, objective.targets.double().cpu().numpy(), PENALTIES)
    outputs = torch.from_numpy(val).double() @ weight.transpose(1, 2) + bias[:, None]
    wanted = objective.prepare(setup.val.targets).cpu()
    losses = [float(objective.plain_loss(scores.float(), wanted)) for scores in outputs]
    best = int(np.argmin(losses))
    with torch.no_grad():
        layers[0].weight.copy_(weight[best])
        layers[0].bias.copy_(bias[best])
    return PENALTIES[best]
