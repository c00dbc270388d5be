"""Views of images at test time, over which scores are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from mritk.errors import UsageError
from mritk.seeds import derive
from mritk.train.recipe import Recipe
from mritk.train.resident import ResidentImages
from mritk.train.setup import Setup

Transform = Callable[[torch.Tensor, int], torch.Tensor]


class View:
    """Images as a transform shows them.

    The transform takes a batch (N, C, *spatial) in [0, 1] and the batch's number.
    """

    def __init__(self, images: ResidentImages, transform: Transform) -> None:
        self._images, self._transform = images, transform

    def __len__(self) -> int:
        return len(self._images)

    def in_order(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Yield all images in batches, the last one possibly smaller."""
        for number, batch in enumerate(self._images.in_order(batch_size)):
            yield self._transform(batch, number)


def views_of(
    images: ResidentImages, recipe: Recipe, setup: Setup
) -> Iterator[ResidentImages | View]:
    """Yield the images themselves, and then the further views that the recipe asks for.

    Raises:
        UsageError: It asks for views of an augmentation, and the trial has none.
    """
    yield images
    if recipe.test_time == "flip":
        yield View(images, lambda batch, number: batch.flip(-1))
    elif recipe.test_time == "augmentation":
        apply = setup.augmentation.apply
        if apply is None:
            raise UsageError(
                "test_time = 'augmentation' averages over draws of the trial's augmentation, which "
                "is none; name one with --augmentation, or use 'flip'"
            )
        for view in range(recipe.test_time_views):

            def draw(batch: torch.Tensor, number: int, view: int = view) -> torch.Tensor:
                seed = derive(setup.seed, "test time", view, number)
                return apply(batch, torch.Generator().manual_seed(seed))

            yield View(images, draw)
