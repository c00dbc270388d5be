"""Grad-CAM: where the last feature maps speak for an output."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.functional import interpolate

from mritk import UsageError

LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


def grad_cam(network: nn.Module, batch: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return ReLU(Σ αₖ Aₖ), equal in all channels; Selvaraju et al. (2017), equations 1 and 2.

    Aₖ are the last feature maps before they are pooled, αₖ the means of their gradients. The map is
    interpolated linearly to the input's size.

    Raises:
        UsageError: The network has no feature maps that lead to its outputs, as a transformer.
    """
    with torch.enable_grad(), _last_feature_maps(network, batch) as last:
        given = batch.detach().clone().requires_grad_()
        chosen = network(given).gather(1, outputs[:, None]).sum()
        maps = last.maps
        gradients = None
        if maps is not None and maps.requires_grad:
            (gradients,) = torch.autograd.grad(chosen, maps, allow_unused=True)
    if maps is None or gradients is None:
        raise UsageError(
            "grad_cam needs feature maps on the grid of the input up to the pooling, which this "
            "network has not; use integrated_gradients or saliency"
        )
    maps = maps.detach()
    weights = gradients.flatten(2).mean(dim=2)[(...,) + (None,) * (maps.ndim - 2)]
    found = (weights * maps).sum(dim=1, keepdim=True).relu()
    spatial = batch.shape[2:]
    shown = interpolate(found, spatial, mode=LINEAR[len(spatial)])
    return shown.expand(batch.shape).float().contiguous()


class _Last:
    """The last feature maps that a module has returned; None if tokens came after them."""

    maps: torch.Tensor | None = None


@contextmanager
def _last_feature_maps(network: nn.Module, batch: torch.Tensor) -> Iterator[_Last]:
    last = _Last()

    def look(module: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, torch.Tensor) or output.ndim <= 2:
            return
        if not _is_pooled(output):
            last.maps = output if _are_maps(output, batch) else None

    handles = [module.register_forward_hook(look) for module in network.modules()]
    try:
        yield last
    finally:
        for handle in handles:
            handle.remove()


def _is_pooled(output: torch.Tensor) -> bool:
    return max(output.shape[2:]) == 1


def _are_maps(output: torch.Tensor, batch: torch.Tensor) -> bool:
    """Whether an output is (N, K, *spatial), all axes of the input shrunk about alike."""
    if output.ndim != batch.ndim or len(output) != len(batch):
        return False
    shrunk = [old / new for old, new in zip(batch.shape[2:], output.shape[2:], strict=True)]
    return min(shrunk) >= 1 and max(shrunk) <= 2 * min(shrunk)
