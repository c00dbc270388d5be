"""Mutations from seeds: what a child is, and what becomes of a parent.

Every operation on weights is one addition or one multiplication per weight, each rounded on its
own, so a line of descent gives the same bits on every device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from mritk import derive


def noise_of(seed: int, generation: int, child: int, length: int) -> torch.Tensor:
    """Return the mutation of a child, (length,) float32 standard normal, on the CPU."""
    generator = torch.Generator().manual_seed(derive(seed, "mutation", generation, child))
    return torch.randn(length, generator=generator)


def fold(parent: torch.Tensor, mutations: torch.Tensor, sigma: float) -> torch.Tensor:
    """Return the parent with the mean of mutations (E, D) times ``sigma``, (D,)."""
    total = mutations[0]
    for mutation in mutations[1:]:
        total = total + mutation
    step = total * (sigma / len(mutations))
    return parent + step


def descend(
    start: torch.Tensor,
    folded: Sequence[Sequence[int]],
    seed: int,
    sigma_of: Callable[[int], float],
) -> torch.Tensor:
    """Rebuild a parent from the seed and the children folded in each generation.

    Args:
        start: (D,) float32 on the CPU: the first parent.
        folded: Per generation the numbers of the children whose mean mutation was accepted; none
            where the parent stayed as it was.
        seed: Of the trial.
        sigma_of: The standard deviation of mutations by generation, counted from 1.

    Returns:
        (D,): the bits that the evolution had.
    """
    parent = start
    for generation, children in enumerate(folded, 1):
        if children:
            own = [noise_of(seed, generation, child, len(start)) for child in children]
            parent = fold(parent, torch.stack(own), sigma_of(generation))
    return parent
