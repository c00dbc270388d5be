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
        drawn = [self._noise(child) for child in range(own.population)]
        noise = torch.stack(drawn).to(device, non_blocking=True)
        if own.acceptance == "random":
            row = self._drawn()
            self.parent = fold(self.parent, noise[row], sigma)
            self.fitness = self._population.fitness(self.parent[None])
        else:
            children = self._population.fitness(self.parent + noise * sigma)
            elite = ranked(children, own)[: own.elite]
            first, nobody = torch.full((2, len(elite)), NOBODY, device=device)
            first[:1] = elite[:1]
            # The fittest of three; of equals the first, so that a line moves on a plateau.
            mixed, alone = (fold(self.parent, noise[rows], sigma) for rows in (elite, elite[:1]))
            of_mixed = self._population.fitness(mixed[None])
            found = Fitness.joined([of_mixed, children.at(elite[:1]), self.fitness])
            chosen = ranked(found, own)[:1]
            self.parent = torch.stack([mixed, alone, self.parent])[chosen][0]
            self.fitness = found.at(chosen)
            row = torch.stack([elite, first, nobody])[chosen][0]
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
