"""Methods that break one promise each; they are named after it. ``good`` breaks none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from mritk import Classification, Epoch, Method, UsageError, hookimpl

EPOCHS = 3


@dataclass(frozen=True)
class Parameters:
    rate: float = 0.5


@dataclass
class Thawed:
    rate: float = 0.5


def pixels(subset, size=8):
    images = torch.from_numpy(np.asarray(subset.images(size), dtype=np.float32) / 255)
    return images.reshape(len(subset), -1)


class Linear:
    """Softmax regression on small images, by plain gradient descent with momentum."""

    keeps_momentum = swallows = False

    def __init__(self, setup):
        if not isinstance(setup.task, Classification):
            raise UsageError("this method takes classes only")
        self.setup, self.notes = setup, {"rate": setup.parameters.rate}
        draw = torch.Generator().manual_seed(setup.seed)
        self.weight = 0.1 * torch.randn(64, setup.task.outputs, generator=draw)
        self.momentum = torch.zeros_like(self.weight)

    def fit(self):
        first = self.resume()
        for epoch in range(first, EPOCHS + 1):
            loss = self.step(epoch)
            self.setup.on_epoch(Epoch(epoch, EPOCHS, "all", 0.5, loss, 0.0, 0.0, 0.0))
            self.setup.checkpoint.save(self.state(epoch))
        return self

    def state(self, epoch):
        return {"epoch": epoch, "weight": self.weight, "momentum": self.momentum}

    def resume(self):
        found = self.setup.checkpoint.load()
        if found is None:
            return 1
        self.weight, self.momentum = found["weight"], found.get("momentum", self.momentum)
        return found["epoch"] + 1

    def batch(self, epoch):
        images = pixels(self.setup.train)
        square = images.reshape(-1, 1, 8, 8)
        draw = torch.Generator().manual_seed(1000 * self.setup.seed + epoch)
        if self.setup.augmentation.apply:
            square = self.setup.augmentation.apply(square, draw)
        return square.reshape(images.shape)

    def step(self, epoch):
        images = self.batch(epoch)
        targets = torch.from_numpy(self.setup.train.targets)
        wrong = (images @ self.weight).softmax(1)
        rows = torch.arange(len(targets))
        loss = -wrong[rows, targets].log().mean()
        wrong[rows, targets] -= 1
        self.momentum = 0.9 * self.momentum + images.T @ wrong / len(targets)
        self.weight = self.weight - self.setup.parameters.rate * self.momentum
        return float(loss)

    def predict(self, subset):
        return (pixels(subset) @ self.weight).numpy()


class GivesProbabilitiesOfTheFirstClass(Linear):
    def predict(self, subset):
        return super().predict(subset)[:, 0]


class ReachesForTheWholeDataset(Linear):
    def step(self, epoch):
        # Behind the subset's reader stands the reader of all samples, test included.
        reader = self.setup.train.samples.read.__closure__
        whole = next(c.cell_contents for c in reader if callable(c.cell_contents))
        self.weight = self.weight + float(whole(30).mean()) / 1000
        return super().step(epoch)


class LooksAtLabels(Linear):
    def predict(self, subset):
        return super().predict(subset) + np.eye(3, dtype=np.float32)[subset.targets]


class StartsFromTheGlobalState(Linear):
    def __init__(self, setup):
        super().__init__(setup)
        self.weight = 0.1 * torch.randn(64, setup.task.outputs)


class ForgetsItsMomentum(Linear):
    def state(self, epoch):
        return {"epoch": epoch, "weight": self.weight}


class ForgetsItBehindTheEpochThatItSelects(Linear):
    """Its model is that of the first epoch, so that only the history shows what was forgotten."""

    first = None

    def step(self, epoch):
        loss = super().step(epoch)
        self.first = self.weight if self.first is None else self.first
        return loss

    def state(self, epoch):
        return {"epoch": epoch, "weight": self.weight, "first": self.first}

    def resume(self):
        epoch = super().resume()
        if epoch > 1:
            self.first = self.setup.checkpoint.load()["first"]
        return epoch

    def predict(self, subset):
        return (pixels(subset) @ self.first).numpy()


class NeverAugments(Linear):
    def batch(self, epoch):
        return pixels(self.setup.train)


class NotesTensors(Linear):
    def __init__(self, setup):
        super().__init__(setup)
        self.notes = {"weight": self.weight}


def fit(kind, setup):
    return kind(setup).fit()


@hookimpl
def mritk_methods():
    def plain(name, kind, parameters=Parameters):
        return Method(
            name, partial(fit, kind), parameters, uses_backbone=False, summary="breaks one promise"
        )

    yield plain("good", Linear)
    yield plain("scores_have_the_shape_of_the_task", GivesProbabilitiesOfTheFirstClass)
    yield plain("never_sees_the_test_part", ReachesForTheWholeDataset)
    yield plain("never_looks_at_labels_to_predict", LooksAtLabels)
    yield plain("the_seed_decides", StartsFromTheGlobalState)
    yield plain("resumes_exactly_after_a_stop", ForgetsItsMomentum)
    yield plain("its_history_differs", ForgetsItBehindTheEpochThatItSelects)
    yield plain("augments_if_it_says_so", NeverAugments)
    yield plain("parameters_are_plain", Linear, Thawed)
    yield plain("notes_are_plain", NotesTensors)
    yield Method(
        "is_sent_to_workers",
        lambda setup: fit(Linear, setup),
        Parameters,
        uses_backbone=False,
        summary="breaks one promise",
    )
