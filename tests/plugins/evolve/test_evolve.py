"""Evolution learns without gradients, selects, and can be followed from its seeds."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mritk import Subset, UsageError
from mritk.method import SelectionRule
from mritk.plugins.registry import Registry
from mritk.study.benchmark import find_protocol
from mritk.testing import check_method
from mritk.train.checkpoint import Checkpoint
from mritk_evolve.evolution import _start, fit_evolve
from mritk_evolve.mutation import descend
from mritk_evolve.parameters import Evolution
from mritk_evolve.population import Population
from tests.plugins.evolve.conftest import VAL, build_small
from tests.stopped import Thrifty

LONG = {"epochs": 6, "population": 30, "elite": 4, "sigma": 0.08, "final_sigma": 0.04}


def accuracy(fitted, part) -> float:
    return float((fitted.predict(part).argmax(axis=1) == part.targets).mean())


# -- learning --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("tie_break", ["loss", "none"])
def test_sixty_images_are_learnt_by_fitness_alone(evolution, unseen, tie_break):
    """Also by accuracy alone, of which no gradient would tell anything."""
    setup = evolution(**LONG, tie_break=tie_break)
    fitted = fit_evolve(setup)
    assert accuracy(fitted, setup.train) >= 0.9
    assert accuracy(fitted, unseen) >= 0.8


@pytest.mark.slow
def test_sixty_images_are_not_learnt_by_accepting_at_random(evolution, unseen):
    setup = evolution(**LONG, acceptance="random")
    drifted = fit_evolve(setup)
    assert accuracy(drifted, setup.train) < 0.7
    assert accuracy(drifted, unseen) < 0.7


class Forward(torch.autograd.Function):
    """Passes values on, and no gradient."""

    generate_vmap_rule = True

    @staticmethod
    def forward(values):
        return values.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, gradient):
        raise AssertionError("a gradient was computed")


class NoGradient(nn.Module):
    def forward(self, batch):
        return Forward.apply(batch)


@pytest.mark.slow
def test_nothing_computes_a_gradient(evolution):
    built = []

    def build():
        built.append(nn.Sequential(NoGradient(), build_small(), NoGradient()))
        return built[-1]

    setup = evolution(build)
    fitted = fit_evolve(setup)
    assert any(fitted.folded)
    for network in [fitted.network, *built]:
        assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("fitness", ["accuracy", "loss"])
def test_the_fitness_of_the_parent_never_falls(evolution, fitness):
    epochs = []
    setup = evolution(
        epochs=15, report_every=1, fitness=fitness, sigma=0.3, setup={"on_epoch": epochs.append}
    )
    fit_evolve(setup)
    told = [-epoch.train_loss for epoch in epochs]
    if fitness == "accuracy":
        told = [(e.extra["train accuracy"], loss) for e, loss in zip(epochs, told, strict=True)]
    assert told == sorted(told)
    assert told[0] < told[-1]


# -- selection -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_generation_with_the_best_validation_value_is_kept(evolution, blobs, workspace):
    """What is learnt harms on a validation set whose labels are swapped: an early one is best."""
    epochs = []
    swapped = Subset.of(replace(blobs, targets=1 - blobs.targets), VAL, workspace)
    setup = evolution(epochs=5, setup={"val": swapped, "on_epoch": epochs.append})
    fitted = fit_evolve(setup)
    losses = [epoch.val_loss for epoch in epochs]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert fitted.notes["selected_epoch"] == best + 1
    assert fitted.notes["selected_generation"] == 5 * (best + 1) == len(fitted.notes["elite"])
    scores = torch.from_numpy(fitted.predict(swapped))
    loss = nn.functional.cross_entropy(scores, torch.from_numpy(swapped.targets))
    assert float(loss) == pytest.approx(losses[best], rel=1e-6)


@pytest.mark.slow
def test_the_last_generation_is_kept_where_the_rule_says_last(evolution):
    setup = evolution(setup={"selection": SelectionRule("last")})
    fitted = fit_evolve(setup)
    assert len(fitted.folded) == 15
    assert fitted.notes["selected_epoch"] == 3


# -- seeds -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("acceptance", ["fittest", "random"])
def test_the_winner_is_rebuilt_bit_for_bit_from_the_seeds_in_the_notes(evolution, acceptance):
    setup = evolution(acceptance=acceptance)
    fitted = fit_evolve(setup)
    notes = json.loads(json.dumps(fitted.notes))
    assert notes["rebuilt_exactly"] is True
    first = _start(evolution(acceptance=acceptance))
    weights = descend(first.genome.read(), notes["elite"], 0, setup.parameters.sigma_of)
    first.genome.write(weights)
    for name, tensor in fitted.network.state_dict().items():
        assert torch.equal(first.network.state_dict()[name], tensor)
    assert any(notes["elite"])


@pytest.mark.slow
def test_another_seed_is_another_evolution(evolution):
    one, other = (fit_evolve(evolution(setup={"seed": seed})) for seed in (0, 1))
    assert one.folded != other.folded


# -- stop and resume -------------------------------------------------------------------------------


@pytest.mark.slow
def test_checkpoints_that_take_too_much_of_the_time_are_left_out(evolution):
    store = Thrifty()
    fit_evolve(evolution(setup={"checkpoint": store}))
    assert store.saved == []


def train_until_killed(setup, monkeypatch, calls) -> None:
    whole = Population.fitness

    def fitness(self, weights):
        calls.append(1)
        if len(calls) == 17:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(self, weights)

    monkeypatch.setattr(Population, "fitness", fitness)
    fit_evolve(setup)


@pytest.mark.slow
def test_killed_in_a_generation_it_ends_as_if_it_had_not_been(evolution, tmp_path, monkeypatch):
    whole_epochs, epochs = [], []
    whole = fit_evolve(evolution(setup={"on_epoch": whole_epochs.append}))

    def resumable():
        checkpoint = Checkpoint(tmp_path / "checkpoint", {}, epochs, every=0.0)
        return evolution(setup={"checkpoint": checkpoint, "on_epoch": epochs.append})

    torch.set_num_threads(1)
    process = multiprocessing.get_context("fork").Process(
        target=train_until_killed, args=(resumable(), monkeypatch, [])
    )
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    setup = resumable()
    resumed = fit_evolve(setup)
    assert setup.checkpoint.resumed
    setup.checkpoint.close()
    assert resumed.folded == whole.folded
    for name, tensor in whole.network.state_dict().items():
        assert torch.equal(resumed.network.state_dict()[name], tensor)
    assert [e.val_loss for e in epochs] == [e.val_loss for e in whole_epochs]


@pytest.mark.slow
def test_it_keeps_what_every_method_promises():
    method = Registry.load(environ={}).method("evolve")
    check_method(method, Evolution(epochs=3, report_every=2, population=6, elite=2))


# -- what is refused, what is told -----------------------------------------------------------------


def test_batch_norm_is_refused_in_one_line(evolution):
    def build():
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten())

    with pytest.raises(UsageError, match=r"its layer 1 \(BatchNorm2d\) needs statistics") as raised:
        fit_evolve(evolution(build))
    assert "\n" not in str(raised.value)


def test_a_rehearsal_refuses_it_before_data_are_read(mritk, toy):
    toy.write_text(
        toy.read_text().replace("    rng = ", "    raise SystemExit('read')\n    rng = ")
    )
    ended = mritk(
        *("run", "-p", toy, "-b", "tiny", "-d", "bands", "--protocol", "neuroblastoma"),
        "--rehearse",
    )
    assert ended.code == 2
    assert "evolve cannot train tiny@scratch: its layer" in ended.err
    assert "plain_cnn" in ended.err


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"population": 3, "elite": 4}, "elite must not be larger"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"sigma": 0.0}, "must be positive"),
    ],
)
def test_parameters_that_cannot_evolve_are_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        Evolution(**wrong)


def test_sigma_falls_from_its_first_to_its_last_value_in_equal_ratios():
    own = Evolution(epochs=4, report_every=5, sigma=0.5, final_sigma=0.05)
    sigmas = np.array([own.sigma_of(generation) for generation in range(1, 21)])
    np.testing.assert_allclose(sigmas, np.geomspace(0.5, 0.05, 20))
    constant = Evolution(schedule="constant", sigma=0.5)
    assert {constant.sigma_of(generation) for generation in range(1, 101)} == {0.5}


@pytest.mark.slow
def test_the_notes_tell_the_share_of_outside_images_per_part(evolution):
    notes = fit_evolve(evolution(epochs=1)).notes
    assert notes["home_site"] == "home"
    assert notes["outside"] == {"train": 14 / 60, "val": 6 / 20}
    notes = fit_evolve(evolution(epochs=1, home_site="away")).notes
    assert notes["outside"]["train"] == 46 / 60


@pytest.mark.slow
def test_a_home_site_of_no_sample_is_told_with_the_sites_that_there_are(evolution, caplog):
    fit_evolve(evolution(epochs=1, home_site="home"))
    assert not caplog.messages
    fit_evolve(evolution(epochs=1, home_site="Home"))
    (told,) = caplog.messages
    assert "sample is from home_site 'Home'" in told
    assert told.endswith("set it to one of away, home")


def test_the_protocol_is_read_and_its_network_has_no_batch_norm():
    registry = Registry.load(environ={})
    protocol = find_protocol("neuroblastoma", registry)
    assert protocol.method == "evolve"
    network = registry.backbone("plain_cnn").architecture.build()
    assert sum(parameter.numel() for parameter in network.parameters()) == 5888
    assert network(torch.zeros(2, 1, 40, 56)).shape == (2, 64)
    registry.method("evolve").check_backbone(registry.backbone("plain_cnn"))
