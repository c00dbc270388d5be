"""Keep the best state of a training by the protocol's selection rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from mritk.errors import UsageError
from mritk.evaluate.metrics import find_metric
from mritk.method import SelectionRule
from mritk.model.late_buffers import load_state
from mritk.model.lora import merged_state
from mritk.tasks.task import Task


class BestState:
    """The best checkpoint so far, by a value measured on the validation set.

    Attributes:
        epoch: Epoch of the best checkpoint; 0 before the first.
        value: Its selection value.
        undefined: Why the last measured value is undefined, or empty.

    Raises:
        UnknownName: The metric of the rule does not apply to the task.
        UsageError: The metric has no direction.
    """

    def __init__(self, rule: SelectionRule, task: Task) -> None:
        self.rule, self.task = rule, task
        self.epoch, self.value, self.undefined = 0, math.nan, ""
        self._state: dict[str, torch.Tensor] = {}
        self._metric = None if rule.by == "loss" else find_metric(rule.by, task)
        if self._metric is not None and self._metric.higher_is_better is None:
            raise UsageError(f"{rule.by} has no direction; select by 'loss' or another metric")

    def restart(self) -> None:
        """Discard the best checkpoint and its value."""
        self.epoch, self.value, self._state = 0, math.nan, {}

    def measure(self, val_loss: float, scores: np.ndarray, targets: np.ndarray) -> float:
        """Return the selection value of validation scores; NaN where it is undefined."""
        if self._metric is None:
            return val_loss
        measured = self._metric.compute(targets, scores)
        self.undefined = measured.reason
        return measured.value

    def offer(self, epoch: int, value: float, network: nn.Module) -> bool:
        """Store the network's state if ``value`` is the best so far; return whether it is better.

        A tie is no progress, whichever of the two states the rule keeps: a metric that stays at
        its maximum must not hold up early stopping.
        """
        better = self.epoch == 0 or self._is_better(value)
        kept = better or (value == self.value and self.rule.ties == "later")
        if math.isnan(value) or not kept:
            return False
        self.epoch, self.value = epoch, value
        if self.rule.on == "val":
            self._state = {name: t.clone() for name, t in merged_state(network).items()}
        return better

    def restore(self, network: nn.Module) -> None:
        """Restore the best checkpoint, if required by the rule and available."""
        if self._state:
            load_state(network, self._state)

    def state(self) -> dict[str, Any]:
        """Return what :meth:`load` takes."""
        return {
            "epoch": self.epoch,
            "value": self.value,
            "undefined": self.undefined,
            "tensors": self._state,
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Resume from a :meth:`state`."""
        self.epoch, self.value, self._state = state["epoch"], state["value"], state["tensors"]
        self.undefined = state["undefined"]

    def _is_better(self, value: float) -> bool:
        if self._metric is not None and self._metric.higher_is_better:
            return value > self.value
        return value < self.value
