"""Views of images at test time, over which scores are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch

from mritk.batches.augmented import augmented
from mritk.batches.resident import ResidentImages
from mritk.errors import UsageError
from mritk.method import Setup
from mritk.protocol.recipe import Recipe
from mritk.seeds import derive

# Draws belong to blocks of this size, so that they do not depend on how many images the device
# takes at once.
BLOCK = 64

Transform = Callable[[torch.Tensor, int], torch.Tensor]


class View:
    """Images as a transform shows them.

    The transform takes a block (N, C, *spatial) in [0, 1] and the block's number.
    """

    def __init__(
        self, images: ResidentImages, transform: Transform, block: int | None = None
    ) -> None:
        """Show ``images`` in blocks of this size; None: of whatever size a batch has."""
        self._images, self._transform, self._block = images, transform, block

    def __len__(self) -> int:
        return len(self._images)

    def in_order(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Yield all images in batches, the last one possibly smaller."""
        rest: torch.Tensor | None = None
        for number, block in enumerate(self._images.in_order(self._block or batch_size)):
            shown = self._transform(block, number)
            whole = list((shown if rest is None else torch.cat([rest, shown])).split(batch_size))
            rest = whole.pop() if len(whole[-1]) < batch_size else None
            yield from whole
        if rest is not None:
            yield rest


Images = ResidentImages | View


def views_of(images: ResidentImages, recipe: Recipe, setup: Setup) -> list[Images]:
    """Return the images themselves, and then the further views that the recipe asks for.

    Raises:
        UsageError: It asks for views of an augmentation, and the trial has none.
    """
    if recipe.test_time == "none":
        return [images]
    if recipe.test_time == "flip":
        return [images, View(images, lambda block, number: block.flip(-1))]
    if setup.augmentation.apply is None:
        raise UsageError(
            "test_time = 'augmentation' averages over draws of the trial's augmentation, which "
            "is none; specify one with --augmentation, or use 'flip'"
        )
    draws = [partial(_draw, setup, view) for view in range(recipe.test_time_views)]
    return [images, *(View(images, draw, BLOCK) for draw in draws)]


def _draw(setup: Setup, view: int, block: torch.Tensor, number: int) -> torch.Tensor:
    drawn = derive(setup.seed, "test time", view, number)
    return augmented(block, setup, drawn, ambient=drawn)
