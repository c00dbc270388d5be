"""The method ``domain_unet``: label maps for unseen sites, by a U-Net with a latent space."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mritk import Epoch, MritkError, Setup, Subset, UsageError, derive
from mritk.train import BestState, repeatable
from mritk_domains.balanced import Balanced
from mritk_domains.latent import Latent
from mritk_domains.regularisers import kth_singular_value, normal_divergence
from mritk_domains.scans import Scans
from mritk_domains.unet import LatentUNet
from mritk_domains.unet_recipe import UNetRecipe


def fit_unet(setup: Setup) -> DomainUNet:
    """Train on the sites of the training set; keep the epoch of the lowest validation loss.

    Raises:
        UsageError: Sites are not known or too many, or the protocol selects by something else.
        MritkError: Training diverged.
    """
    if setup.selection.on == "val" and setup.selection.by != "loss":
        raise UsageError("domain_unet selects by the validation loss; remove by from [selection]")
    with repeatable(setup.device, deterministic=setup.deterministic):
        return DomainUNet(setup).train()


class DomainUNet:
    """A U-Net, untrained or trained, and what it is trained with.

    Attributes:
        network: Z-scores in, logits out.
    """

    def __init__(self, setup: Setup) -> None:
        """Build the network and place the data."""
        self._setup, own = setup, setup.parameters
        sites = setup.train.samples.sites
        self._order = Balanced.of(sites, own.batch_size, setup.seed, least=1)
        self._sites = len(self._order.rows)
        if self._sites > own.latent:
            raise UsageError(
                f"a latent space of {own.latent} dimensions has no singular value for "
                f"{self._sites} sites; set latent = {self._sites} or more in the protocol"
            )
        self._train, self._val = Scans(setup, setup.train), Scans(setup, setup.val)
        with torch.random.fork_rng(devices=()):
            torch.default_generator.manual_seed(derive(setup.seed, "initialisation"))
            self.network = LatentUNet(
                self._train.channels,
                setup.task.outputs,
                spatial_dims=setup.train.samples.spatial_dims or 0,
                width=own.width,
                latent=own.latent,
                hidden=own.latent_hidden,
                drawn=own.reparameterisation if own.regulariser == "lddg" else None,
            ).to(setup.device)
        self._optimiser = torch.optim.Adam(
            self.network.parameters(), own.learning_rate, weight_decay=own.weight_decay
        )
        self._best = BestState(setup.selection, setup.task)
        self._told: dict[str, float] = {}

    def train(self) -> DomainUNet:
        """Train, or go on behind the checkpoint; return the model with the state selected."""
        setup, own, checkpoint = self._setup, self._setup.parameters, self._setup.checkpoint
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
                    stage=own.regulariser,
                    learning_rate=self._optimiser.param_groups[0]["lr"],
                    train_loss=train_loss,
                    val_loss=val_loss,
                    selection=val_loss,
                    seconds=time.perf_counter() - began,
                    extra=self._told,
                )
            )
            if checkpoint is not None:
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
        checkpoint = self._setup.checkpoint
        saved = checkpoint.load() if checkpoint is not None else None
        if saved is None:
            return 0
        self.network.load_state_dict(saved["network"])
        self._optimiser.load_state_dict(saved["optimiser"])
        self._best.load(saved["best"])
        return int(saved["epoch"])

    def _train_epoch(self, epoch: int) -> float:
        setup, own = self._setup, self._setup.parameters
        share = 0.5 * (1 + math.cos(math.pi * (epoch - 1) / own.epochs))
        self._optimiser.param_groups[0]["lr"] = own.learning_rate * share
        self.network.train()
        losses, terms = [], []
        for step, rows in enumerate(self._order.batches(epoch)):
            torch.manual_seed(derive(setup.seed, "draw", epoch, step))
            latent = self.network(self._train.batch(rows))
            loss = self._loss(latent.outputs, self._train.masks(rows))
            added, told = self._regularised(latent, derive(setup.seed, "voxels", epoch, step))
            self._optimiser.zero_grad()
            (loss + added).backward()
            self._optimiser.step()
            losses.append((loss + added).detach())
            terms.append(told)
        means = torch.stack(terms).mean(dim=0).tolist()
        self._told = dict(zip(("sigma_1", "sigma_K", "rank term", "KL"), means, strict=True))
        if own.regulariser == "erm":
            self._told = {name: self._told[name] for name in ("sigma_1", "sigma_K")}
        return float(torch.stack(losses).mean())

    def _loss(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        return segmentation_loss(logits, masks, self._setup.parameters.background_weight)

    def _regularised(self, latent: Latent, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is added to the loss; and σ_1, σ_K of the means, rank term, divergence."""
        own: UNetRecipe = self._setup.parameters
        means = voxels_of(latent.mean.detach(), own.rank_voxels, seed)
        values = torch.linalg.svdvals(means)
        zero = torch.zeros((), device=means.device)
        rank = divergence = added = zero
        if latent.log_variance is not None:
            drawn = voxels_of(latent.drawn, own.rank_voxels, seed)
            rank = kth_singular_value(drawn, self._sites)
            divergence = normal_divergence(latent.mean, latent.log_variance)
            added = own.kl_weight * divergence + own.rank_weight * rank
        told = [values[0], values[self._sites - 1], rank.detach(), divergence.detach()]
        return added, torch.stack(told)

    def _validation_loss(self) -> float:
        with self._evaluation():
            losses = [
                self._loss(self.network(self._val.batch(rows)), self._val.masks(rows))
                for rows in torch.arange(len(self._val)).split(1)
            ]
            return float(torch.stack(losses).mean())

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        self.network.eval()
        with torch.inference_mode():
            yield

    def predict(self, subset: Subset) -> list[np.ndarray]:
        """Return a label map of each sample, uint8, on its own grid."""
        setup = self._setup
        with repeatable(setup.device, deterministic=setup.deterministic), self._evaluation():
            return Scans(setup, subset).label_maps(self.network)

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        own, on_val = self._setup.parameters, self._setup.selection.on == "val"
        names = sorted(set(self._setup.train.samples.sites or ()))
        counts = [len(rows) for rows in self._order.rows]
        return {
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "selected_epoch": self._best.epoch if on_val else own.epochs,
            "source_sites": dict(zip(names, counts, strict=True)),
        }


def segmentation_loss(
    logits: torch.Tensor, masks: torch.Tensor, background: float = 1.0
) -> torch.Tensor:
    """Return the cross-entropy plus 1 - soft Dice, the mean over labels but the background.

    Args:
        logits: (N, labels, *spatial).
        masks: (N, *spatial) int64.
        background: Weight of label 0 in the cross-entropy; others have 1.
    """
    wanted = functional.one_hot(masks, logits.shape[1]).movedim(-1, 1)[:, 1:].float()
    given = logits.softmax(dim=1)[:, 1:]
    over = (0, *range(2, logits.ndim))
    dice = (2 * (given * wanted).sum(over) + 1) / ((given + wanted).sum(over) + 1)
    weights = torch.ones(logits.shape[1], device=logits.device)
    weights[0] = background
    return functional.cross_entropy(logits, masks, weights) + 1 - dice.mean()


def voxels_of(values: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Return the latent values (M, L) of M random voxels of (N, L, *spatial), ``count`` at most."""
    flat = values.movedim(1, -1).flatten(0, -2)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(flat), generator=generator)[:count]
    return flat[chosen.to(flat.device, non_blocking=True)]
