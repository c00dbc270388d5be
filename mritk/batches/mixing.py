"""MixUp and CutMix: a batch blended with itself, and its targets likewise.

As in torchvision.transforms.v2, one share per batch, and each image's partner is its neighbour in
the batch, which is a random one because batches are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Mixing:
    """How batches are mixed; 0 switches a way off.

    Attributes:
        mixup: Parameter of the Beta distribution of MixUp's share.
        cutmix: Parameter of the Beta distribution of CutMix's share.
    """

    mixup: float = 0.0
    cutmix: float = 0.0

    def __bool__(self) -> bool:
        return self.mixup > 0 or self.cutmix > 0

    def __call__(
        self, images: torch.Tensor, targets: torch.Tensor, seed: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mix a batch.

        Args:
            images: (N, C, *spatial).
            targets: (N, K) class probabilities, or (N,) values.
            seed: Of the draw.
        """
        rng = np.random.default_rng(seed)
        cut = self.cutmix > 0 and (self.mixup == 0 or rng.random() < 0.5)
        alpha = self.cutmix if cut else self.mixup
        share = float(rng.beta(alpha, alpha))
        if not cut:
            return blend(images, share), blend(targets, share)
        box = draw_box(images.shape[2:], share, rng)
        images, kept = paste(images, box)
        return images, blend(targets, kept)


def blend(values: torch.Tensor, share: float) -> torch.Tensor:
    """Return ``share · values + (1 - share) · partners`` (Zhang et al., 2018, equation 1)."""
    return torch.lerp(values.roll(1, 0), values, share)


def draw_box(
    sides: tuple[int, ...], share: float, rng: np.random.Generator
) -> tuple[tuple[int, int], ...]:
    """Return the first and last-plus-one pixel on each axis of CutMix's box.

    It takes ``1 - share`` of the image, its centre is uniform, and it is cut at the border (Yun et
    al., 2019, equation 2; for volumes, a cuboid).
    """
    scale = (1 - share) ** (1 / len(sides))
    box = []
    for side in sides:
        centre, half = int(rng.integers(side)), int(0.5 * scale * side)
        box.append((max(centre - half, 0), min(centre + half, side)))
    return tuple(box)


def paste(images: torch.Tensor, box: tuple[tuple[int, int], ...]) -> tuple[torch.Tensor, float]:
    """Return images with their partners' pixels in ``box``, and the share that is their own."""
    window = (slice(None), slice(None), *(slice(first, last) for first, last in box))
    mixed = images.clone()
    mixed[window] = images.roll(1, 0)[window]
    taken = np.prod([last - first for first, last in box]) / np.prod(images.shape[2:])
    return mixed, float(1 - taken)
