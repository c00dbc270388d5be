"""Many networks of one architecture at once, and how fit each is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn import functional

from mritk.train import Inputs
from mritk_evolve.genome import Genome

# More at once outgrow the caches of a CPU: 60 images of 32 px take 1.7 times as long per network
# in passes of 40 networks as in passes of 8 (2 cores of a shared machine, 2026-11-28).
CPU_AT_ONCE = 512


class Images(Protocol):
    """The images of a part of the data."""

    def __len__(self) -> int:
        """Return their number."""

    def in_order(self, batch_size: int) -> Iterator[torch.Tensor]:
        """Yield them as float32 batches (B, C, *spatial) in [0, 1] on the device."""


class Fitness(NamedTuple):
    """How fit P networks are: ``correct`` (P,) images of the training set, mean ``loss`` (P,)."""

    correct: torch.Tensor
    loss: torch.Tensor

    def at(self, rows: torch.Tensor | slice) -> Fitness:
        """Return those of some networks."""
        return Fitness(self.correct[rows], self.loss[rows])

    @staticmethod
    def joined(parts: list[Fitness]) -> Fitness:
        """Return those of all networks of several parts."""
        correct = torch.cat([part.correct for part in parts])
        return Fitness(correct, torch.cat([part.loss for part in parts]))


class Population:
    """Networks of one architecture on the training images.

    No gradient is computed, and nothing waits for the device: what a pass finds stays there.
    """

    def __init__(
        self,
        network: nn.Module,
        genome: Genome,
        inputs: Inputs,
        images: Images,
        targets: torch.Tensor,
        at_once: int,
    ) -> None:
        """Take what all networks share.

        Args:
            network: Gives the architecture, in evaluation mode.
            genome: Reads vectors as its weights.
            inputs: The way of images to it.
            images: The training images.
            targets: Their classes, (N,) int64 on the device of the network.
            at_once: Images times networks in one pass at most.
        """
        self._network, self._genome, self._inputs = network, genome, inputs
        self._images, self._targets = images, targets
        self.at_once = at_once if inputs.one_shape else min(at_once, CPU_AT_ONCE)

    def fitness(self, weights: torch.Tensor) -> Fitness:
        """Return how fit the networks with weights (P, D) are.

        Where a pass takes too much memory of a GPU, this one and later ones take half as much.
        """
        while True:
            count = min(len(self._images), self.at_once)
            chunks = weights.split(max(1, self.at_once // count))
            try:
                with torch.inference_mode():
                    return Fitness.joined([self._of_chunk(chunk, count) for chunk in chunks])
            except torch.OutOfMemoryError:
                if self.at_once == 1:
                    raise
            # Outside the handler, whose traceback holds on to the activations.
            torch.cuda.empty_cache()
            self.at_once = (self.at_once + 1) // 2

    def _of_chunk(self, weights: torch.Tensor, count: int) -> Fitness:
        parameters = self._genome.named(weights)

        def outputs(batch: torch.Tensor) -> torch.Tensor:
            return vmap(self._outputs, in_dims=(0, None))(parameters, batch)

        correct = torch.zeros(len(weights), device=weights.device)
        loss = torch.zeros(len(weights), device=weights.device)
        targets = self._targets.split(count)
        for images, wanted in zip(self._images.in_order(count), targets, strict=True):
            logits = self._inputs.compute(outputs, images)  # (P, B, K)
            correct += (logits.argmax(dim=2) == wanted).sum(dim=1)
            each = wanted.expand(len(weights), -1)
            losses = functional.cross_entropy(logits.movedim(2, 1), each, reduction="none")
            loss += losses.sum(dim=1)
        return Fitness(correct, loss / len(self._images))

    def _outputs(self, parameters: dict[str, torch.Tensor], batch: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = functional_call(self._network, parameters, (batch,))
        return found
