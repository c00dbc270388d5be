"""Call an explainer, and hold it to what it promises."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mritk.errors import MritkError, StoreError, UsageError, one_line
from mritk.explain.lent_network import LentNetwork
from mritk.files.remedy import refusal_of_disk
from mritk.records import Explainer


def attributed(
    explainer: Explainer,
    network: nn.Module | LentNetwork,
    batch: torch.Tensor,
    outputs: torch.Tensor,
) -> np.ndarray:
    """Return the map of each input, (N, *spatial) float32: attributions summed over channels.

    A grey image that is repeated in three channels so has the attribution of its one channel.
    Network and batch are as before, whatever the explainer does to them.

    Args:
        explainer: The explainer.
        network: In evaluation mode; normalised batch in, outputs (N, K) out. For many calls
            remembered once: copying its weights takes time and memory.
        batch: (N, C, *spatial), normalised.
        outputs: (N,) int64, which output is explained of each.

    Raises:
        UsageError: The explainer refuses this network.
        MritkError: It fails, changes the network, or returns something else than it promises.
    """
    it = f"explainer {explainer.name} of {explainer.origin}"
    lent = network if isinstance(network, LentNetwork) else LentNetwork(network)
    try:
        found = explainer.explain(lent.network, batch.clone(), outputs.clone())
    except (UsageError, MemoryError):
        raise
    except Exception as error:
        if refusal := refusal_of_disk(error, f"a file of explainer {explainer.name}"):
            raise StoreError(refusal) from error
        raise MritkError(f"{it} failed: {one_line(error)}") from error
    finally:
        changes = lent.restore()
    if changed := lent.beyond_a_pass(changes, batch):
        raise MritkError(
            f"{it} changed the network ({', '.join(changed)}), so what it explains is another one; "
            "it must leave the network as it was"
        )
    if not isinstance(found, torch.Tensor) or found.is_complex():
        raise MritkError(f"{it} returned {_kind(found)}, not a tensor of real numbers")
    if found.shape != batch.shape or not found.isfinite().all():
        raise MritkError(
            f"{it} returned {tuple(found.shape)} for inputs {tuple(batch.shape)}, or values that "
            "are not finite"
        )
    summed: np.ndarray = found.detach().float().sum(dim=1).cpu().numpy()
    return summed


def _kind(found: object) -> str:
    return str(found.dtype) if isinstance(found, torch.Tensor) else type(found).__name__
