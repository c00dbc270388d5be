"""The method ``unet3d``: a plain U-Net, trained on label maps."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from mritk import Setup, derive
from mritk_segmentation.training import MapTraining
from mritk_segmentation.unet import DIVISOR, UNet


def fit_unet3d(setup: Setup) -> MapTraining:
    """Train on the training set; keep the epoch of the lowest validation loss, or the last.

    Raises:
        UsageError: The protocol selects by something else, or the sides of its input do not fit.
        MritkError: Training diverged.
    """
    return UNet3d(setup).trained()


class UNet3d(MapTraining):
    """A plain U-Net in training; images are mirrored with their label maps."""

    name = "unet3d"

    @property
    def regions(self) -> tuple[tuple[int, ...], ...]:
        """Those of the task: what is measured is what is learnt."""
        told = self.setup.task.as_dict()
        return tuple(tuple(map(told["labels"].index, of)) for of in told["regions"].values())

    @property
    def divisor(self) -> int:
        """What the sides of the input are multiples of."""
        return DIVISOR * int(self.setup.parameters.patch)

    def build(self, channels: int) -> nn.Module:
        """Return the network."""
        own, samples = self.setup.parameters, self.setup.train.samples
        dims = samples.spatial_dims or 0
        labels = self.setup.task.outputs
        return UNet(channels, labels, spatial_dims=dims, width=own.width, patch=own.patch)

    def batches(self, epoch: int) -> Iterable[torch.Tensor]:
        """Return the rows of each batch: all training samples in a new order, or so many batches.

        Of a fixed number of batches, each goes on in the order in which the last epoch ended.
        """
        own, count = self.setup.parameters, len(self.train_scans)
        if not own.steps:
            return self._order(epoch, count).split(own.batch_size)
        first = (epoch - 1) * own.steps * own.batch_size
        places = torch.arange(first, first + own.steps * own.batch_size)
        turns = {turn: self._order(turn, count) for turn in (places // count).unique().tolist()}
        rows = [turns[place // count][place % count] for place in places.tolist()]
        return torch.stack(rows).split(own.batch_size)

    def _order(self, turn: int, count: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(derive(self.setup.seed, "order", turn))
        return torch.randperm(count, generator=generator)

    def batch_loss(self, rows: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """Return the loss of a batch, mirrored along each axis or not, as is drawn."""
        images, masks = self.train_scans.batch(rows), self.train_scans.masks(rows)
        if self.setup.parameters.mirror:
            drawn = torch.rand(masks.ndim - 1).tolist()
            axes = [axis - len(drawn) for axis, draw in enumerate(drawn) if draw < 0.5]
            images, masks = images.flip(axes), masks.flip(axes)
        return self.loss_of(self.network(images), masks)
