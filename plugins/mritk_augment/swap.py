"""Swap: patches of an image change places."""

from __future__ import annotations

import itertools

import torch


def swap(
    images: torch.Tensor, generator: torch.Generator, *, swaps: int = 20, cells: int = 8
) -> torch.Tensor:
    """Exchange pairs of patches of each of (N, C, *spatial) images, one pair after the other.

    Patches are the cells of a grid (in TorchIO they lie anywhere); what a side has beyond a
    multiple of ``cells`` stays. No grey value changes, only its place.

    Args:
        images: Any floats.
        generator: Draws the pairs for each image.
        swaps: Number of pairs.
        cells: Patches along each side, or fewer where a side has fewer pixels.
    """
    counts = [min(cells, side) for side in images.shape[2:]]
    sizes = [side // count for count, side in zip(counts, images.shape[2:], strict=True)]
    order = permutations(len(images), torch.Size(counts).numel(), generator, swaps)
    whole = images.clone()
    part = whole
    for axis, (count, size) in enumerate(zip(counts, sizes, strict=True), 2):
        part = part.narrow(axis, 0, count * size)  # a view
    # From (N, C, cells, pixels of a cell …) to (N, cells …, C, pixels of a cell …), and back.
    split = part.reshape(*part.shape[:2], *itertools.chain(*zip(counts, sizes, strict=True)))
    axes = [0, *range(2, split.ndim, 2), 1, *range(3, split.ndim, 2)]
    patches = split.permute(axes).flatten(1, len(counts))
    index = order.to(images.device, non_blocking=True)
    rows = torch.arange(len(images), device=images.device).unsqueeze(1)
    moved = patches[rows, index].unflatten(1, counts)
    back = sorted(range(split.ndim), key=axes.__getitem__)
    part.copy_(moved.permute(back).reshape(part.shape))
    return whole


def permutations(count: int, places: int, generator: torch.Generator, swaps: int) -> torch.Tensor:
    """Return (count, places) int64 on the CPU: what stands in each place after so many swaps."""
    order = torch.arange(places).repeat(count, 1)
    pairs = torch.randint(places, (swaps, count, 2), generator=generator)
    rows = torch.arange(count)
    for pair in pairs:
        one, other = pair.unbind(1)
        order[rows, one], order[rows, other] = order[rows, other], order[rows, one]
    return order
