"""All networks of a population at once are what each is alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss

from mritk_evolve.evolution import _start
from mritk_evolve.line import Line, ranked
from mritk_evolve.outside import outside_shares
from mritk_evolve.parameters import Evolution
from mritk_evolve.population import Fitness, Population
from tests.host_waits import host_waits


@pytest.fixture
def populated(evolution):
    """Make the population of a setup, with so many images times networks at once."""
    setup = evolution()
    parts = _start(setup)

    def make(at_once: int, images=None) -> Population:
        shown = parts.inputs.resident(setup.train) if images is None else images
        targets = parts.objective.targets
        return Population(parts.network, parts.genome, parts.inputs, shown, targets, at_once)

    make.setup, make.parts = setup, parts
    return make


def test_fitness_is_accuracy_and_cross_entropy_of_each_network(populated):
    parts, targets = populated.parts, populated.setup.train.targets
    start = parts.genome.read()
    weights = start + 0.3 * torch.randn(7, len(start), generator=torch.Generator().manual_seed(0))
    found = populated(4096).fitness(weights)
    images = parts.inputs.resident(populated.setup.train)
    for row, vector in enumerate(weights):
        parts.genome.write(vector)
        assert torch.equal(parts.genome.read(), vector)
        scores = parts.inputs.evaluate(parts.network, images, 60).double().softmax(dim=1).numpy()
        hits = accuracy_score(targets, scores.argmax(axis=1), normalize=False)
        assert int(found.correct[row]) == hits
        assert float(found.loss[row]) == pytest.approx(log_loss(targets, scores), abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [1, 7, 59, 60, 130])
def test_passes_of_any_size_find_the_same(populated, at_once):
    start = populated.parts.genome.read()
    weights = start + 0.3 * torch.randn(5, len(start), generator=torch.Generator().manual_seed(0))
    whole, passed = populated(512).fitness(weights), populated(at_once).fitness(weights)
    assert torch.equal(passed.correct, whole.correct)
    torch.testing.assert_close(passed.loss, whole.loss)


def test_a_pass_that_takes_too_much_memory_is_halved_until_it_fits(populated, monkeypatch):
    population, passes = populated(512), []
    whole = Population._of_chunk

    def short(self, weights, count):
        passes.append(len(weights) * count)
        if passes[-1] > 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, weights, count)

    monkeypatch.setattr(Population, "_of_chunk", short)
    start = populated.parts.genome.read()[None].expand(6, -1)
    assert len(population.fitness(start).loss) == 6
    assert population.at_once == 64
    passes.clear()
    population.fitness(start)
    assert max(passes) <= 64, "later passes do not try what did not fit"


def test_networks_are_ranked_by_accuracy_then_loss_then_number():
    fitness = Fitness(torch.tensor([5.0, 7, 7, 7, 6]), torch.tensor([0.1, 0.5, 0.4, 0.5, 0.9]))
    assert ranked(fitness, Evolution()).tolist() == [2, 1, 3, 4, 0]
    assert ranked(fitness, Evolution(tie_break="none")).tolist() == [1, 2, 3, 4, 0]
    assert ranked(fitness, Evolution(fitness="loss")).tolist() == [0, 2, 1, 3, 4]
    lost = Fitness(torch.tensor([5.0, 5.0]), torch.tensor([float("nan"), 2.0]))
    assert ranked(lost, Evolution()).tolist() == [1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("acceptance", ["fittest", "random"])
def test_a_generation_waits_for_no_gpu_and_is_one_pass(populated, acceptance, monkeypatch):
    parts = populated.parts
    passes = []
    whole = Population._of_chunk

    def noted(self, weights, count):
        passes.append(len(weights))
        return whole(self, weights, count)

    monkeypatch.setattr(Population, "_of_chunk", noted)

    class Shown:
        def __init__(self, batch):
            self.batch = batch

        def __len__(self):
            return len(self.batch)

        def in_order(self, batch_size):
            yield from self.batch.split(batch_size)

    class ToGpu:
        one_shape = True

        def compute(self, network, images):
            return network(images - 0.5)

    own = Evolution(epochs=1, report_every=4, population=12, elite=3, acceptance=acceptance)

    def generations(batch):
        network = parts.network.to_empty(device=batch.device)
        targets = torch.zeros(len(batch), dtype=torch.int64, device=batch.device)
        genome = type(parts.genome)(network)
        population = Population(network, genome, ToGpu(), Shown(batch), targets, 4096)
        line = Line(torch.zeros(genome.length, device=batch.device), own, 0, population)
        passes.clear()
        line.advance()
        line.advance()

    assert host_waits(generations, (20, 1, 32, 32)) == []
    assert passes == ([12, 1, 12, 1] if acceptance == "fittest" else [1, 1])


def test_outside_is_what_does_not_come_from_the_home_site():
    parts = {"train": ["b", "a", "b", "c"], "test": ["a", "c", "c"], "val": None}
    assert outside_shares(parts) == {"home_site": "b", "outside": {"train": 0.5, "test": 1.0}}
    assert outside_shares({"train": ["b", "a"]})["home_site"] == "a"
    assert outside_shares({"train": None, "val": ["a"]}) == {}
    unknown = {"train": ["", "", "a", "b", "a"], "val": ["", ""]}
    assert outside_shares(unknown) == {"home_site": "a", "outside": {"train": 1 / 3}}
    assert np.isclose(outside_shares(parts, "c")["outside"]["test"], 1 / 3)
