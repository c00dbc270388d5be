"""The method ``domain_unet``: label maps for unseen sites, by a U-Net with a latent space."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from mritk import Setup, UsageError, derive
from mritk_domains.balanced import Balanced
from mritk_domains.latent import Latent
from mritk_domains.regularisers import kth_singular_value, normal_divergence
from mritk_domains.unet import LatentUNet
from mritk_domains.unet_recipe import UNetRecipe
from mritk_segmentation.training import MapTraining


def fit_unet(setup: Setup) -> MapTraining:
    """Train on the sites of the training set; keep the epoch of the lowest validation loss.

    Raises:
        UsageError: Sites are not known or too many, the protocol selects by something else, or the
            sides of its input do not fit.
        MritkError: Training diverged.
    """
    return DomainUNet(setup).trained()


class DomainUNet(MapTraining):
    """A U-Net in training on batches of all sites, with LDDG's terms or without."""

    name = "domain_unet"

    def __init__(self, setup: Setup) -> None:
        """Build the network and place the data."""
        own = setup.parameters
        sites = setup.train.samples.sites
        self._order = Balanced.of(sites, own.batch_size, setup.seed, least=1)
        self._sites = len(self._order.rows)
        self._terms: list[torch.Tensor] = []
        for name, unit in (("latent", "dimensions"), ("rank_voxels", "voxels")):
            if self._sites > getattr(own, name):
                raise UsageError(
                    f"a latent matrix of {getattr(own, name)} {unit} has no singular value for "
                    f"{self._sites} sites; set {name} = {self._sites} or more in the protocol"
                )
        super().__init__(setup)

    @property
    def stage(self) -> str:
        """The regulariser."""
        return str(self.setup.parameters.regulariser)

    def build(self, channels: int) -> nn.Module:
        """Return the network."""
        own = self.setup.parameters
        return LatentUNet(
            channels,
            self.setup.task.outputs,
            spatial_dims=self.setup.train.samples.spatial_dims or 0,
            width=own.width,
            latent=own.latent,
            hidden=own.latent_hidden,
            drawn=own.reparameterisation if own.regulariser == "lddg" else None,
        )

    def batches(self, epoch: int) -> Iterable[torch.Tensor]:
        """Return the rows of each batch: equally many of each site."""
        return self._order.batches(epoch)

    def batch_loss(self, rows: torch.Tensor, epoch: int, step: int) -> torch.Tensor:
        """Return the loss of a batch and its regulariser."""
        latent = self.network(self.train_scans.batch(rows))
        loss = self.loss_of(latent.outputs, self.train_scans.masks(rows))
        added, told = self._regularised(latent, derive(self.setup.seed, "voxels", epoch, step))
        self._terms.append(told)
        return loss + added

    def of_epoch(self) -> dict[str, float]:
        """Return the means of the terms over the batches of the epoch that ends."""
        means = torch.stack(self._terms).mean(dim=0).tolist()
        self._terms.clear()
        found = dict(zip(("sigma_1", "sigma_K", "rank term", "KL"), means, strict=True))
        if self.setup.parameters.regulariser == "erm":
            return {name: found[name] for name in ("sigma_1", "sigma_K")}
        return found

    def _regularised(self, latent: Latent, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what is added to the loss; and σ_1, σ_K of the means, rank term, divergence."""
        own: UNetRecipe = self.setup.parameters
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

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        names = sorted(set(self.setup.train.samples.sites or ()))
        counts = [len(rows) for rows in self._order.rows]
        return {**super().notes, "source_sites": dict(zip(names, counts, strict=True))}


def voxels_of(values: torch.Tensor, count: int, seed: int) -> torch.Tensor:
    """Return the latent values (M, L) of M random voxels of (N, L, *spatial), ``count`` at most."""
    flat = values.movedim(1, -1).flatten(0, -2)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(flat), generator=generator)[:count]
    return flat[chosen.to(flat.device, non_blocking=True)]
