"""Whether a network's decision rests on the places that a map marks: take them away, or leave them.

What is taken away becomes the mean of the sample's places that are not 0; so the head keeps its
outline, and loses what is in it. Maps of another network are judged by this one, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from mritk.evaluate.localisation import from_the_top
from mritk.model.model_file import TrainedModel

# Steps of a curve, from nothing to all places of the head.
STEPS = 10
# The share of the head's places that is kept, or removed, to look at the decision.
SHARE = 0.1


@dataclass(frozen=True)
class Faithfulness:
    """What the network makes of a sample without, and with nothing but, the places of a map.

    Attributes:
        deletion: Mean probability of the class while places go, the highest first; low is good.
        insertion: The same while they come back to a sample without any; high is good. Petsiuk et
            al. (2018), RISE, BMVC.
        kept: Whether the decision is right (1 or 0) with the top tenth alone.
        removed: Whether it is right without the top tenth.
    """

    deletion: float
    insertion: float
    kept: float
    removed: float


def faithfulness(
    model: TrainedModel, pixels: torch.Tensor, target: int, values: np.ndarray
) -> Faithfulness:
    """Return how the decision of a model depends on the places of a map.

    Args:
        model: In evaluation mode.
        pixels: One sample, (C, *spatial) in [0, 1].
        target: Its class.
        values: The map, (*spatial), high where something was looked at.
    """
    flat = pixels.flatten(1)
    inside = (flat > 0).any(dim=0)
    grey = flat.sum(dim=1) / (flat > 0).sum(dim=1).clamp(min=1)
    without = torch.where(inside, grey[:, None], 0.0)
    order = torch.from_numpy(from_the_top(values)).to(pixels.device)
    order = order[inside[order]]  # the outside is the same with and without
    ends = [round(step / STEPS * len(order)) for step in range(STEPS + 1)]
    few = order[: max(1, round(SHARE * len(order)))]
    versions = []
    for chosen in (*(order[:end] for end in ends), few):
        there = torch.zeros(flat.shape[1], dtype=torch.bool, device=pixels.device)
        there[chosen] = True
        versions += [torch.where(there, without, flat), torch.where(there, flat, without)]
    batch = torch.stack(versions).reshape(-1, *pixels.shape)
    with torch.inference_mode():
        outputs = torch.cat([model(part) for part in batch.split(STEPS + 2)])
    p = outputs.softmax(dim=1)[:, target].cpu().numpy().reshape(-1, 2)
    right = (outputs.argmax(dim=1) == target).float().cpu().numpy().reshape(-1, 2)
    curves = p[:-1]
    deletion, insertion = ((curves[1:] + curves[:-1]) / 2).mean(axis=0).tolist()
    removed, kept = right[-1].tolist()
    return Faithfulness(deletion, insertion, kept, removed)
