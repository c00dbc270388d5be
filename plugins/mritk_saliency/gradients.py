"""Gradients of an output with respect to the input: saliency, integrated gradients."""

from __future__ import annotations

import torch

STEPS = 32


def saliency(network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return |∂ output / ∂ input| of shape (N, C, *spatial); Simonyan et al. (2014), section 3."""
    return gradient(network, batch, outputs).abs()


def integrated_gradients(
    network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor
) -> torch.Tensor:
    """Return (x - 0) · ∫ ∂ output(αx) / ∂x dα; Sundararajan et al. (2017), equation 1.

    The baseline is 0, which after normalisation is the mean pixel of the input contract. The
    integral is a sum over the midpoints of equal steps. The attributions of an input add up to the
    difference between its output and that of the baseline, as far as the steps are fine enough.
    """
    total = torch.zeros_like(batch)
    for step in range(STEPS):
        total += gradient(network, (step + 0.5) / STEPS * batch, outputs)
    return batch * total / STEPS


def gradient(network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return ∂ output / ∂ input for one output of each input; parameters get no gradient."""
    with torch.enable_grad():
        given = batch.detach().clone().requires_grad_()
        chosen = network(given).gather(1, outputs[:, None]).sum()
        (found,) = torch.autograd.grad(chosen, given)
    return found
