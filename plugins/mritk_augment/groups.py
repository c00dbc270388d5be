"""Treat the images of one batch differently, without a loop over images."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

Branch = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def apply_by_group(
    images: torch.Tensor, group: torch.Tensor, branches: Sequence[Branch | None]
) -> torch.Tensor:
    """Send each image to the branch that its group names.

    Groups are numbers on the CPU, so the sizes of the parts are known without waiting for the
    device. The images are sorted by group once, and each branch sees one contiguous part.

    Args:
        images: (N, …), any device.
        group: (N,) int64 on the CPU, an index into ``branches`` for each image.
        branches: Called as ``branch(part, rows)`` with the group's images and their row numbers
            in the batch (int64, CPU), if there are any; returns as many images of the same shape.
            None leaves them as they are.
    """
    sizes = torch.bincount(group, minlength=len(branches)).tolist()
    order = torch.argsort(group, stable=True)
    if len(images) in sizes:
        branch = branches[sizes.index(len(images))]
        return images if branch is None else branch(images, order)
    sorted_images = images.index_select(0, order.to(images.device, non_blocking=True))
    parts = [
        part if branch is None or not len(rows) else branch(part, rows)
        for branch, part, rows in zip(
            branches, sorted_images.split(sizes), order.split(sizes), strict=True
        )
    ]
    back = torch.argsort(order).to(images.device, non_blocking=True)
    return torch.cat(parts).index_select(0, back)
