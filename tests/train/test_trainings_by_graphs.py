"""Whole trainings by graphs are the same trainings, also stopped, unfrozen and by SGD."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from mritk import Augmentation
from mritk.batches.inputs import Inputs
from mritk.model.objective import Objective
from mritk.protocol.recipe import Stage
from mritk.train import graphs
from mritk.train.loop import train as train_whole
from mritk.train.optimiser import load_optimiser
from mritk.train.training import prepare
from tests.train.killable_training import make_setup as numbered_setup
from tests.train.killable_training import noise, outcome
from tests.train.recorded_work import pretended, whole_trainings

# Each pair of what two settings may be occurs in one of them.
TRAININGS = [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 30))]


@pytest.fixture
def cuda():
    with pretended() as cuda:
        yield cuda


# -- whole trainings -------------------------------------------------------------------------------


def with_graphs(setup):
    return replace(setup, graphs=True)


def timeless(result):
    """Return an outcome without how it was computed."""
    return result | {"notes": {**result["notes"], "engine": ""}}


@pytest.mark.slow
@pytest.mark.parametrize("number", TRAININGS)
def test_a_training_by_graphs_is_the_same_training_bit_for_bit(number, tmp_path, monkeypatch):
    """Random stages, schedules, unfreezing, low-rank updates, mixing, averages."""
    with whole_trainings() as cuda:
        by_graphs = outcome(with_graphs(numbered_setup(number, tmp_path / "graphs")))
        assert sum(graph.replays for graph in cuda.graphs) > 0
        assert by_graphs["notes"]["engine"] == "graphs"
        monkeypatch.setattr(graphs, "WARM_UP", 10**9)
        monkeypatch.setattr(Inputs, "_output", Inputs.compute)
        cuda.graphs.clear()
        step_by_step = outcome(with_graphs(numbered_setup(number, tmp_path / "steps")))
        assert not cuda.graphs
        assert step_by_step["notes"]["engine"] == "eager"
    assert timeless(by_graphs) == timeless(step_by_step)


class Stop(BaseException):
    """What ends a process passes all handlers of errors."""


def stopping_at(last):
    """Return an augmentation that ends the process at this batch."""
    count = iter(range(10**6))

    def augment(images, generator):
        if next(count) == last:
            raise Stop
        return noise(images, generator)

    return Augmentation("noise", augment)


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, *range(2, 7)])  # 1 is over before the last batch below
def test_a_training_by_graphs_that_was_stopped_resumes_as_if_it_had_not_been(number, tmp_path):
    """The steps that warm up again are the steps that would have been replayed."""

    def setup(name, augmentation=None):
        made = with_graphs(numbered_setup(number, tmp_path / name))
        made.checkpoint.every = 0.0
        return replace(made, augmentation=augmentation or made.augmentation)

    with whole_trainings():
        expected = timeless(outcome(setup("whole")))
        for last in (4, 7):
            with pytest.raises(Stop):
                outcome(setup(f"stopped at {last}", stopping_at(last)))
            assert timeless(outcome(setup(f"stopped at {last}"))) == expected


class Counted(Objective):
    """A loss that counts in Python, where a replay does not come."""

    def loss(self, outputs, targets):
        self.calls = getattr(self, "calls", 0) + 1
        return super().loss(outputs, targets)


class OnTheDevice(Counted):
    replayable = True


@pytest.mark.slow
def test_a_loss_of_a_method_is_recorded_only_if_it_says_that_it_may_be(tmp_path, caplog):
    for kind, replays in ((Counted, False), (OnTheDevice, True)):
        with whole_trainings() as cuda, caplog.at_level(logging.WARNING, "mritk"):
            setup = with_graphs(numbered_setup(1, tmp_path / kind.__name__))
            setup = replace(setup, parameters=replace(setup.parameters, stages=2 * (Stage(1),)))
            training = prepare(setup)
            own = kind(setup.task, setup.train.targets, "cpu")
            head = training.network.head
            train_whole(training.with_parts(head=head, objective=own, order=training.order))
            replayed = [graph for graph in cuda.graphs if graph.replays]
        assert any("the method's loss" in record.message for record in caplog.records) != replays
        steps = sum(len(training.order.batches(epoch)) for epoch in (1, 2))
        assert (own.calls == steps) != replays
        assert replayed, "evaluation, at least"
        caplog.clear()


# -- the optimiser's state -------------------------------------------------------------------------


def optimiser_on(layer, *, for_graphs):
    rate = torch.tensor(0.01) if for_graphs else 0.01
    groups = [{"params": list(layer.parameters()), "lr": rate}]
    return torch.optim.AdamW(groups, fused=True, capturable=for_graphs)


@pytest.mark.parametrize("saved_for_graphs", [False, True])
@pytest.mark.parametrize("loaded_for_graphs", [False, True])
def test_an_optimiser_takes_up_a_state_in_its_own_way(saved_for_graphs, loaded_for_graphs):
    """A run may be continued with --graphs, or without it."""
    layer = nn.Linear(2, 1)
    saved = optimiser_on(layer, for_graphs=saved_for_graphs)
    layer(torch.ones(1, 2)).sum().backward()
    saved.step()
    if saved_for_graphs:
        saved.param_groups[0]["lr"].fill_(0.004)
    else:
        saved.param_groups[0]["lr"] = 0.004
    loaded = optimiser_on(layer, for_graphs=loaded_for_graphs)
    rate = loaded.param_groups[0]["lr"]
    load_optimiser(loaded, saved.state_dict())
    (group,) = loaded.param_groups
    assert group["capturable"] is loaded_for_graphs
    if loaded_for_graphs:
        assert group["lr"] is rate, "the graph reads this memory"
    else:
        assert isinstance(group["lr"], float)
    assert float(group["lr"]) == pytest.approx(0.004)
    assert all(float(state["step"]) == 1 for state in loaded.state.values())
    np.testing.assert_array_equal(
        *(next(iter(o.state.values()))["exp_avg"].numpy() for o in (saved, loaded))
    )


@pytest.mark.slow
def test_a_stage_with_sgd_that_unfreezes_gradually_is_replayed(tmp_path):
    """Its momentum begins as zero, since torch's kernel takes no tensors without one beside it."""
    stages = (Stage(3, "all", optimizer="sgd", unfreeze_every=1, learning_rate=1e-3),)
    with whole_trainings() as cuda:
        setup = numbered_setup(0, tmp_path)
        recipe = replace(setup.parameters, stages=stages)
        fitted = outcome(replace(setup, graphs=True, parameters=recipe))
        assert sum(graph.replays for graph in cuda.graphs) > 0
    assert fitted["notes"]["engine"] == "graphs"
