"""The method ``domain_finetune``: staged fine-tuning with batches, a head and a loss of its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from mritk import Setup, UsageError, derive
from mritk.train import FineTuning, Network, prepare, repeatable, train
from mritk_domains.balanced import Balanced
from mritk_domains.latent import LatentHead
from mritk_domains.objective import DomainObjective
from mritk_domains.recipe import DomainRecipe

HEAD = "head."


class DomainTuned(FineTuning):
    """A fine-tuned model with facts about its sites."""

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        objective, sites = self.training.objective, self.training.setup.train.samples.sites
        assert isinstance(objective, DomainObjective)
        told: dict[str, Any] = {"source_sites": dict(sorted(Counter(sites or ()).items()))}
        if self.training.recipe.stages:
            told["site_weights"] = objective.site_weights
        return super().notes | told


def fit_domains(setup: Setup) -> DomainTuned:
    """Fine-tune on the sites of the training set.

    Raises:
        UsageError: They are not known, or there is one; a latent space or a batch is too small.
        Unavailable: The backbone's weights are missing.
        NonFiniteLoss: Training diverged.
    """
    recipe: DomainRecipe = setup.parameters
    order = Balanced.of(setup.train.samples.sites, recipe.batch_size, setup.seed)
    count = len(order.rows)
    if count > recipe.latent:
        raise UsageError(
            f"a latent space of {recipe.latent} dimensions has no singular value for {count} "
            f"sites; set latent = {count} or more in the protocol"
        )
    training = prepare(setup)
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(setup.seed, "head"))
        head = LatentHead(
            training.loaded.num_features,
            setup.task.outputs,
            latent=recipe.latent,
            hidden=recipe.latent_hidden,
            drawn=recipe.reparameterisation if recipe.regulariser == "lddg" else None,
        )
    objective = DomainObjective(setup, head, count, order.size)
    training = training.with_parts(head=head, objective=objective, order=order)
    with repeatable(setup.device, deterministic=setup.deterministic):
        fitted = train(training)
    _leave_plain(training.network, head, fitted.progress.changed)
    return DomainTuned(training, fitted.progress)


def _leave_plain(network: Network, head: LatentHead, changed: dict[str, list[str]]) -> None:
    """Put plain layers in place of the head, and their names in place of its own."""
    network.head = head.plain()
    for stage, names in changed.items():
        own = [name.removeprefix(HEAD) for name in names if name.startswith(HEAD)]
        plain = [f"{HEAD}{name}" for name in map(head.plain_name, own) if name]
        changed[stage] = [name for name in names if not name.startswith(HEAD)] + plain
