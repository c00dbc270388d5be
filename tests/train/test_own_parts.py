"""A training with the head, the loss and the batches of a method of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mritk.model.objective import Objective
from mritk.train import prepare, train
from mritk.train.checkpoint import Checkpoint


class Backwards:
    """Batches of four rows, from the last to the first; odd epochs leave out the last batch."""

    def batches(self, epoch):
        whole = list(torch.arange(39, -1, -1).split(4))
        return whole[: 10 - epoch % 2]

    def steps(self, epochs):
        return 10 * epochs


class Doubled(nn.Linear):
    """Gives its outputs twice in training, once in evaluation."""

    def forward(self, features):
        outputs = super().forward(features)
        return torch.cat([outputs, outputs], dim=1) if self.training else outputs


class Counting(Objective):
    """The loss of the first outputs; counts batches, and sums the targets that it was given."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.calls, self.seen = 0, 0

    def loss(self, outputs, targets):
        assert outputs.shape[1] == 4, "training outputs, not those of evaluation"
        self.calls += 1
        self.seen += int(targets.sum())
        return super().loss(outputs[:, :2], targets)

    def epoch_terms(self):
        told, self.calls, self.seen = {"calls": self.calls, "seen": self.seen}, 0, 0
        return told

    def state(self):
        return {"calls": self.calls, "seen": self.seen}

    def load(self, state):
        self.calls, self.seen = state["calls"], state["seen"]


def own_training(setup):
    training = prepare(setup)
    torch.manual_seed(0)
    head = Doubled(training.loaded.num_features, 2)
    objective = Counting(setup.task, setup.train.targets, setup.device)
    return training.with_parts(head=head, objective=objective, order=Backwards())


def test_head_loss_and_batches_are_those_of_the_method_and_the_history_tells_its_terms(make_setup):
    epochs = []
    training = own_training(make_setup(on_epoch=epochs.append))
    rows = []
    batch = training.train.batch
    training.train.batch = lambda chosen: (rows.append(chosen.tolist()), batch(chosen))[1]
    fitted = train(training)
    stepped = [chosen for chosen in rows if len(chosen) == 4]
    assert stepped[0] == [39, 38, 37, 36]
    assert [epoch.extra["calls"] for epoch in epochs] == [9, 10]
    targets = training.setup.train.targets
    assert [epoch.extra["seen"] for epoch in epochs] == [targets[4:].sum(), targets.sum()]
    assert isinstance(fitted.network.head, Doubled)
    assert fitted.predict(training.setup.val).shape == (20, 2)


class Stopped(BaseException):
    pass


@pytest.mark.slow
@pytest.mark.parametrize("stop", [3, 14])
def test_what_the_loss_remembers_is_in_the_checkpoint(stop, make_setup, tmp_path, monkeypatch):
    whole, epochs = [], []
    expected = train(own_training(make_setup(on_epoch=whole.append))).network.state_dict()

    def resumable():
        checkpoint = Checkpoint(tmp_path / "checkpoint", {}, epochs, every=0.0)
        return own_training(make_setup(checkpoint=checkpoint, on_epoch=epochs.append))

    steps, loss = [], Counting.loss

    def stopping(self, outputs, targets):
        steps.append(1)
        if len(steps) == stop:
            raise Stopped
        return loss(self, outputs, targets)

    with monkeypatch.context() as patch:
        patch.setattr(Counting, "loss", stopping)
        training = resumable()
        with pytest.raises(Stopped):
            train(training)
        training.setup.checkpoint.close()
    training = resumable()
    found = train(training).network.state_dict()
    training.setup.checkpoint.close()
    assert training.setup.checkpoint.resumed
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert [epoch.extra for epoch in epochs] == [epoch.extra for epoch in whole]
