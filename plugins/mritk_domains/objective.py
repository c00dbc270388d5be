"""The loss of ``domain_finetune``: that of the task, and a regulariser over sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mritk import Setup
from mritk.train import Objective
from mritk_domains.latent import Latent, LatentHead
from mritk_domains.recipe import DomainRecipe
from mritk_domains.regularisers import (
    coral_distance,
    irm_penalty,
    kth_singular_value,
    normal_divergence,
    reweighted,
)

ALONE = ("erm", "mixup")


class DomainObjective(Objective):
    """A loss of batches in which K sites take turns, see :class:`mritk_domains.balanced.Balanced`.

    It remembers the weights of sites, the number of steps, the sums of its terms, and the latent
    means of the last batch; all of it on the device, so that no step waits.
    """

    def __init__(self, setup: Setup, head: LatentHead, sites: int, batch: int) -> None:
        """Take what the loss is made of.

        Args:
            setup: Task, training targets, device and recipe.
            head: Whose training outputs the loss takes.
            sites: K.
            batch: Samples of a batch.
        """
        recipe: DomainRecipe = setup.parameters
        arguments = self.arguments_of(recipe)
        super().__init__(setup.task, setup.train.targets, setup.device, **arguments)
        self.couples_samples = recipe.regulariser not in ALONE
        self._recipe, self._head, self._sites = recipe, head, sites
        device = setup.device
        self._memory = {
            "weights": torch.full((sites,), 1 / sites, device=device),
            "steps": torch.zeros((), device=device),
            # Of this epoch: its steps, and the sums of the penalty and of the divergence.
            "sums": torch.zeros(3, device=device),
            "means": torch.zeros(batch, recipe.latent, device=device),
        }

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the loss of what the head gives in training.

        Args:
            outputs: (M · K, …) of M samples of each of K sites, which take turns.
            targets: Their targets, or class probabilities of mixed samples.
        """
        latent = self._head.split(outputs)
        loss, penalty, divergence = getattr(self, f"_{self._recipe.regulariser}")(latent, targets)
        memory = self._memory
        with torch.no_grad():
            memory["steps"] += 1
            memory["sums"] += torch.stack([torch.ones_like(penalty), penalty, divergence]).detach()
            if len(latent.mean) == len(memory["means"]):
                memory["means"].copy_(latent.mean)
        return loss

    def _erm(self, latent: Latent, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        loss = super().loss(latent.outputs, targets)
        nothing = torch.zeros_like(loss.detach())
        return loss, nothing, nothing

    _mixup = _erm

    def _lddg(self, latent: Latent, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        assert latent.log_variance is not None
        rank = kth_singular_value(latent.drawn, self._sites)
        divergence = normal_divergence(latent.mean, latent.log_variance)
        added = self._recipe.kl_weight * divergence + self._recipe.rank_weight * rank
        return super().loss(latent.outputs, targets) + added, rank, divergence

    def _coral(self, latent: Latent, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        loss, _, nothing = self._erm(latent, targets)
        distance = coral_distance(self._by_site(latent.mean))
        return loss + self._recipe.coral_weight * distance, distance, nothing

    def _irm(self, latent: Latent, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        loss, _, nothing = self._erm(latent, targets)
        penalty = irm_penalty(self._by_site(latent.outputs), self._by_site(targets))
        begun = self._memory["steps"] >= self._recipe.irm_anneal
        weight = torch.where(begun, self._recipe.irm_weight, 1.0)
        return loss + weight * penalty, penalty, nothing

    def _groupdro(self, latent: Latent, targets: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs, wanted = self._by_site(latent.outputs), self._by_site(targets)
        each = [
            super(DomainObjective, self).loss(outputs[:, k], wanted[:, k])
            for k in range(self._sites)
        ]
        losses, weights = torch.stack(each), self._memory["weights"]
        weights.copy_(reweighted(weights, losses, self._recipe.groupdro_rate))
        worst = losses.detach().max()
        return (weights.clone() * losses).sum(), worst, torch.zeros_like(worst)

    def _by_site(self, values: torch.Tensor) -> torch.Tensor:
        """Return values (M · K, …) as (M, K, …)."""
        return values.unflatten(0, (-1, self._sites))

    @property
    def site_weights(self) -> list[float]:
        """The weights of the sites, in the order of their names; those of ``groupdro`` differ."""
        return [float(weight) for weight in self._memory["weights"]]

    def epoch_terms(self) -> dict[str, float]:
        """Return the means of the terms over the epoch's steps, and singular values.

        ``sigma_1`` and ``sigma_K`` are the largest and the K-th of the latent means of the last
        batch, absent where batches went through the network in micro-batches; ``rank term``,
        ``CORAL``, ``IRM`` or ``worst site`` is what the regulariser adds or weighs, ``KL`` the
        divergence of ``lddg``.
        """
        steps, penalty, divergence = self._memory["sums"].tolist()
        self._memory["sums"].zero_()
        values = torch.linalg.svdvals(self._memory["means"].cpu())
        self._memory["means"].zero_()
        told = {}
        if values[0]:  # 0 where no batch went through whole
            told = {"sigma_1": float(values[0]), "sigma_K": float(values[self._sites - 1])}
        names = {"lddg": "rank term", "coral": "CORAL", "irm": "IRM", "groupdro": "worst site"}
        if (name := names.get(self._recipe.regulariser)) is not None:
            told[name] = penalty / steps
        if self._recipe.regulariser == "lddg":
            told["KL"] = divergence / steps
        return told

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return dict(self._memory)

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a :meth:`state`."""
        for name, tensor in self._memory.items():
            tensor.copy_(state[name])
