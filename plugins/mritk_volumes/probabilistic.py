"""The method ``probabilistic_finetune``: fine-tuning that predicts distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from mritk import Setup, Subset, derive
from mritk.train import FineTuning, Objective, prepare, repeatable, train
from mritk_volumes.probabilistic_recipe import ProbabilisticRecipe
from mritk_volumes.thinned_head import ThinnedHead

HEAD = "head."
# Variances of standardised values are at least this.
LEAST_VARIANCE = 1e-6


class PredictiveObjective(Objective):
    """A negative log-likelihood, and the divergence of concrete dropout."""

    def __init__(self, setup: Setup, head: ThinnedHead) -> None:
        recipe: ProbabilisticRecipe = setup.parameters
        arguments = self.arguments_of(recipe)
        super().__init__(setup.task, setup.train.targets, setup.device, **arguments)
        self._recipe, self._head, self._samples = recipe, head, len(setup.train)

    def loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the training loss of outputs (N, K): logits, values, or means, log variances."""
        divergence = self._head.penalty(self._samples, self._recipe.prior_length)
        # A squared error is twice the negative log-likelihood of a value of variance 1.
        times = 2 if not self.task.classes and self._recipe.likelihood == "squared" else 1
        return super().loss(outputs, targets) + times * divergence

    def unweighted_loss(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the training loss without class weights and divergence."""
        if self.task.classes or self._recipe.likelihood == "squared":
            return super().unweighted_loss(outputs, targets)
        if self._recipe.likelihood == "absolute":
            return functional.l1_loss(outputs[:, 0], targets)
        variance = outputs[:, 1].exp()
        return functional.gaussian_nll_loss(outputs[:, 0], targets, variance, eps=LEAST_VARIANCE)

    def epoch_terms(self) -> dict[str, float]:
        """Return the rate of concrete dropout."""
        learned = self._recipe.dropout == "concrete"
        return {"dropout rate": self._head.rate} if learned else {}


class Probabilistic(FineTuning):
    """A fine-tuned model that draws thinned heads."""

    head: ThinnedHead

    def predict(self, subset: Subset) -> np.ndarray:
        """Return float32 logarithms of mean probabilities (N, classes), or mean values (N,)."""
        drawn, objective = self._drawn(subset), self.training.objective
        if self._setup.task.classes:
            return torch.log_softmax(drawn, dim=2).logsumexp(dim=0).sub(np.log(len(drawn))).numpy()
        values = np.stack([objective.scores(outputs) for outputs in drawn])
        return np.asarray(values.mean(axis=0))

    def _drawn(self, subset: Subset) -> torch.Tensor:
        """Return outputs (draws, N, K) of a subset on the CPU."""
        features = torch.from_numpy(self.embed(subset)).to(self._setup.device)
        generator = torch.Generator().manual_seed(derive(self._setup.seed, "dropout"))
        recipe: ProbabilisticRecipe = self._setup.parameters
        return self.head.drawn(features, generator, recipe.draws).cpu()

    @property
    def notes(self) -> dict[str, Any]:
        """Facts for the trial file."""
        rate = {"dropout_rate": self.head.rate} if self.head.rate else {}
        return super().notes | rate


class ProbabilisticValues(Probabilistic):
    """One for values, which tells how uncertain each of them is."""

    def spread(self, subset: Subset) -> np.ndarray:
        """Return the standard deviation of the mixture of draws, (N,) in the unit of the target.

        Its variance is the mean of the draws' variances plus the variance of their means.
        """
        drawn = self._drawn(subset).double().numpy()
        variance = drawn[..., 0].var(axis=0)
        if drawn.shape[2] > 1:
            variance += (np.exp(drawn[..., 1]).clip(LEAST_VARIANCE)).mean(axis=0)
        return np.sqrt(variance) * self.training.objective.scaling[1]


def fit_probabilistic(setup: Setup) -> Probabilistic:
    """Fine-tune with a likelihood and, if asked for, with dropout that stays.

    Raises:
        Unavailable: The backbone's weights are missing.
        NonFiniteLoss: Training diverged.
    """
    recipe: ProbabilisticRecipe = setup.parameters
    training = prepare(setup)
    values = not setup.task.classes
    gaussian = values and recipe.likelihood == "gaussian"
    with torch.random.fork_rng(devices=()):
        torch.default_generator.manual_seed(derive(setup.seed, "head"))
        outputs = setup.task.outputs * (1 + gaussian)
        head = ThinnedHead(
            training.loaded.num_features, outputs, recipe.dropout, recipe.dropout_rate
        )
    objective = PredictiveObjective(setup, head)
    training = training.with_parts(head=head, objective=objective, order=training.order)
    with repeatable(setup.device, deterministic=setup.deterministic):
        fitted = train(training)
    told = gaussian or (values and recipe.dropout != "none")
    model = (ProbabilisticValues if told else Probabilistic)(training, fitted.progress)
    model.head = head
    if recipe.dropout == "none":
        _leave_plain(training.network, head, setup.task.outputs, fitted.progress.changed)
    return model


def _leave_plain(
    network: nn.Module, head: ThinnedHead, outputs: int, changed: dict[str, list[str]]
) -> None:
    """Let the network end in a plain linear layer of the means, which a file can describe."""
    linear = nn.Linear(head.outputs.in_features, outputs).to(head.outputs.weight)
    with torch.no_grad():
        linear.weight.copy_(head.outputs.weight[:outputs])
        linear.bias.copy_(head.outputs.bias[:outputs])
    network.head = nn.Sequential(linear)
    for stage, names in changed.items():
        changed[stage] = [name.replace(f"{HEAD}outputs.", f"{HEAD}0.") for name in names]
