"""What maps are held against: the same network with random weights, and random places.

A map that is placed as well with random weights tells of the image, not of what was learned
(Adebayo et al. 2018, Sanity checks for saliency maps, NeurIPS). Random places lie within the head,
where any map would, and are as connected as maps are.
"""

from __future__ import annotations

import numpy as np
from torch import nn

from mritk.model.model_file import TrainedModel, untrained_network
from mritk.seeds import derive

# Width of the smoothing of random places, as a share of each side.
WIDTH = 0.06


def with_random_weights(model: TrainedModel) -> nn.Module:
    """Return the network of a model with all its weights drawn anew, in evaluation mode."""
    return untrained_network(model.architecture, model.metadata).eval().requires_grad_(False)


def random_places(pixels: np.ndarray, name: str) -> np.ndarray:
    """Return a map of random places within a head, float32 (*spatial), 0 outside of it.

    Args:
        pixels: (C, *spatial), 0 outside of the head.
        name: Of the sample; it alone decides what is drawn.
    """
    from scipy.ndimage import gaussian_filter

    inside = (pixels > 0).any(axis=0)
    drawn = np.random.default_rng(derive("random places", name)).standard_normal(inside.shape)
    smooth = gaussian_filter(drawn, [WIDTH * side for side in inside.shape])
    return np.where(inside, smooth - smooth.min(), 0).astype(np.float32)
