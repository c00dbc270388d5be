"""A method for label maps is tried on label maps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from mritk import Epoch, Method
from mritk.testing.method import inspect_method


@dataclass(frozen=True)
class Parameters:
    pass


class Threshold:
    """Band is what is as bright as the darkest pixels of bands in training, on average."""

    notes: ClassVar[dict] = {}

    def __init__(self, setup):
        train = setup.train
        pairs = [(train.read(i), train.samples.read_target(i)) for i in range(len(train))]
        self.level = np.mean([image[mask > 0].min() for image, mask in pairs])
        setup.on_epoch(Epoch(1, 1, "fit", 0.0, 0.0, 0.0, 0.0, 0.0))

    def predict(self, subset):
        return [(subset.read(i) >= self.level).astype(np.uint8) for i in range(len(subset))]


class Peeks(Threshold):
    def predict(self, subset):
        return [subset.samples.read_target(i) for i in range(len(subset))]


class OfOthers(Threshold):
    def predict(self, subset):
        level = 20 * len(subset)
        return [(subset.read(i) >= level).astype(np.uint8) for i in range(len(subset))]


class Small(Threshold):
    def predict(self, subset):
        return [labels[::2] for labels in super().predict(subset)]


class NoLabel(Threshold):
    def predict(self, subset):
        return [labels * 3 for labels in super().predict(subset)]


GOOD = Method(
    "threshold",
    Threshold,
    Parameters,
    uses_backbone=False,
    uses_augmentation=False,
    tasks=("segmentation",),
)


def failed(method: Method) -> dict[str, str]:
    return {v.check: v.reason for v in inspect_method(method) if v.state == "failed"}


def test_a_method_for_label_maps_is_tried_in_every_way():
    verdicts = {verdict.check: verdict.state for verdict in inspect_method(GOOD)}
    assert failed(GOOD) == {}
    assert [check for check, state in verdicts.items() if state == "n/a"] == [
        "augments if it says so"
    ]


@pytest.mark.parametrize(
    ("kind", "check", "told"),
    [
        (Peeks, "never looks at labels to predict", "labels of the subset"),
        (OfOthers, "never looks at labels to predict", "depend on the other test samples"),
        (Small, "scores have the shape of the task", "(9, 16, 32), not (9, 32, 32)"),
        (NoLabel, "scores have the shape of the task", "labels that the task does not have"),
    ],
)
def test_each_broken_promise_about_label_maps_is_found(kind, check, told):
    found = failed(replace(GOOD, fit=kind))
    assert told in found[check]
