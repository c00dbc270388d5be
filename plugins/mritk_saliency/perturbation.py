"""Meaningful perturbation: the smallest part of an input whose blur takes the class away."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from mritk import UsageError
from mritk_saliency.grad_cam import LINEAR

STEPS = 300
# Of Adam.
RATE, BETAS, EPSILON = 0.3, (0.9, 0.99), 1e-5
# Pixels per cell of the mask along each axis; largest shift in pixels.
CELL, JITTER = 4, 5
# The probability that counts as gone, the weight of the area, the power of the total variation.
GONE, AREA, POWER = 0.05, 3.0, 7
# A probability that is 1 but for rounding.
CERTAIN = 1 - 1e-6
# Standard deviation of the blur as a share of the largest side: 10 voxels of 58.
BLUR = 10 / 58


def meaningful_perturbation(
    network: nn.Module, batch: torch.Tensor, outputs: torch.Tensor, *, steps: int = STEPS
) -> torch.Tensor:
    """Return 1 - m, in [0, 1] and equal in all channels; Fong & Vedaldi (2017), equation 4.

    With the constants of Kan et al. (2020): the mask m, a quarter of the input's size, minimises
    ``ReLU(p - 0.05) + w · (3 · mean|1 - m| + mean|∇m|⁷)``, where p is the probability of the class
    for an input that is blurred where m is 0. The weight w grows from 0 to 1. Adam takes ``steps``
    steps; the input is shifted by up to 5 pixels in each.

    Raises:
        UsageError: The network has one output, which is no class; or it is so sure of one that its
            probability, 1 but for rounding, has no gradient.
    """
    spatial = batch.shape[2:]
    mode = LINEAR[len(spatial)]
    blurred = blur(batch, BLUR * max(spatial))
    coarse = [-(-side // CELL) for side in spatial]
    mask = torch.ones((len(batch), 1, *coarse), device=batch.device, requires_grad=True)
    optimiser = torch.optim.Adam([mask], lr=RATE, betas=BETAS, eps=EPSILON)
    generator = torch.Generator().manual_seed(0)
    reach = [min(JITTER, side // 8) for side in spatial]
    axes = tuple(range(2, batch.ndim))
    for step in range(steps):
        with torch.enable_grad():
            fine = functional.interpolate(mask, spatial, mode=mode)
            mixed = fine * batch + (1 - fine) * blurred
            shift = [int(torch.randint(-r, r + 1, (), generator=generator)) for r in reach]
            logits = network(mixed.roll(shift, axes))
            if logits.shape[1] < 2:
                raise UsageError(
                    "meaningful_perturbation takes a class away, and this network predicts a "
                    "value; use integrated_gradients"
                )
            p = logits.softmax(dim=1).gather(1, outputs[:, None])[:, 0]
            size = AREA * (1 - mask).abs().flatten(1).mean(dim=1) + _variation(mask)
            # One sum: the masks of a batch do not depend on each other.
            loss = ((p - GONE).relu() + step / steps * size).sum()
            (mask.grad,) = torch.autograd.grad(loss, mask)
        optimiser.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    stuck = int(((mask == 1).flatten(1).all(dim=1) & (p > CERTAIN)).sum())
    if stuck:
        raise UsageError(
            f"meaningful_perturbation has no gradient to follow in {stuck} of {len(batch)} "
            "samples, whose class has a probability of 1; use integrated_gradients"
        )
    with torch.no_grad():
        fine = functional.interpolate(mask, spatial, mode=mode)
        return (1 - fine).expand(batch.shape).float().contiguous()


def _variation(mask: torch.Tensor) -> torch.Tensor:
    """Return the mean over places of |∇m|⁷, (N,)."""
    found = torch.zeros(len(mask), device=mask.device)
    for axis in range(2, mask.ndim):
        if mask.shape[axis] > 1:
            found = found + mask.diff(dim=axis).abs().pow(POWER).flatten(1).mean(dim=1)
    return found


def blur(batch: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return a batch (N, C, *spatial) smoothed by a centred Gaussian, borders repeated.

    Args:
        batch: Floats.
        sigma: Standard deviation in pixels; the kernel reaches three of them.
    """
    reach = max(1, round(3 * sigma))
    at = torch.arange(-reach, reach + 1, dtype=batch.dtype, device=batch.device)
    kernel = torch.exp(-((at / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum())[None, None]
    for axis in range(2, batch.ndim):
        lines = batch.movedim(axis, -1)
        flat = lines.reshape(-1, 1, lines.shape[-1])
        flat = functional.conv1d(functional.pad(flat, (reach, reach), mode="replicate"), kernel)
        batch = flat.reshape(lines.shape).movedim(-1, axis)
    return batch
