"""A training of a network for label maps: epochs, selection, checkpoints and predictions."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mritk import Epoch, MritkError, Setup, Subset, UsageError, derive
from mritk.train import BestState, repeatable
from mritk_segmentation.scans import Scans
from mritk_segmentation.unet import DIVISOR


class MapTraining(ABC):
    """A network, untrained or trained, and what it is trained with.

    Its parameters are a :class:`mritk_segmentation.unet_recipe.MapRecipe`. Adam follows a half
    cosine to zero; the epoch of the lowest validation loss is kept, or the last.

    Attributes:
        name: Of the method, for messages.
        network: Z-scores (N, C, *spatial) in; in evaluation mode logits (N, labels, *spatial) out.
    """

    name: ClassVar[str]

    def __init__(self, setup: Setup) -> None:
        """Build the network and place the data.

        Raises:
            UsageError: The protocol selects by something else than the loss, or the input has
                other sides than the network takes.
        """
        if setup.selection.on == "val" and setup.selection.by != "loss":
            raise UsageError(
                f"{self.name} selects by the validation loss; remove by from [selection]"
            )
        self.setup = setup
        self.train_scans = self.scans(setup.train)
        self.val_scans = self.scans(setup.val)
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derive(setup.seed, "initialisation"))
            self.network = self.build(self.train_scans.channels).to(setup.device)
        own = setup.parameters
        self._optimiser = torch.optim.Adam(
            self.network.parameters(), own.learning_rate, weight_decay=own.weight_decay
        )
        self._best = BestState(setup.selection, setup.task)

    # -- what a method says ----------------------------------------------------------------------

    @property
    def divisor(self) -> int:
        """What the sides of the input are multiples of."""
        return DIVISOR

    @property
    def regions(self) -> tuple[tuple[int, ...], ...]:
        """Labels of each region whose Dice is learnt; empty: each label but the background."""
        return ()

    @property
    def stage(self) -> str:
        """What an epoch is called."""
        return "all"

    @abstractmethod
    def build(self, channels: int) -> nn.Module:
        """Return the network, initialised by torch's global generator."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterable[torch.Tensor]:
        """Return the rows of each batch of an epoch, int64."""

    def batch_loss(self, rows: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """Return what a step minimises. Draws of torch are seeded before."""
        return self.loss_of(
            self.network(self.train_scans.batch(rows)), self.train_scans.masks(rows)
        )

    def loss_of(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Return the loss of logits (N, labels, *spatial) for label maps (N, *spatial)."""
        background = self.setup.parameters.background_weight
        return segmentation_loss(logits, masks, background, self.regions)

    def of_epoch(self) -> dict[str, float]:
        """Return further numbers of the epoch that ends, for its history."""
        return {}

    # -- training --------------------------------------------------------------------------------

    def scans(self, subset: Subset) -> Scans:
        """Return the samples of a part on the grid of the protocol."""
        return Scans(self.setup, subset, self.name, self.divisor)

    def trained(self) -> MapTraining:
        """Train, or go on behind the checkpoint; return this with the state selected.

        Raises:
            MritkError: Training diverged.
        """
        with repeatable(self.setup.device, deterministic=self.setup.deterministic):
            return self._trained()

    def _trained(self) -> MapTraining:
        setup, own, checkpoint = self.setup, self.setup.parameters, self.setup.checkpoint
        done = self._resumed()
        for epoch in range(done + 1, own.epochs + 1):
            began = time.perf_counter()
            train_loss = self._train_epoch(epoch)
            val_loss = self._validation_loss()
            if not math.isfinite(train_loss + val_loss):
                raise MritkError(f"the loss is not finite in epoch {epoch}; lower learning_rate")
            self._best.offer(epoch, val_loss, self.network)
            setup.on_epoch(
                Epoch(
                    epoch=epoch,
                    epochs=own.epochs,
                    stage=self.stage,
                    learning_rate=self._optimiser.param_groups[0]["lr"],
                    train_loss=train_loss,
                    val_loss=val_loss,
                    selection=val_loss,
                    seconds=time.perf_counter() - began,
                    extra=self.of_epoch(),
                )
            )
            if checkpoint is not None and getattr(checkpoint, "worthwhile", True):
                checkpoint.save(
                    {
                        "epoch": epoch,
                        "network": self.network.state_dict(),
                        "optimiser": self._optimiser.state_dict(),
                        "best": self._best.state(),
                    }
                )
        self._best.restore(self.network)
        self.network.eval()
        return self

    def _resumed(self) -> int:
        """Load the checkpoint, if there is one; return the number of epochs behind it."""
        checkpoint = self.setup.checkpoint
        saved = checkpoint.load() if checkpoint is not None else None
        if saved is None:
            return 0
        self.network.load_state_dict(saved["network"])
        self._optimiser.load_state_dict(saved["optimiser"])
        self._best.load(saved["best"])
        return int(saved["epoch"])

    def _train_epoch(self, epoch: int) -> float:
        own = self.setup.parameters
        share = 0.5 * (1 + math.cos(math.pi * (epoch - 1) / own.epochs))
        self._optimiser.param_groups[0]["lr"] = own.learning_rate * share
        self.network.train()
        losses = []
        for step, rows in enumerate(self.batches(epoch)):
            torch.manual_seed(derive(self.setup.seed, "draw", epoch, step))
            loss = self.batch_loss(rows, epoch, step)
            self._optimiser.zero_grad()
            loss.backward()
            self._optimiser.step()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    def _validation_loss(self) -> float:
        with self._evaluation():
            losses = [
                self.loss_of(self.network(self.val_scans.batch(rows)), self.val_scans.masks(rows))
                for rows in torch.arange(len(self.val_scans)).split(1)
            ]
            return float(torch.stack(losses).mean())

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        self.network.eval()
        with torch.no_grad():  # a network may keep a tensor of this pass for training
            yield

    # -- what is fitted --------------------------------------------------------------------------

    def predict(self, subset: Subset) -> list[np.ndarray]:
        """Return a label map of each sample, uint8, on its own grid."""
        setup = self.setup
        with repeatable(setup.device, deterministic=setup.deterministic), self._evaluation():
            return self.scans(subset).label_maps(self.network)

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        on_val = self.setup.selection.on == "val"
        return {
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "selected_epoch": self._best.epoch if on_val else self.setup.parameters.epochs,
        }


def segmentation_loss(
    logits: torch.Tensor,
    masks: torch.Tensor,
    background: float = 1.0,
    regions: Sequence[Sequence[int]] = (),
) -> torch.Tensor:
    """Return the cross-entropy plus 1 - soft Dice, the mean over regions.

    Args:
        logits: (N, labels, *spatial).
        masks: (N, *spatial) int64.
        background: Weight of label 0 in the cross-entropy; others have 1.
        regions: The labels of each region; empty: each label but the background is one.
    """
    one_hot = functional.one_hot(masks, logits.shape[1]).movedim(-1, 1).float()
    wanted, given = (_of_regions(values, regions) for values in (one_hot, logits.softmax(dim=1)))
    over = (0, *range(2, logits.ndim))
    dice = (2 * (given * wanted).sum(over) + 1) / ((given + wanted).sum(over) + 1)
    weights = torch.ones(logits.shape[1], device=logits.device)
    weights[0] = background
    return functional.cross_entropy(logits, masks, weights) + 1 - dice.mean()


def _of_regions(values: torch.Tensor, regions: Sequence[Sequence[int]]) -> torch.Tensor:
    """Return what (N, labels, *spatial) are of each region, (N, regions, *spatial)."""
    if not regions:
        return values[:, 1:]
    return torch.stack([values[:, list(labels)].sum(dim=1) for labels in regions], dim=1)
