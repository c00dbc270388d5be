"""A line of descent: a parent, and which children were folded into it in each generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mritk import derive
from mritk_evolve.mutation import fold, noise_of
from mritk_evolve.parameters import Evolution
from mritk_evolve.population import Fitness, Population

NOBODY = -1


class Line:
    """A parent that advances by generations.

    All of it stays on the device of the networks: between two reports the host waits for nothing.

    Attributes:
        parent: Its weights, (D,) float32.
        fitness: That of the parent, of P = 1.
        generation: Number of generations so far.
    """

    def __init__(
        self, start: torch.Tensor, parameters: Evolution, seed: int, population: Population
    ) -> None:
        self.parameters, self._seed, self._population = parameters, seed, population
        self.parent, self.generation = start, 0
        self.fitness = population.fitness(start[None])
        shape = (parameters.generations, parameters.elite)
        self._folded = torch.full(shape, NOBODY, device=start.device)

    def advance(self) -> None:
        """Make one generation: children, their fitness, the next parent."""
        own = self.parameters
        self.generation += 1
        sigma, device = own.sigma_of(self.generation), self.parent.device
        numbers = range(own.population)
        noise = torch.stack([self._noise(child) for child in numbers]).to(device, non_blocking=True)
        elite = self._drawn() if own.acceptance == "random" else None
        children = None
        if elite is None:
            children = self._population.fitness(self.parent + noise * sigma)
            elite = ranked(children, own)[: own.elite]
        mixed = fold(self.parent, noise[elite], sigma)
        fitness = self._population.fitness(mixed[None])
        row = elite
        if children is not None:
            # The fittest of three; of equals the first, so that a line moves on a plateau.
            alone = noise[elite[:1]]
            parents = torch.stack([mixed, fold(self.parent, alone, sigma), self.parent])
            found = Fitness.joined([fitness, children.at(elite[:1]), self.fitness])
            first = torch.full_like(elite, NOBODY)
            nobody = first.clone()
            first[:1] = elite[:1]
            chosen = ranked(found, own)[:1]
            mixed, fitness = parents[chosen][0], found.at(chosen)
            row = torch.stack([elite, first, nobody])[chosen][0]
        self.parent, self.fitness = mixed, fitness
        self._folded[self.generation - 1] = row

    def folded_until(self, generation: int) -> list[list[int]]:
        """Return the numbers of the children folded in each generation up to this one."""
        rows = self._folded[:generation].tolist()
        return [[child for child in row if child != NOBODY] for row in rows]

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return {
            "generation": self.generation,
            "parent": self.parent,
            "correct": self.fitness.correct,
            "loss": self.fitness.loss,
            "folded": self._folded[: self.generation],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a :meth:`state`."""
        device = self.parent.device
        self.generation, self.parent = state["generation"], state["parent"].to(device)
        self.fitness = Fitness(state["correct"].to(device), state["loss"].to(device))
        self._folded[: self.generation] = state["folded"].to(device)

    def _noise(self, child: int) -> torch.Tensor:
        return noise_of(self._seed, self.generation, child, len(self.parent))

    def _drawn(self) -> torch.Tensor:
        """Return children that were not looked at, (elite,) int64."""
        generator = torch.Generator()
        generator.manual_seed(derive(self._seed, "acceptance", self.generation))
        drawn = torch.randperm(self.parameters.population, generator=generator)
        return drawn[: self.parameters.elite].to(self.parent.device, non_blocking=True)


def ranked(fitness: Fitness, parameters: Evolution) -> torch.Tensor:
    """Return the numbers of networks from the fittest to the least fit; of equals the first."""
    if parameters.fitness == "loss":
        return torch.argsort(fitness.loss, stable=True)
    order = torch.arange(len(fitness.correct), device=fitness.correct.device)
    if parameters.tie_break == "loss":
        order = torch.argsort(fitness.loss, stable=True)
    return order[torch.argsort(-fitness.correct[order], stable=True)]
