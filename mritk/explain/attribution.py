"""Call an explainer, and hold it to what it promises."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mritk.errors import MritkError, UsageError, one_line
from mritk.records import Explainer


def attributed(
    explainer: Explainer, network: nn.Module, batch: torch.Tensor, outputs: torch.Tensor
) -> np.ndarray:
    """Return the map of each input, (N, *spatial) float32: attributions summed over channels.

    A grey image that is repeated in three channels so has the attribution of its one channel.

    Args:
        explainer: The explainer.
        network: In evaluation mode; normalised batch in, outputs (N, K) out.
        batch: (N, C, *spatial), normalised.
        outputs: (N,) int64, which output is explained of each.

    Raises:
        UsageError: The explainer refuses this network.
        MritkError: It fails, or returns something else than it promises.
    """
    try:
        found = explainer.explain(network, batch, outputs)
    except (UsageError, MemoryError):
        raise
    except Exception as error:
        raise MritkError(
            f"explainer {explainer.name} of {explainer.origin} failed: {one_line(error)}"
        ) from error
    if found.shape != batch.shape or not found.isfinite().all():
        raise MritkError(
            f"explainer {explainer.name} of {explainer.origin} returned {tuple(found.shape)} for "
            f"inputs {tuple(batch.shape)}, or values that are not finite"
        )
    summed: np.ndarray = found.detach().float().sum(dim=1).cpu().numpy()
    return summed
