"""Explainers from gradients: ``saliency`` and ``integrated_gradients``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mritk import Explainer, hookimpl

if TYPE_CHECKING:
    import torch

STEPS = 32


@hookimpl
def mritk_explainers() -> Iterator[Explainer]:
    """Yield the two explainers."""
    yield Explainer("saliency", saliency, summary="absolute gradient (Simonyan et al., 2014)")
    yield Explainer(
        "integrated_gradients",
        integrated_gradients,
        summary=f"{STEPS} steps from the mean pixel (Sundararajan et al., 2017)",
    )


def saliency(network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return |∂ output / ∂ input| of shape (N, C, *spatial); Simonyan et al. (2014), section 3."""
    return _gradient(network, batch, outputs).abs()


def integrated_gradients(
    network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor
) -> torch.Tensor:
    """Return (x - 0) · ∫ ∂ output(αx) / ∂x dα; Sundararajan et al. (2017), equation 1.

    The baseline is 0, which after normalisation is the mean pixel of the input contract. The
    integral is a sum over the midpoints of equal steps. The attributions of an input add up to the
    difference between its output and that of the baseline, as far as the steps are fine enough.
    """
    import torch

    total = torch.zeros_like(batch)
    for step in range(STEPS):
        total += _gradient(network, (step + 0.5) / STEPS * batch, outputs)
    return batch * total / STEPS


def _gradient(network: torch.nn.Module, batch: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return ∂ output / ∂ input for one output of each input; parameters get no gradient."""
    import torch

    with torch.enable_grad():
        given = batch.detach().clone().requires_grad_()
        chosen = network(given).gather(1, outputs[:, None]).sum()
        (gradient,) = torch.autograd.grad(chosen, given)
    return gradient
